"""Time and memory of the training steps, beside plain ones and what the machine can do.

    python -m benchmarks.speed --preset tiny small paper --repeats 7 --profile --out speed.json

Each measurement runs in a process of its own, one after the other. The program ends with 1 if the
package's and the plain losses disagree.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.loading import measure_loading
from benchmarks.measure import KINDS, SEED, Task, measure_steps
from benchmarks.report import DEFINITIONS, agreement, markdown, targets
from benchmarks.shares import measure_shares
from direid.config import PRESETS
from direid.errors import DireidError
from direid.evaluation.report import environment, save_json

MEASURES = {"steps": measure_steps, "loading": measure_loading, "profile": measure_shares}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a Markdown report, save it as JSON if asked.

    Returns:
        1 if losses disagree, 2 if something could not be measured or saved, else 0.
    """
    options = _parser().parse_args(arguments)
    if options.one:
        task = Task(**json.loads(options.one))
        print(json.dumps(MEASURES[task.what](task)))
        return 0
    try:
        report = measure(options)
        print(markdown(report))
        if options.out:
            save_json(report, options.out)
    except (DireidError, subprocess.CalledProcessError) as error:
        print(f"benchmarks.speed: {error}", file=sys.stderr)
        return 2
    wrong = [row for row in report["agreement"] if row["wrong"]]
    for row in wrong:
        print(f"{row['preset']}: package and plain disagree on {', '.join(row['wrong'])}",
              file=sys.stderr)  # fmt: skip
    return 1 if wrong else 0


def measure(options: argparse.Namespace) -> dict:
    """All that the options ask for."""
    people, images = options.dfen_batch
    common = {"batch": options.batch, "people": people, "images": images,
              "repeats": options.repeats}  # fmt: skip
    variants = [("package", precision, False) for precision in options.precision]
    variants.append(("plain", "float32", False))
    compiled_too = ("package", options.precision[0], True)
    steps, loading, profile, config = [], {}, {}, {}
    for preset in options.preset:
        config[preset] = Task("steps", preset, **common).config().model_dump(mode="json")
        for stage in KINDS:
            extra = [compiled_too] if preset in options.compile else []
            for implementation, precision, compiled in variants + extra:
                task = Task("steps", preset, stage, implementation, precision, compiled, **common)
                steps.append(_what_it_is(task) | _in_a_fresh_process(task))
        loading[preset] = _in_a_fresh_process(Task("loading", preset))
        if options.profile:
            profile[preset] = _in_a_fresh_process(Task("profile", preset, **common))
    about = environment("cpu")
    del about["machine"]["peak_memory"]  # this process has only waited
    return {
        "title": "Speed and memory of the training steps",
        "definitions": DEFINITIONS,
        "options": common | {"presets": options.preset, "precisions": options.precision,
                             "compile": options.compile},
        "seed": SEED,
        "steps": steps,
        "agreement": agreement(steps),
        "targets": targets(steps) if "paper" in options.preset else [],
        "loading": loading,
        "profile": profile,
        **about,
        "config": config,
    }  # fmt: skip


def _what_it_is(task: Task) -> dict:
    names = ("preset", "stage", "implementation", "precision", "compile")
    return {name: value for name, value in asdict(task).items() if name in names}


def _in_a_fresh_process(task: Task) -> dict:
    """What ``task`` measures, in a process that does nothing else.

    This process must stay small: on Linux a new one begins with its parent's peak memory as its
    own, which the baseline would show.
    """
    print(f"measuring {_label(task)} ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.speed", "--one", json.dumps(asdict(task))]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def _label(task: Task) -> str:
    if task.what != "steps":
        return f"{task.preset}: {task.what}"
    compiled = ", compiled" if task.compile else ""
    return f"{task.preset}: {task.stage}, {task.implementation}, {task.precision}{compiled}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=(__doc__ or "").partition("\n")[0]
    )
    add = parser.add_argument
    add("--preset", nargs="+", choices=list(PRESETS), default=list(PRESETS))
    add("--batch", type=_positive, default=2, help="pairs of a DDGAN step (default 2)")
    add("--dfen-batch", type=_people_images, default=(2, 2), metavar="P,K",
        help="people and images of each in a DFEN step (default 2,2)")  # fmt: skip
    add("--repeats", type=_positive, default=5, help="timed steps of each kind (default 5)")
    add("--precision", type=_precisions, default=["float32", "bfloat16"], metavar="LIST",
        help="of the package's steps, joined by commas (default float32,bfloat16)")  # fmt: skip
    add("--compile", nargs="+", choices=list(PRESETS), default=[],
        help="presets that are also measured through torch.compile")  # fmt: skip
    add("--profile", action="store_true", help="say which operations the time goes to")
    add("--out", type=Path, metavar="FILE.json", help="save everything there")
    add("--one", help=argparse.SUPPRESS)  # a Task: measure it here, print JSON
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected 1 or more")
    return number


def _people_images(text: str) -> tuple[int, int]:
    people, images = (int(part) for part in text.split(","))
    if min(people, images) < 2:
        raise argparse.ArgumentTypeError(f"{text}: expected 2 or more of each")
    return people, images


def _precisions(text: str) -> list[str]:
    names = text.split(",")
    if not set(names) <= {"float32", "bfloat16"}:
        raise argparse.ArgumentTypeError(f"{text}: choose from float32, bfloat16")
    return names


if __name__ == "__main__":
    sys.exit(main())
