"""What the paper shows in pictures (figures 5 to 7, section 4.5), as numbers with a spread.

    direid experiment book/plans/ablation.toml --out runs/ablation --keep
    python -m benchmarks.claims book/plans/ablation.toml runs/ablation --out claims.json

Every drawn split of the plan has other people and a training of its own. The networks are those
that the plan's `di_reid` left behind. The judge of who is on an image is an identity encoder of
another seed, trained here: it took no part in stage 1, and has not E_id's first weights.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from direid import data, pipeline
from direid.config import Config
from direid.data.loaders import Images
from direid.data.paper_dolls import paper_dolls
from direid.data.records import Record
from direid.degradations import SelfDegradation, real_like
from direid.errors import DireidError
from direid.evaluation.features import extract
from direid.evaluation.report import environment, save_json
from direid.experiments import Plan, read_plan
from direid.experiments.plan import Cell
from direid.models import DDGAN, Generator, IdentityNetwork
from direid.models.discriminator import DegradationDiscriminator
from direid.training import checkpoint
from direid.training.compute import Compute
from direid.training.identity import train_identity

DEFINITIONS = {
    "moved": "of the way from an image's own statistic (decoded with its own code) to the donor's, "
    "how much the swapped image goes; means of logarithms over one image of each test person",
    "sharpness": "mean absolute Laplacian of the grey image",
    "brightness": "mean of the pixels",
    "kept": "how often the nearest gallery image, by the judge, shows the content's person; beside "
    "it, the same for the image before the swap and for the donor's person",
    "level": "R^2 of a ridge regression of the true level, people held out, queries",
    "person": "share right of a logistic regression of the person, one image in four held out",
    "spearman": "rank correlation with the true level, held-out queries; shifted: the mean score "
    "over flips and shifts of up to two pixels",
    "codes_r2": "R^2 of the level as the mean of the ten nearest codes of other people",
    "told": "how often a logistic regression, people held out, tells images from really degraded "
    "ones by their spectra and five statistics; 0.5: it cannot",
}
SHIFTS = (-2, 0, 2)
CAMERAS = ("paper_dolls", "paper_dolls_dark")  # drawn, with one fault: a plain statistic tells it


@dataclass
class Trained:
    """One split: its test images and the networks trained beside it."""

    config: Config
    compute: Compute
    query: tuple[Record, ...]  # really degraded
    gallery: tuple[Record, ...]  # clean
    clean: tuple[Record, ...]  # the queries as they were before they were degraded
    ddgan: DDGAN
    judge: IdentityNetwork

    def images(self, records: Sequence[Record]) -> Tensor:
        """(N, 3, H, W) in [0, 1]."""
        return Images(records, *self.config.size).all()

    def vectors(self, network: nn.Module, of: Callable, records: Sequence[Record]) -> np.ndarray:
        """``of`` every image, flattened: (N, F)."""
        found = extract(network, of, records, self.config.size, self.compute)
        return found.reshape(len(records), -1)


def load(plan: Plan, cell: Cell, runs: Path) -> Trained:
    """The networks of a split, and its images."""
    config = plan.config(cell)
    benchmark = pipeline.load_benchmark(config)
    compute = Compute("cpu")

    path = runs / cell.group / "di_reid" / "checkpoints" / "ddgan.pt"
    state = checkpoint.load(path)
    checkpoint.check_unseen(state, path, benchmark)
    ddgan = DDGAN(config.network, benchmark.people)
    checkpoint.restore(ddgan, state, path)
    other = config.model_copy(update={"seed": config.seed + 1000})
    with tempfile.TemporaryDirectory() as folder:
        common = benchmark, other, Compute.of(config), Path(folder)
        judge = train_identity("judge", config.identity.steps, True, *common)
    height, width = config.size
    clean = paper_dolls(
        data.drawing_seed(config.split), train_people=1, height=height, width=width,
        degradation=data.KINDS[cell.data], degrade_queries=False,
    ).query  # fmt: skip
    if [r.name for r in clean] != [r.name for r in benchmark.query]:
        raise DireidError(f"{cell.name}: the clean queries are not those of the benchmark")
    for network in (ddgan, judge):
        network.eval().requires_grad_(False)
    return Trained(config, compute, benchmark.query, benchmark.gallery, clean, ddgan, judge)


# The claims ---------------------------------------------------------------------------------------


def disentanglement(of: Trained, kind: str) -> dict:
    """Figures 5 and 6: do swaps move the degradation and leave the person? What leaks?"""
    made, judge = of.ddgan.generator, of.judge
    pids = np.array([r.pid for r in of.query])
    one = np.arange(0, len(pids), 4)  # one image of each person; four look-alikes in a row
    others = np.setdiff1d(np.arange(len(pids)), one)
    donor = np.roll(one, -10)  # of another family
    poor, sharp = of.images(of.query), of.images(of.gallery)
    known = _unit(judge, sharp[others])
    measure = sharpness if kind == "resolution" else brightness

    def nearest(images: Tensor, whose: np.ndarray) -> float:
        found = (_unit(judge, images) @ known.T).argmax(dim=1).numpy()
        return float((pids[others][found] == whose).mean())

    result: dict = {}
    for name, a, b in (("bad to good", poor, sharp), ("good to bad", sharp, poor)):
        x_a, x_b = a[one], b[donor]
        x_ab, x_aa = decode(made, x_a, x_b), decode(made, x_a, x_a)
        own, new, goal = (measure(x).log().mean().item() for x in (x_aa, x_ab, x_b))
        result[name] = {
            "moved": (new - own) / (goal - own),
            "kept": nearest(x_ab, pids[one]),
            "before": nearest(x_a, pids[one]),
            "donor": nearest(x_ab, pids[donor]),
        }
    trunk = judge.encoder.trunk
    looks = {
        "f_d": (of.ddgan, made.degradation_encoder),
        "f_c": (of.ddgan, _coarse(made.content_encoder.content)),
        "f_inv": (of.ddgan, made.content_encoder.invariant),
        "ResNet, same depth": (
            judge, _coarse(lambda x: trunk(judge.encoder.normalise(x), stages=2)[2])
        ),
        "ResNet, last": (judge, judge.encoder),
        "one statistic": (judge, lambda x: measure(x)[:, None]),
    }  # fmt: skip
    levels = np.array([r.level for r in of.query])
    result["probes"] = {name: _probe(of, *look, levels, pids) for name, look in looks.items()}
    return result


def authenticity(of: Trained, kind: str) -> dict:
    """Section 4.5: are degraded images that the decoder makes closer to real ones than F_deg's?"""
    made, clean = of.ddgan.generator, of.images(of.clean)
    poor, groups = of.images(of.query), np.array([r.pid for r in of.query])
    f_deg = SelfDegradation(of.config.self_degradation)(clean, _random(1))
    levels = torch.rand(len(clean), generator=_random(2))
    images = {
        "F_deg": f_deg,
        "decoder, E_d'": decode(made, clean, f_deg, made.self_degradation_encoder),
        "decoder, E_d": decode(made, clean, poor.roll(40, 0)),
        "the camera itself": real_like(clean, levels, kind, _random(3)),
    }
    seen = {"everything": slice(None), "spectrum": slice(0, 12), "coarse": slice(0, 4)}
    goal = _features(poor)
    found = {name: _features(x) for name, x in images.items()}
    return {
        name: {judge: _told_apart(x[:, c], goal[:, c], groups) for judge, c in seen.items()}
        for name, x in found.items()
    }


