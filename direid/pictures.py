"""The pictures of a run: chosen images and codes, drawn by :mod:`direid.figures`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from direid import figures
from direid.config import Config
from direid.data.loaders import Images
from direid.data.records import Benchmark, Record
from direid.degradations import SelfDegradation
from direid.evaluation.features import extract
from direid.evaluation.ranks import Scores
from direid.models import DDGAN
from direid.training.compute import Compute

Shown = tuple[str, Figure, str, str]  # name, figure, caption, alt text
COMPARED = ("ResNet", "ResNet + tricks", "DI-REID")


def swaps(ddgan: DDGAN, contents: Tensor, degradations: Tensor) -> Tensor:
    """Every content with every degradation, (N, M, 3, H, W) in [0, 1] (figures 5 and 6).

    Args:
        ddgan: in evaluation mode.
        contents: (N, 3, H, W), who is in the picture.
        degradations: (M, 3, H, W), how it was taken.
    """
    n, m = len(contents), len(degradations)
    with torch.no_grad():
        flat = ddgan.generator.transfer(
            contents.repeat_interleave(m, 0), degradations.repeat(n, 1, 1, 1)
        )
    return flat.view(n, m, *contents.shape[1:])


def reconstructions(
    ddgan: DDGAN, images: Tensor, self_degradation: SelfDegradation, generator: torch.Generator
) -> dict[str, Tensor]:
    """x_ii, x_j, x_ji and x_ij of images x_i (B, 3, H, W), each clamped to [0, 1] (figure 2)."""
    degraded = self_degradation(images, generator)
    with torch.no_grad():
        fakes = ddgan.generator(images, degraded, synthetic=True).swaps
    return {
        "decoded": fakes.aa.clamp(0, 1),
        "degraded copy": degraded,
        "copy repaired": fakes.ba.clamp(0, 1),
        "degraded by G": fakes.ab.clamp(0, 1),
    }


def read_logs(folder: Path, stage: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """``(steps, values)`` of every named loss in ``folder/logs/STAGE.jsonl``."""
    series: dict[str, list[tuple[int, float]]] = {}
    for line in (folder / "logs" / f"{stage}.jsonl").read_text().splitlines():
        entry = json.loads(line)
        step = entry.pop("step")
        for name, value in entry.items():
            series.setdefault(name, []).append((step, value))
    return {name: tuple(np.array(pairs).T) for name, pairs in series.items()}  # type: ignore[misc]


def ddgan_curves(folder: Path) -> Figure:
    """Stage 1's losses, self- and cross-degradation in one panel where both have the term."""
    runs: dict[str, dict] = {"self-degradation": {}, "cross-degradation": {}}
    for name, series in read_logs(folder, "ddgan").items():
        phase, term = name.split("/")
        runs[f"{phase}-degradation"][term] = series
    return figures.loss_curves(runs)


def draw_pictures(
    ddgan: DDGAN,
    query_features: np.ndarray,
    gallery_features: np.ndarray,
    scores: dict[str, Scores],
    by_level: dict[str, dict] | None,
    benchmark: Benchmark,
    config: Config,
    compute: Compute,
    out: Path,
) -> list[dict[str, str]]:
    """Draw every picture of a run into ``out/pictures``.

    Args:
        ddgan: stage 1's networks.
        query_features: DI-REID's, (Q, F).
        gallery_features: (G, F).
        scores: of every method.
        by_level: Rank-1 by true degradation level of every method, where it is known.
        benchmark: its test images are shown.
        config: the run's.
        compute: device and precision.
        out: the run's folder.

    Returns:
        ``{"file", "caption", "alt"}`` of each, in the order of the report.
    """
    ddgan.eval()
    query, gallery = benchmark.query, benchmark.gallery
    shown: list[Shown] = []

    decoded = bool(config.ddgan.steps and config.ddgan.weights.reconstruction)
    if decoded:  # else there is nothing to see
        shown += _decoded(ddgan, benchmark, config, compute)

    shown.append((
        "ranked_lists", _ranked_lists(query, gallery, query_features, gallery_features, config),
        "What DI-REID finds: test queries and the gallery images nearest to them, right ones "
        "ticked.",
        "Six query images, each followed by the seven gallery images found for it, marked right "
        "or wrong.",
    ))  # fmt: skip

    if (out / "logs" / "ddgan.jsonl").exists() and read_logs(out, "ddgan"):
        shown.append((
            "loss_curves", ddgan_curves(out),
            "The losses of stage 1, each unweighted; D_r and D_d are the discriminators' own.",
            "One panel for each loss of stage 1 against the training step.",
        ))  # fmt: skip

    codes = extract(
        ddgan, ddgan.generator.degradation_encoder, query + gallery, config.size, compute
    )
    levels = [record.level for record in query + gallery]
    known = None not in levels
    colours = np.array(levels if known else [record.camid for record in query + gallery])
    label = "true degradation level" if known else "camera"
    if decoded and len(codes) >= 5:  # fewer points have no neighbourhoods
        shown.append((
            "degradation_codes", figures.degradation_tsne(codes, colours, config.seed, label),
            f"Degradation codes of all test images, laid out by t-SNE (figure 7), by {label}.",
            f"A cloud of points, one for each test image, coloured by {label}.",
        ))  # fmt: skip

    curves = {name: scores[name].cmc for name in COMPARED if name in scores}
    shown.append((
        "cmc", figures.cmc_curves(curves),
        "Single-shot CMC: the share of queries whose person is among the first k.",
        "One rising curve for each method, from Rank-1 to Rank-20.",
    ))  # fmt: skip

    if by_level is not None:
        edges = by_level["DI-REID"]["edges"]
        methods = [m for m in (*COMPARED, "f_inv after stage 1") if m in by_level]
        bars = {name: (by_level[name]["means"], by_level[name]["errors"]) for name in methods}
        shown.append((
            "rank1_by_level", figures.rank1_by_level(bars, edges),
            "Rank-1 from the mildest to the hardest quarter of the queries' true degradation, with "
            "standard errors over test people.",
            "One line for each method across four quarters of the degradation level.",
        ))  # fmt: skip
    if by_level is not None and config.ddgan.steps:
        judge = ddgan.discriminators.degradation.score
        judged = extract(ddgan, judge, query, config.size, compute)
        truth = np.array([record.level for record in query])
        shown.append((
            "degradation_scores", figures.score_against_level(judged, truth),
            "D_d's score of every query against its true degradation level, which training never "
            "saw.",
            "A scatter of predicted degradation scores against true levels.",
        ))  # fmt: skip

    folder = out / "pictures"
    folder.mkdir(exist_ok=True)
    for name, figure, _, _ in shown:
        figures.save(figure, folder / f"{name}.png")
    return [
        {"file": f"pictures/{name}.png", "caption": caption, "alt": alt}
        for name, _, caption, alt in shown
    ]


