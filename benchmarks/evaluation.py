"""Time and memory of the evaluation, at the sizes of the largest benchmarks.

    python -m benchmarks.evaluation --out book/results/evaluation.json

Features are random, of people, cameras and poses, so that the ranks are like those of a middling
network. Each measurement runs in a process of its own, one after the other. The program ends with 1
if the sorted baseline and the package disagree.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.measure import GIB, SEED, peak_memory
from benchmarks.retrieval import SIZES, random_case, sorted_scores
from direid.errors import DireidError
from direid.evaluation import ranks
from direid.evaluation.report import environment, markdown_table, save_json
from direid.evaluation.reranking import rerank

DEFINITIONS = {
    "seconds": "median of the repeats, all metrics; without making the random data",
    "cpu_seconds": "processor time of all threads in the repeats, over their number: more than "
    "cores x seconds is impossible, much less says that the machine was not idle",
    "growth_gib": "largest resident memory of the process, less that after its imports: inputs, "
    "results and everything between",
    "input_gib": "of that, the arrays that the measured function was given",
    "task distance": "from a float32 distance matrix to CMC, mAP and mINP: ranks.from_distance",
    "task features": "from float32 features to CMC, mAP and mINP: ranks.evaluate",
    "task rerank": "from float32 features to re-ranked distances: reranking.rerank, 20, 6, 0.3",
    "task sorted": "the same as distance with all shots, by a stable argsort of each row, wrong "
    "images first among equals; of the first queries only, and seconds SCALED to all of them",
}
AGREE = 1e-12  # AP and INP of a query, package and sorted


@dataclass(frozen=True)
class Task:
    """What one process is to measure; the fields are JSON values."""

    what: str  # a key of MEASURES
    size: str
    width: int  # of the features
    protocol: str = "all_shots"
    draws: int | None = None
    repeats: int = 1
    queries: int | None = None  # measured ones, if not all


# Of the matrix alone, the width of the features behind it changes nothing.
TASKS = (
    Task("distance", "market1501", 64, repeats=5),
    Task("distance", "msmt17", 64, repeats=3),
    Task("distance", "market1501", 64, "single_shot", repeats=3),
    Task("distance", "msmt17", 64, "single_shot"),
    Task("distance", "mlr_cuhk03", 64, "single_shot", repeats=9),
    Task("distance", "mlr_cuhk03", 64, "single_shot", draws=100, repeats=9),
    Task("features", "market1501", 2048, repeats=3),
    Task("features", "msmt17", 2048),
    Task("features", "msmt17", 2048, "single_shot"),
    Task("rerank", "market1501", 2048),
    Task("rerank", "msmt17", 512),
    Task("sorted", "market1501", 64, queries=300),
    Task("sorted", "msmt17", 64, queries=150),
)
QUICK = (
    Task("distance", "toy", 16, "single_shot"),
    Task("features", "toy", 16),
    Task("rerank", "toy", 16),
    Task("sorted", "toy", 16, queries=20),
)
TARGETS = (  # index in TASKS, key, at most
    (0, "seconds", 0.5),
    (1, "seconds", 4.0),
    (4, "seconds", 0.1),
    (7, "seconds", 70.0),
    (7, "growth_gib", 2.5),
    (9, "seconds", 50.0),
    (9, "growth_gib", 1.2),
    (10, "growth_gib", 20.0),  # of a machine of 24
)


def measure_distance(task: Task) -> dict:
    """From a distance matrix to scores."""
    distance, ids = _distance_matrix(task)
    score = lambda: ranks.from_distance(  # noqa: E731
        distance, *ids, protocol=task.protocol, draws=task.draws, seed=SEED
    )
    return _timed(score, task.repeats, [distance])


def measure_features(task: Task) -> dict:
    """From features to scores."""
    query, gallery, *ids = random_case(SIZES[task.size], task.width, SEED)
    score = lambda: ranks.evaluate(  # noqa: E731
        query, gallery, *ids, protocol=task.protocol, draws=task.draws, seed=SEED
    )
    return _timed(score, task.repeats, [query, gallery])


def measure_rerank(task: Task) -> dict:
    """From features to re-ranked distances; scored afterwards, which is not timed."""
    query, gallery, *ids = random_case(SIZES[task.size], task.width, SEED)
    kept = {}
    found = _timed(lambda: kept.update(distance=rerank(query, gallery)), task.repeats,
                   [query, gallery])  # fmt: skip
    scores = ranks.from_distance(kept["distance"], *ids, protocol=task.protocol)
    return found | {"rank1": scores.rank1, "map": scores.map}


def measure_sorted(task: Task) -> dict:
    """The plain way, of some queries, and whether the package says the same of them."""
    distance, (query_pids, gallery_pids, query_camids, gallery_camids) = _distance_matrix(task)
    ids = query_pids[: len(distance)], gallery_pids, query_camids[: len(distance)], gallery_camids
    kept = {}
    found = _timed(lambda: kept.update(scores=sorted_scores(distance, *ids)), 1, [distance])
    ours = ranks.from_distance(distance, *ids, protocol="all_shots")
    apart = np.abs(kept["scores"] - [ours.ap_per_query, ours.inp_per_query, ours.rank1_per_query])
    share = len(query_pids) / len(distance)
    return {
        "seconds": found["seconds"] * share,
        "scaled": share,
        "queries": len(distance),
        "growth_gib": found["growth_gib"],
        "input_gib": found["input_gib"],
        "largest_difference": float(apart.max()),
    }


MEASURES = {"distance": measure_distance, "features": measure_features, "rerank": measure_rerank,
            "sorted": measure_sorted}  # fmt: skip


def _distance_matrix(task: Task) -> tuple[np.ndarray, list[np.ndarray]]:
    """Squared Euclidean distances of unit features, float32, of the task's queries; and ids."""
    query, gallery, *ids = random_case(SIZES[task.size], task.width, SEED)
    query = query[: task.queries] / np.linalg.norm(query[: task.queries], axis=1, keepdims=True)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    distance = query @ gallery.T
    distance *= -2
    distance += 2
    return distance, ids