def manifold(of: Trained, kind: str) -> dict:
    """Figure 7: do D_d's score and E_d's codes know how bad an image is?"""
    levels = np.array([r.level for r in of.query])
    pids = np.array([r.pid for r in of.query])
    judge, codes = of.ddgan.discriminators.degradation, of.ddgan.generator.degradation_encoder
    plain = sharpness if kind == "resolution" else brightness

    scores = {
        "D_d": of.vectors(of.ddgan, judge.score, of.query)[:, 0],
        "D_d, shifted": of.vectors(of.ddgan, lambda x: shifted(judge, x), of.query)[:, 0],
        "plain statistic": -of.vectors(of.judge, plain, of.query)[:, 0],
    }
    points = of.vectors(of.ddgan, codes, of.query)
    result = {name: float(spearmanr(s, levels).statistic) for name, s in scores.items()}
    return {"spearman": result, "codes_r2": _neighbours_r2(points, levels, pids)}


CLAIMS = {"disentanglement": disentanglement, "authenticity": authenticity, "manifold": manifold}


# What they are made of ----------------------------------------------------------------------------


def sharpness(x: Tensor) -> Tensor:
    """Mean absolute Laplacian of images (B, 3, H, W), (B,)."""
    return _filtered(x, [[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])


def brightness(x: Tensor) -> Tensor:
    """Mean of all pixels, (B,)."""
    return x.mean(dim=(1, 2, 3))


def shifted(judge: DegradationDiscriminator, x: Tensor) -> Tensor:
    """D_d's mean score over flips and shifts of images (B, 3, H, W) by up to two pixels, (B,)."""
    big = F.pad(x, (2, 2, 2, 2), mode="replicate")
    height, width = x.shape[2:]
    moved = [big[:, :, 2 + dy :, 2 + dx :][:, :, :height, :width]
             for dy in SHIFTS for dx in SHIFTS]  # fmt: skip
    return torch.stack([judge.score(y) for x in moved for y in (x, x.flip(3))]).mean(dim=0)


def spectrum(x: Tensor, bins: int = 12) -> Tensor:
    """Radial power spectrum of the grey images, (B, bins); the last bin ends at half a cycle."""
    height, width = x.shape[2:]
    grey = x.mean(dim=1)
    power = torch.fft.fft2(grey - grey.mean(dim=(1, 2), keepdim=True)).abs() ** 2 / height / width
    radius = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)[None])
    which = (radius * 2 * bins).long().clamp(max=bins - 1)
    return torch.stack([power[:, which == b].mean(dim=1) for b in range(bins)], dim=1)


