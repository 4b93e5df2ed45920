"""Degradations that no training image had: the networks of a plan, on their own test people.

    direid experiment book/plans/ablation_dark.toml --out runs/ablation_dark --keep
    python -m benchmarks.unseen book/plans/ablation_dark.toml runs/ablation_dark --out unseen.json

Of the plan's methods those that decide are tested. Nothing is trained. The same test people are
photographed anew: by the drawn benchmark's other camera, and by a camera that has both faults at
once. The gallery is as it was. And beside each method stands the same with its queries *restored*:
each is decoded with the mean code of the good camera's training images, by the networks of
`di_reid`, and both embeddings are averaged. The result has the form of an experiment's cells, so
that `direid.experiments.difference` compares in pairs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
import torch
from torch import nn

from benchmarks.claims import CAMERAS, decode, options_of
from direid import data
from direid.config import Config
from direid.data.loaders import Images
from direid.data.paper_dolls import paper_dolls
from direid.data.records import Benchmark, Record
from direid.degradations import real_like
from direid.evaluation import ranks
from direid.evaluation.features import extract
from direid.evaluation.report import environment, save_json
from direid.experiments import Plan, read_plan
from direid.experiments.plan import Cell
from direid.models import DDGAN
from direid.pipeline import load_benchmark
from direid.training.compute import Compute
from direid.training.stages import load_networks

TESTS = ("as in training", "the other camera", "both at once")
METHODS = (
    "tricks", "augmented", "di_reid", "without_dil_but_identification", "without_attention",
)  # fmt: skip


def photographed(benchmark: Benchmark, config: Config) -> dict[str, tuple[Record, ...]]:
    """The test people under `TESTS`: query records, in the benchmark's order.

    "as in training" is the benchmark's own query. "the other camera" is the query of the drawn
    benchmark of the other kind. "both at once" takes the figures as they were drawn through both
    cameras, first the one of low resolution, each at the level that this photograph has in its own
    benchmark.
    """
    other = next(name for name in CAMERAS if name != benchmark.name)
    height, width = config.size
    size = {"train_people": 1, "height": height, "width": width}
    test = len({record.pid for record in benchmark.query})
    size["images_per_camera"] = len(benchmark.query) // test
    seed = data.drawing_seed(config.split)

    def drawn(name: str, degraded: bool = True) -> tuple[Record, ...]:
        return paper_dolls(
            seed, test_people=test, degradation=data.KINDS[name], degrade_queries=degraded, **size
        ).query

    strange, images = drawn(other), Images(drawn(other, False), height, width).all()
    levels = {
        data.KINDS[name]: torch.tensor([r.level for r in records])
        for name, records in ((benchmark.name, benchmark.query), (other, strange))
    }
    random = torch.Generator().manual_seed(seed)
    for kind in ("resolution", "illumination"):
        images = real_like(images, levels[kind], kind, random)
    both = _with_pixels(benchmark.query, images)
    if [r.name for r in strange] != [r.name for r in benchmark.query]:
        raise ValueError(f"{other} has other test photographs than {benchmark.name}")
    return dict(zip(TESTS, (benchmark.query, strange, both), strict=True))


@torch.no_grad()
def restored(ddgan: DDGAN, benchmark: Benchmark, config: Config) -> tuple[Record, ...]:
    """The query, each image with its own content and the good camera's degradation."""
    made, size = ddgan.eval().generator, config.size
    good = benchmark.gallery[0].camid
    known = Images([r for r in benchmark.train if r.camid == good], *size).all().split(128)
    code = torch.cat([made.degradation_encoder(x) for x in known]).mean(dim=0)
    images = Images(benchmark.query, *size).all()
    images = decode(made, images, images, lambda x: code.expand(len(x), -1))
    return _with_pixels(benchmark.query, images)


def cells_of(
    plan: Plan,
    cell: Cell,
    network: nn.Module,
    queries: dict[str, tuple[Record, ...]],
    made_good: tuple[Record, ...],
    benchmark: Benchmark,
    config: Config,
    compute: Compute,
) -> list[dict]:
    """Rank-1 of every query of one trained method, under each of `TESTS`, and restored."""

    def vectors(records: Sequence[Record]) -> np.ndarray:
        found = extract(network, network.embed, records, config.size, compute)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def numbers(records: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
        return np.array([r.pid for r in records]), np.array([r.camid for r in records])

    def scored(test: str, method: str, label: str, query: np.ndarray) -> dict:
        scores = ranks.evaluate(query, gallery, *pids, *camids, protocol=benchmark.protocol)
        return {
            **cell._asdict(), "data": test, "method": method, "trained_on": cell.data,
            "label": label, "split_hash": benchmark.split_hash,
            "rows": [{"method": label, "rank1": {"mean": round(100 * scores.rank1, 3)}}],
            "query_pids": [f"{cell.split} {pid}" for pid in pids[0]],  # others in each split
            "per_query": {label: {"rank1": np.round(scores.rank1_per_query, 5).tolist()}},
        }  # fmt: skip

    pids, camids = zip(numbers(benchmark.query), numbers(benchmark.gallery), strict=True)
    gallery, label = vectors(benchmark.gallery), plan.label(cell.method)
    features = {test: vectors(query) for test, query in queries.items()}
    found = [scored(test, cell.method, label, x) for test, x in features.items()]
    both = features[TESTS[0]] + vectors(made_good)
    name = f"{cell.method}_restored", f"{label}, restored"
    return [*found, scored(TESTS[0], *name, both)]


def _with_pixels(records: Sequence[Record], images: torch.Tensor) -> tuple[Record, ...]:
    pixels = (255 * images).round().byte().permute(0, 2, 3, 1).numpy()
    return tuple(replace(r, image=x) for r, x in zip(records, pixels, strict=True))


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    options = options_of(__doc__, arguments)
    plan, found = read_plan(options.plan), []
    drawn = (c for c in plan.cells() if c.data in CAMERAS and c.method in METHODS)
    for group, cells in groupby(drawn, key=lambda cell: cell.group):
        first, *others = cells
        benchmark = load_benchmark(plan.config(first))
        config, runs = plan.config(first), options.experiment / "runs" / group
        whole = load_networks(
            runs / "di_reid", Compute("cpu"), plan.config(first._replace(method="di_reid")),
            benchmark, ["ddgan"],
        )  # fmt: skip
        common = photographed(benchmark, config), restored(whole.ddgan, benchmark, config)
        for cell in (first, *others):
            config, stage = plan.config(cell), plan.stage(cell.method)
            compute = Compute.of(config)
            nets = load_networks(runs / cell.method, compute, config, benchmark, [stage])
            network = getattr(nets, stage)
            found += cells_of(plan, cell, network, *common, benchmark, config, compute)
        print(group, flush=True)
    save_json(
        {
            "title": "Rank-1 under other degradations than in training, and of restored queries",
            "plan": plan.name, "tests": list(TESTS), "cells": found, **environment(),
        },
        options.out, lines=True,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