def _timed(work: Callable[[], object], repeats: int, inputs: list[np.ndarray]) -> dict:
    """What ``work`` takes; its scores, if it returns any."""
    seconds, result, used = [], None, time.process_time()
    for _ in range(repeats):
        began = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - began)
    found = {
        "seconds": statistics.median(seconds),
        "all_seconds": seconds,
        "cpu_seconds": (time.process_time() - used) / repeats,
        "growth_gib": peak_memory() - BASELINE,
        "input_gib": sum(array.nbytes for array in inputs) / GIB,
    }
    if isinstance(result, ranks.Scores):
        found |= {"rank1": result.rank1, "map": result.map, "minp": result.minp}
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, save it as JSON if asked.

    Returns:
        1 if package and baseline disagree, 2 if something could not be measured or saved, else 0.
    """
    options = _parser().parse_args(arguments)
    if options.one:
        task = Task(**json.loads(options.one))
        print(json.dumps(MEASURES[task.what](task)))
        return 0
    try:
        if options.quick:
            rows = [asdict(task) | MEASURES[task.what](task) for task in QUICK]
        else:
            rows = [asdict(task) | _in_a_fresh_process(task) for task in TASKS]
        report = _report(rows, options.quick)
        print(_table(report))
        if options.out:
            save_json(report, options.out)
    except (DireidError, subprocess.CalledProcessError) as error:
        print(f"benchmarks.evaluation: {error}", file=sys.stderr)
        return 2
    return int(any(row.get("largest_difference", 0) > AGREE for row in rows))


def _report(rows: list[dict], quick: bool) -> dict:
    about = environment("cpu")
    del about["machine"]["peak_memory"]  # this process has only waited
    targets = [
        {"task": " ".join(map(str, (rows[i]["what"], rows[i]["size"], rows[i]["width"]))),
         "protocol": rows[i]["protocol"], "quantity": key, "at_most": bound, "value": rows[i][key],
         "met": rows[i][key] <= bound}
        for i, key, bound in (() if quick else TARGETS)
    ]  # fmt: skip
    sizes = {row["size"]: asdict(SIZES[row["size"]]) for row in rows}
    return {"title": "Speed and memory of the evaluation", "definitions": DEFINITIONS,
            "seed": SEED, "sizes": sizes, "tasks": rows, "targets": targets, **about}  # fmt: skip


def _table(report: dict) -> str:
    cells = [
        [row["what"], f"{row['size']}, {row['width']}-d",
         row["protocol"] + (f", {row['draws']} draws" if row["draws"] else ""),
         f"{row['seconds']:.2f}" + (f" (scaled x {row['scaled']:.1f})" if "scaled" in row else ""),
         f"{row['growth_gib']:.2f}", f"{row['input_gib']:.2f}",
         f"{100 * row['map']:.2f}" if "map" in row else ""]
        for row in report["tasks"]
    ]  # fmt: skip
    header = ["Task", "Size", "Protocol", "Seconds", "Growth GiB", "of it input", "mAP"]
    lines = [
        f"{'met' if t['met'] else 'NOT MET'}: {t['task']}, {t['protocol']}: {t['quantity']} "
        f"{t['value']:.3g}, at most {t['at_most']}"
        for t in report["targets"]
    ]
    return "\n".join([markdown_table(header, cells), *lines])


def _in_a_fresh_process(task: Task) -> dict:
    """What ``task`` measures, in a process that does nothing else."""
    print(f"measuring {task.what}, {task.size} ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.evaluation", "--one", json.dumps(asdict(task))]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluation", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--quick", action="store_true",
        help="a toy size, in this process: to see that it runs")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="save everything there")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a Task: measure it here, print JSON
    return parser


BASELINE = peak_memory()  # after the imports

if __name__ == "__main__":
    sys.exit(main())