def _filtered(x: Tensor, kernel: list[list[float]]) -> Tensor:
    grey = x.mean(dim=1, keepdim=True)
    return F.conv2d(grey, torch.tensor(kernel)[None, None]).abs().mean(dim=(1, 2, 3))


def _features(x: Tensor) -> np.ndarray:
    """Logarithms of the spectrum, and brightness, contrast, colour, sharpness, grain: (B, 17)."""
    grain = _filtered(x, [[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]])  # blind to straight edges
    five = torch.stack(
        [brightness(x), x.mean(dim=1).std(dim=(1, 2)), x.std(dim=1).mean(dim=(1, 2)),
         sharpness(x).clamp_min(1e-9).log(), grain.clamp_min(1e-9).log()], dim=1,
    )  # fmt: skip
    return torch.cat([spectrum(x).clamp_min(1e-12).log(), five], dim=1).numpy()


def _told_apart(a: np.ndarray, b: np.ndarray, groups: np.ndarray) -> float:
    x, y = np.concatenate([a, b]), np.repeat([0, 1], [len(a), len(b)])
    line = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    guess = cross_val_predict(line, x, y, cv=GroupKFold(5), groups=np.tile(groups, 2))
    return float((guess == y).mean())


def _probe(
    of: Trained, network: nn.Module, look: Callable, levels: np.ndarray, pids: np.ndarray
) -> dict[str, float]:
    query, gallery = (of.vectors(network, look, part) for part in (of.query, of.gallery))
    ridge = make_pipeline(StandardScaler(), Ridge(10.0))
    guess = cross_val_predict(ridge, query, levels, cv=GroupKFold(5), groups=pids)
    both, who = np.concatenate([query, gallery]), np.tile(pids, 2)
    fourth = np.arange(len(both)) % 4 == 3
    sort: Pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    sort.fit(both[~fourth], who[~fourth])
    return {
        "level": 1 - float(((levels - guess) ** 2).mean() / levels.var()),
        "person": float(sort.score(both[fourth], who[fourth])),
    }


def _neighbours_r2(points: np.ndarray, levels: np.ndarray, pids: np.ndarray, k: int = 10) -> float:
    z = StandardScaler().fit_transform(points)
    apart = (z**2).sum(1)[:, None] + (z**2).sum(1)[None] - 2 * z @ z.T
    apart[pids[:, None] == pids[None]] = np.inf
    guess = levels[np.argsort(apart, axis=1)[:, :k]].mean(axis=1)
    return 1 - float(((levels - guess) ** 2).mean() / levels.var())


def _coarse(look: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A map (B, C, H, W) as means over a 4 x 2 grid."""
    return lambda x: F.adaptive_avg_pool2d(look(x), (4, 2)).flatten(1)


def decode(
    made: Generator,
    content: Tensor,
    degradation: Tensor,
    encoder: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """The content of one batch with what ``encoder``, E_d, reads in another, clamped, in pieces."""
    encoder = encoder or made.degradation_encoder
    pieces = zip(content.split(128), degradation.split(128), strict=True)
    of = made.content_encoder.content
    with torch.no_grad():
        return torch.cat([made.decoder(of(a), encoder(b)).clamp(0, 1) for a, b in pieces])


@torch.no_grad()
def _unit(judge: IdentityNetwork, images: Tensor) -> Tensor:
    return F.normalize(torch.cat([judge.embed(part) for part in images.split(128)]))


def _random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def options_of(description: str, arguments: list[str] | None) -> argparse.Namespace:
    """A plan, the folder in which its networks were kept, and where the result goes."""
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("plan", type=Path)
    parser.add_argument("experiment", type=Path, help="its folder, run with --keep")
    parser.add_argument("--out", type=Path, required=True, help="JSON")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    options = options_of(__doc__, arguments)
    plan = read_plan(options.plan)
    found = []
    for cell in (c for c in plan.cells() if c.method == "di_reid" and c.data in CAMERAS):
        kind = data.KINDS[cell.data]
        of = load(plan, cell, options.experiment / "runs")
        line = {"data": cell.data, "split": cell.split, "seed": cell.seed}
        found.append(line | {name: claim(of, kind) for name, claim in CLAIMS.items()})
        print(cell.group, flush=True)
    config = of.config.model_copy(update={"root": None})
    save_json(
        {
            "title": "Swaps, leakage, authenticity and the degradation manifold, by split",
            "plan": plan.name, "definitions": DEFINITIONS, "cells": found,
            "config": config.model_dump(mode="json"), **environment(),
        },
        options.out,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