def _decoded(
    ddgan: DDGAN, benchmark: Benchmark, config: Config, compute: Compute
) -> Iterator[Shown]:
    """What G makes of test images: swaps, and self-degraded images."""
    query, gallery = benchmark.query, benchmark.gallery
    donors = [*_spread(gallery, 1), *_spread(query, 4)]
    contents = _load([*_spread(gallery, 3, offset=1), *_spread(query, 2, offset=1)], config)
    donated = _load(donors, config)
    swapped = swaps(ddgan, compute.to_device(contents), compute.to_device(donated)).cpu()
    yield (
        "swaps", figures.swap_grid(contents, donated, swapped),
        "Swapped degradations (figures 5 and 6 of the paper): each row keeps the content of its "
        "first image, each column is decoded with the degradation code of its top image.",
        "A grid of decoded pedestrian images: the person changes from row to row; the first "
        "column, decoded like a sharp donor, is crisper than those decoded like poor ones.",
    )  # fmt: skip

    real = compute.to_device(_load([*_spread(gallery, 5), *_spread(query, 2)], config))
    degrade = SelfDegradation(config.self_degradation)
    made = reconstructions(ddgan, real, degrade, compute.generator(config.seed))
    first = made.pop("decoded")
    yield (
        "reconstructions", figures.reconstruction_grid(real, first, made),
        "Self-degradation: an image, its reconstruction, its degraded copy, the copy's content "
        "with the original's degradation code, and the original's content with the copy's code.",
        "Five rows of pedestrian images: inputs, reconstructions, blurred copies, repaired copies, "
        "and images that the decoder degraded.",
    )  # fmt: skip


def _ranked_lists(
    query: Sequence[Record],
    gallery: Sequence[Record],
    query_features: np.ndarray,
    gallery_features: np.ndarray,
    config: Config,
) -> Figure:
    chosen = [query.index(record) for record in _spread(query, 6)]
    unit = gallery_features / np.linalg.norm(gallery_features, axis=1, keepdims=True)
    pids = np.array([record.pid for record in gallery])
    camids = np.array([record.camid for record in gallery])
    rows, correct = [], []
    for index in chosen:
        similarity = unit @ query_features[index]
        own = (pids == query[index].pid) & (camids == query[index].camid)
        order = np.argsort(np.where(own, np.inf, -similarity))[:7]
        rows.append(_load([gallery[i] for i in order], config))
        correct.append(pids[order] == query[index].pid)
    levels = [query[index].level for index in chosen]
    return figures.ranked_lists(
        _load([query[index] for index in chosen], config),
        torch.stack(rows),
        np.array(correct),
        None if None in levels else levels,  # type: ignore[arg-type]
    )


def _spread(records: Sequence[Record], count: int, offset: int = 0) -> list[Record]:
    """``count`` images of different people, evenly over the degradation level where it is known."""
    ordered = sorted(records, key=lambda r: (r.level or 0.0, r.name))
    people: set[int] = set()
    chosen = []
    for number in range(count):
        start = (2 * number + 1) * len(ordered) // (2 * count) + offset * 7
        for record in (ordered[(start + k) % len(ordered)] for k in range(len(ordered))):
            if record.pid not in people:
                break
        people.add(record.pid)
        chosen.append(record)
    return chosen


def _load(records: Sequence[Record], config: Config) -> Tensor:
    return Images(records, *config.size).all()
