"""The main job: stages 0, 1, 2, evaluation, pictures and a report, in one resumable folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor, nn
from tqdm import tqdm

from direid import data
from direid.config import Config, differences, load_preset, read_config
from direid.data.records import PARTS, Benchmark, hide_labels, read_image, save_split
from direid.degradations import SelfDegradation
from direid.errors import DireidError
from direid.evaluation import ranks, report
from direid.evaluation.features import extract
from direid.evaluation.reranking import rerank
from direid.models import IdentityNetwork
from direid.pictures import draw_pictures
from direid.training import checkpoint
from direid.training.compute import Compute
from direid.training.ddgan import check_cameras
from direid.training.stages import STAGES, Networks, check_shares, train

Embedding = Callable[[Tensor], Tensor]
METHODS = {
    "ResNet": "identification loss alone",
    "ResNet + tricks": "flip, crop, BNNeck, label smoothing, triplet loss, last stride 1",
    "ResNet + tricks + F_deg": "and F_deg on a random half of the images, as mere augmentation: "
    "the competitor that the paper leaves out",
    "E_id after stage 0": "ResNet + tricks, trained shorter: stages 1 and 2 start from it",
    "f_inv after stage 1": "E_c's identity feature, before stage 2; without ImageNet weights, E_c "
    "started from E_id",
    "DI-REID, f_inv": "f_inv of the final network alone, through its own neck",
    "DI-REID, f_sen": "f_sen of the final network alone, through its own neck, without attention",
}


def describe(method: str, config: Config) -> str:
    """What a method of the report is; for DI-REID itself that depends on the settings."""
    if method != "DI-REID":
        return METHODS[method]
    if not config.dfen.both:
        return f"{'f_inv' if config.dfen.invariant else 'f_sen'} alone, trained alone"
    sensitive = "attended f_sen" if config.dfen.attention else "f_sen, without attention,"
    return f"f_inv and {sensitive} joined (equation 13), a vector longer than a baseline's"


def run(config: Config, out: Path, resume: bool = False) -> dict:
    """Train and evaluate everything on one benchmark, and leave a report in ``out``.

    Args:
        config: the whole run.
        out: a new or empty folder; one that holds a run is continued if ``resume``, else refused.
        resume: continue the run in ``out``, whose settings must be the same ones, except for where
            it computes and what it writes when.

    Returns:
        The report, as in ``out/report.json``.

    Raises:
        DireidError: bad settings, data or folder, before anything is trained.
    """
    compute = Compute.of(config)
    if compute.world.size > 1:
        raise DireidError(
            "direid run takes one process: train with direid train in several, then evaluate with "
            "direid run --resume in one"
        )
    started = time.perf_counter()
    benchmark = open_run(config, compute, out, resume)
    seconds = {"data": time.perf_counter() - started}
    networks = train(config, benchmark, compute, out)
    for stage in STAGES:
        seconds[stage] = checkpoint.load(out / "checkpoints" / f"{stage}.pt")["seconds"]
    started = time.perf_counter()
    results = evaluate(networks, benchmark, config, compute)
    seconds["evaluation"] = time.perf_counter() - started
    result = _report(config, benchmark, compute, results, seconds)
    report.write_report(result, out)  # the numbers are safe whatever becomes of the pictures
    started = time.perf_counter()
    result["pictures"] = draw_pictures(
        networks.ddgan, results.query, results.gallery, results.scores, results.by_level,
        benchmark, config, compute, out,
    )  # fmt: skip
    result["seconds"]["pictures"] = round(time.perf_counter() - started, 1)
    report.write_report(result, out)
    return result


def open_run(config: Config, compute: Compute, out: Path, resume: bool) -> Benchmark:
    """Check everything that can be checked before a training, and make the run's folder.

    Of several processes, the first does what is done once.

    Args:
        config, out, resume: as for :func:`run`.
        compute: device, precision and processes.

    Returns:
        The benchmark to train on.

    Raises:
        DireidError: bad settings, data or folder; the folder is as it was.
    """
    SelfDegradation(config.self_degradation)  # an unknown one must stop the run now, not in stage 1
    check_shares(config, compute)
    config = config.model_copy(update={"precision": compute.precision})  # what "auto" came to
    if compute.world.first:
        _check_folder(config, out, resume)
    benchmark = load_benchmark(config)
    check_cameras(benchmark, config)
    if compute.world.first:
        if config.network.pretrained:  # so must weights that cannot be had
            IdentityNetwork(config.network, benchmark.people).encoder.trunk.load_imagenet()
        report.save_json(config.model_dump(mode="json"), out / "config.json")
        save_split(benchmark, out / "split.json")
    compute.world.wait()
    return benchmark


def load_benchmark(config: Config) -> Benchmark:
    """The benchmark that ``config`` names, in the split that it names.

    Raises:
        DireidError: unknown, missing or wrong data, or too few training people for a batch.
    """
    benchmark = data.load(config.data, config.root, 0, *config.size, config.split)
    benchmark = hide_labels(benchmark, **config.labels.model_dump())
    if benchmark.people < config.identity.people:
        raise DireidError(
            f"{benchmark.name}: {benchmark.people} training people, fewer than the "
            f"{config.identity.people} of a batch; lower it with "
            f"--set identity.people={benchmark.people}"
        )
    if len({record.pid for record in benchmark.gallery}) < 2:
        raise DireidError(f"{benchmark.name}: one person in the gallery, nobody to be mistaken for")
    records = (r for part in PARTS for r in getattr(benchmark, part))
    stored = [r for r in records if not isinstance(r.image, np.ndarray)]
    for record in tqdm(stored, desc="images", unit="image", delay=2, leave=False):
        read_image(record)  # a damaged file must stop the run before it trains, not after
    return benchmark


@dataclass
class Results:
    """Scores of every method, and what the pictures need of DI-REID."""

    rows: list[dict]
    paired: list[dict]  # each method minus the tricks, and DI-REID minus the strongest baseline
    scores: dict[str, ranks.Scores]
    query: np.ndarray | None  # DI-REID's query features
    gallery: np.ndarray | None
    by_level: dict | None


def evaluate(
    networks: Networks,
    benchmark: Benchmark,
    config: Config,
    compute: Compute,
    reranked: bool = False,
) -> Results:
    """CMC, under the benchmark's own protocol, mAP and mINP of every method that was trained.

    Args:
        networks: those that there are.
        benchmark: its queries and gallery.
        config: of the run.
        compute: device and precision.
        reranked: compare lists of neighbours, not features (k-reciprocal re-ranking).
    """
    methods = _methods(networks, config)
    query, gallery = benchmark.query, benchmark.gallery
    pids = np.array([r.pid for r in query]), np.array([r.pid for r in gallery])
    camids = np.array([r.camid for r in query]), np.array([r.camid for r in gallery])
    scores: dict[str, ranks.Scores] = {}
    features: dict[str, list[np.ndarray]] = {}
    for name, (network, embed) in tqdm(methods.items(), desc="evaluate ", unit="method"):
        features[name] = [
            extract(network, embed, part, config.size, compute) for part in (query, gallery)
        ]
        if reranked:
            distance = rerank(*features[name])
            scores[name] = ranks.from_distance(
                distance, *pids, *camids, protocol=benchmark.protocol
            )
        else:
            scores[name] = ranks.evaluate(
                *features[name], *pids, *camids, protocol=benchmark.protocol
            )
    tricks, strongest = "ResNet + tricks", "ResNet + tricks + F_deg"
    pairs = [(name, tricks) for name in scores if name != tricks] + [("DI-REID", strongest)]
    paired = [
        report.paired_row(f"{a} − {b}", scores[a], scores[b], pids[0], config.seed)
        for a, b in pairs
        if a in scores and b in scores
    ]
    rows = [report.row(name, s, pids[0], config.seed) for name, s in scores.items()]
    levels = [record.level for record in query]
    by_level = None
    if None not in levels and len(set(levels)) > 4:
        by_level = {
            name: ranks.by_level(s.rank1_per_query, np.array(levels), pids[0])
            for name, s in scores.items()
        }
    return Results(rows, paired, scores, *features.get("DI-REID", (None, None)), by_level)


def _methods(nets: Networks, config: Config) -> dict[str, tuple[nn.Module, Embedding]]:
    """Every method that was trained: its network, and images to vectors."""
    found: dict[str, tuple[nn.Module, Embedding]] = {}
    for name, network in (
        ("ResNet", nets.resnet), ("ResNet + tricks", nets.tricks),
        ("ResNet + tricks + F_deg", nets.augmented), ("E_id after stage 0", nets.identity),
    ):  # fmt: skip
        if network is not None:
            found[name] = network, network.embed
    if nets.ddgan is not None and config.ddgan.steps and config.ddgan.weights.identification:
        made = nets.ddgan.generator
        found["f_inv after stage 1"] = (
            nets.ddgan,
            lambda x: made.neck(made.content_encoder.invariant(x)).retrieval,
        )
    dfen = nets.dfen
    if dfen is not None:
        if config.dfen.invariant and config.dfen.both:
            found["DI-REID, f_inv"] = dfen, lambda x: dfen(x).invariant.retrieval
        if config.dfen.sensitive and config.dfen.both:
            found["DI-REID, f_sen"] = dfen, lambda x: dfen(x).sensitive.retrieval
        found["DI-REID"] = dfen, dfen.embed
    return found


def budget(config: Config) -> dict[str, dict[str, int]]:
    """What each method of a report is trained on, all stages that it needs counted.

    ``labelled_images`` are those that a loss of identity sees: stages 0 and 2, and equation 9.
    ``stage_1_images`` are those of DDGAN's pairs, whose labels nothing but equation 9 uses.
    """

    def spent(reid: int, ddgan: int = 0) -> dict[str, int]:
        return {
            "reid_steps": reid,
            "ddgan_steps": ddgan,
            "labelled_images": reid * config.identity.batch + (config.identified if ddgan else 0),
            "stage_1_images": 2 * ddgan * config.ddgan.batch,
        }

    first, second = config.identity.steps, config.ddgan.steps
    baselines = ("ResNet", "ResNet + tricks", "ResNet + tricks + F_deg")
    dfen = ("DI-REID, f_inv", "DI-REID, f_sen", "DI-REID")
    return (
        dict.fromkeys(baselines, spent(config.fair_steps))
        | {"E_id after stage 0": spent(first), "f_inv after stage 1": spent(first, second)}
        | dict.fromkeys(dfen, spent(first + config.dfen.steps, second))
    )


def _check_folder(config: Config, out: Path, resume: bool) -> None:
    if out.exists() and not out.is_dir():
        raise DireidError(f"{out}: is a file, expected a folder for the run")
    if resume and not out.exists():
        raise DireidError(f"{out}: no run to resume there; leave --resume away to start one")
    half_written = (path.suffix == ".partial" for path in out.iterdir()) if out.exists() else ()
    if all(half_written):  # nothing there, or a run that was killed before it had begun
        return
    if not resume:
        raise DireidError(
            f"{out}: holds another run or other files; choose a new folder, or continue a run "
            "with --resume"
        )
    if not (out / "config.json").exists():
        raise DireidError(f"{out}: holds files but no run (config.json) to resume")
    saved = read_config(out / "config.json")
    if changed := differences(saved.training_settings(), config.training_settings()):
        raise DireidError(f"{out}: --resume with other settings than its run's ({changed})")
    if saved.precision != config.precision:
        raise DireidError(
            f"{out}: its run computes in {saved.precision}, asked to go on in {config.precision}; "
            f"go on with --set precision={saved.precision}"
        )


def _report(
    config: Config,
    benchmark: Benchmark,
    compute: Compute,
    results: Results,
    seconds: dict[str, float],
) -> dict:
    parts = benchmark.train, benchmark.query, benchmark.gallery
    environment = report.environment(compute.device)
    preset = load_preset(
        config.preset, {"data": config.data, "split": config.split, "seed": config.seed}
    )
    changed = differences(preset.training_settings(), config.training_settings())
    return {
        "title": f"DI-REID on {benchmark.name}, preset {config.preset}"
        + (f", changed ({changed})" if changed else ""),
        "rows": results.rows,
        "paired": results.paired,
        "methods": {row["method"]: describe(row["method"], config) for row in results.rows},
        "by_level": results.by_level,
        # without root, a path of this machine
        "config": config.model_dump(mode="json", exclude={"root"})
        | {"precision": compute.precision},
        "data": {
            "name": benchmark.name,
            "protocol": benchmark.protocol,
            "notes": "; ".join(benchmark.notes) or "none",
            "split_hash": benchmark.split_hash,
            "counts": {
                part: {"images": len(records), "people": len({r.pid for r in records})}
                for part, records in zip(PARTS, parts, strict=True)
            },
        },
        "seeds": {"split": config.split, "training": config.seed, "bootstrap": config.seed},
        "budget": budget(config),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        **environment,
    }
