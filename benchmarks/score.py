"""How well can D_d order images by their true level? D_d trained alone, twice as long as in tiny.

    python -m benchmarks.score --out book/results/score.json

D_d learns from images and their self-degraded copies only, so with all lambdas of equations 11 and
12 at 0 stage 1 trains it as the whole method does, in a minute. The number of steps, and the mean
over flips and shifts, were chosen on split 7, which is not run here.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.claims import CAMERAS, DEFINITIONS, brightness, sharpness, shifted
from direid import data, pipeline
from direid.config import Config, load_preset
from direid.config.settings import Weights
from direid.data.loaders import Images
from direid.data.records import Benchmark, Record
from direid.evaluation.report import environment, save_json
from direid.models import DDGAN
from direid.models.discriminator import DegradationDiscriminator
from direid.training.compute import Compute
from direid.training.ddgan import train_ddgan

SPLITS, STEPS = (0, 1, 2, 3, 4), 1_600
NOTHING_ELSE = dict.fromkeys(Weights.model_fields, 0)


def settings(name: str, split: int, steps: int = STEPS) -> Config:
    """Preset tiny with nothing but D_d's own objective."""
    ddgan = {"steps": steps, "weights": NOTHING_ELSE}
    return load_preset("tiny", {"data": name, "split": split, "sample_every": 0, "ddgan": ddgan})


def train_judge(config: Config, benchmark: Benchmark) -> DegradationDiscriminator:
    """D_d, in evaluation mode."""
    torch.manual_seed(config.seed)
    teacher = DDGAN(config.network, benchmark.people).identity_encoder  # it teaches nothing here
    with tempfile.TemporaryDirectory() as folder:
        nets = train_ddgan(teacher, benchmark, config, Compute.of(config), Path(folder))
    return nets.cpu().eval().discriminators.degradation


@torch.no_grad()
def correlations(
    judge: DegradationDiscriminator, records: Sequence[Record], config: Config
) -> dict:
    """Spearman's rank correlation of each score with the true level of the records."""
    images = Images(records, *config.size).all().split(128)
    levels = np.array([record.level for record in records])
    plain = sharpness if data.KINDS[config.data] == "resolution" else brightness
    scores = {
        "D_d": judge.score,
        "D_d, shifted": lambda x: shifted(judge, x),
        "plain statistic": lambda x: -plain(x),
    }
    return {
        name: float(spearmanr(torch.cat([score(x) for x in images]).numpy(), levels).statistic)
        for name, score in scores.items()
    }


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON")
    options = parser.parse_args(arguments)
    found = []
    for name in CAMERAS:
        for split in SPLITS:
            config = settings(name, split)
            benchmark = pipeline.load_benchmark(config)
            judge = train_judge(config, benchmark)
            spearman = correlations(judge, benchmark.query, config)
            found.append({
                "data": name, "split": split, "seed": config.seed,
                "split_hash": benchmark.split_hash, "spearman": spearman,
            })  # fmt: skip
            print(name, split, *(f"{k} {v:.3f}" for k, v in spearman.items()), flush=True)
    save_json(
        {
            "title": "D_d alone, 1,600 steps: rank correlation with the level of unseen people",
            "definition": DEFINITIONS["spearman"], "cells": found,
            "config": config.model_dump(mode="json", exclude={"root"}), **environment(),
        },
        options.out,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
