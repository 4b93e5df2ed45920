"""What the chapters start from: one small benchmark, and networks trained on it beforehand.

`scripts/train_book.py` made the networks, in a few minutes on a CPU; `book/checkpoints` holds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from direid.config import Config, load_preset, merge
from direid.data.loaders import Images
from direid.data.paper_dolls import paper_dolls
from direid.data.records import Benchmark, Record
from direid.training.compute import Compute
from direid.training.stages import Networks, load_networks

PEOPLE = {"train_people": 100, "test_people": 100}
SETTINGS: dict[str, dict] = {  # over the preset tiny
    "network": {
        "base": 16, "content": 32, "scale_channels": 16, "invariant": 128, "encoder_base": 16,
        "decoder_hidden": 64,
    },
    "identity": {"steps": 400},
    "ddgan": {"steps": 1_500},
    "dfen": {"steps": 400},
}  # fmt: skip


@dataclass
class Book:
    """The benchmark of the chapters, the settings, and the networks trained with them."""

    benchmark: Benchmark
    config: Config
    compute: Compute
    networks: Networks

    def images(self, records: list[Record] | tuple[Record, ...]) -> Tensor:
        """The images (N, 3, H, W) in [0, 1] of N records, on the book's device."""
        return self.compute.to_device(Images(records, *self.config.size).all())


def settings(changes: dict | None = None) -> Config:
    """The configuration of the book's networks, with ``changes`` of one's own (nested) over it."""
    return load_preset("tiny", merge(SETTINGS, changes or {}))


def benchmark() -> Benchmark:
    """Drawn people: 100 to learn from and 100 to find, seen by a sharp and by a poor camera."""
    return paper_dolls(0, **PEOPLE)


def load(folder: Path = Path()) -> Book:
    """The benchmark of the chapters and the trained networks, in evaluation mode.

    Among the networks are ``tricks``, the baseline, ``identity``, which holds E_id, ``ddgan`` and
    ``dfen``.

    Raises:
        DireidError: ``folder`` holds no checkpoints.
    """
    config, people = settings(), benchmark()
    compute = Compute.of(config)
    networks = load_networks(folder, compute, config, people)
    for network in vars(networks).values():
        if network is not None:
            network.eval()
    return Book(people, config, compute, networks)


def between(value: float, low: float, high: float) -> str:
    """The range in which a number lies, such as «20 to 36», after a check that it does.

    A short training gives other numbers on another processor: wider instructions add in another
    order, and training amplifies the difference. So a chapter prints the range that holds on all.

    Raises:
        AssertionError: ``value`` lies outside, or is not a number.
    """
    if not low <= value <= high:
        raise AssertionError(f"{value:.3g} lies outside {low:g} to {high:g}")
    return f"{low:g} to {high:g}"
