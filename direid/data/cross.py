"""Cross-resolution and cross-illumination versions of a benchmark (paper 4.1).

Some cameras become bad ones. Each of their images, training images included, is degraded by a
strength of its own:

- "resolution": down-sampled by a ratio from {1/2, 1/3, 1/4}, bicubic with antialiasing; the image
  *stays* small: enlarging it again is the loader's business, as for a truly distant person;
- "illumination": gamma correction of the 8-bit values, exponent uniform in [2, 3.5].

A bad image is then searched for among good ones: queries are the original queries of the degraded
cameras, the gallery is the original gallery of the others. A query whose person has no clean
gallery image has no answer, so it is left out and counted in `Benchmark.notes`; the gallery images
of people without a query stay, as people to be mistaken for.

Nothing is decoded here. An image is degraded whenever it is read, so that a version of MSMT17 takes
no more memory than its list of files; `build` writes one to disk where speed matters.
"""

from collections.abc import Collection
from dataclasses import replace
from functools import partial

import numpy as np
from PIL import Image

from direid.data.records import (
    PARTS,
    Benchmark,
    Record,
    answerable,
    draw,
    read_image,
    shuffled,
)
from direid.errors import DireidError

KINDS = ("resolution", "illumination")
RATIOS = (2, 3, 4)
GAMMA = (2.0, 3.5)


def cross(
    benchmark: Benchmark,
    kind: str,
    camids: Collection[int] | None = None,
    seed: int = 0,
    name: str | None = None,
) -> Benchmark:
    """The benchmark with the images of some cameras degraded, and searched for among the others'.

    Args:
        benchmark: of clean images; its protocol is kept.
        kind: one of `KINDS`.
        camids: the cameras to degrade: some, not all. None draws half of the test cameras, at least
            one, among those that took queries.
        seed: of the cameras, and with the name of each image, of its strength.
        name: of the result; None means "NAME_KIND", as market1501_resolution.

    Returns:
        A benchmark whose `Record.level` is 0 for clean images and grows with the strength to 1:
        (ratio - 1) / 3 or (exponent - 1) / 2.5.

    Raises:
        DireidError: unknown kind or cameras, images degraded already, no query or gallery left.
    """
    name = name or f"{benchmark.name}_{kind}"
    if kind not in KINDS:
        raise DireidError(f"unknown degradation {kind!r}: choose from {', '.join(KINDS)}")
    for record in (r for part in PARTS for r in getattr(benchmark, part)):
        if record.level:
            raise DireidError(
                f"{benchmark.name}: {record.name} is degraded already (level {record.level:.2f}); "
                "expected a benchmark of clean images"
            )
    poor = _cameras(benchmark, camids, seed, name)

    def version(records: tuple[Record, ...]) -> tuple[Record, ...]:
        return tuple(
            _degraded(r, kind, seed, name) if r.camid in poor else replace(r, level=0.0)
            for r in records
        )

    gallery = tuple(r for r in benchmark.gallery if r.camid not in poor)
    query, notes = answerable(tuple(r for r in benchmark.query if r.camid in poor), gallery)
    if not query:
        raise DireidError(
            f"{name}: no query of cameras {_listed(poor)} has a gallery image of another camera; "
            f"queries are from {_listed({r.camid for r in benchmark.query})}, gallery images from "
            f"{_listed({r.camid for r in benchmark.gallery})}: degrade other cameras"
        )
    notes = (*benchmark.notes, f"degraded ({kind}): cameras {_listed(poor)}", *notes)
    parts = version(benchmark.train), version(query), version(gallery)
    return Benchmark(name, *parts, benchmark.protocol, notes)


def shrink(image: np.ndarray, ratio: int) -> np.ndarray:
    """Down-sample uint8 (H, W, 3) to (H / ratio, W / ratio, 3), rounded; bicubic, antialiased."""
    height, width = image.shape[:2]
    size = (max(1, round(width / ratio)), max(1, round(height / ratio)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def darken(image: np.ndarray, exponent: float) -> np.ndarray:
    """Gamma correction of uint8 (H, W, 3): 255 (x / 255) ** exponent, rounded."""
    values = np.round(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
    return values[image]


def _degraded(record: Record, kind: str, seed: int, name: str) -> Record:
    """The record with its image degraded on reading; the strength depends on (seed, its name)."""
    if kind == "resolution":
        ratio = RATIOS[draw(seed, f"{name} ratio", record.name) % len(RATIOS)]
        return replace(record, image=partial(_shrunk, record, ratio), level=(ratio - 1) / 3)
    low, high = GAMMA
    exponent = low + (high - low) * draw(seed, f"{name} gamma", record.name) / 2**64
    level = (exponent - 1) / (high - 1)
    return replace(record, image=partial(_darkened, record, exponent), level=level)


# Functions of the module, not closures: records travel to the processes that load images.
def _shrunk(record: Record, ratio: int) -> np.ndarray:
    return shrink(read_image(record), ratio)


def _darkened(record: Record, exponent: float) -> np.ndarray:
    return darken(read_image(record), exponent)


def _cameras(
    benchmark: Benchmark, camids: Collection[int] | None, seed: int, name: str
) -> frozenset[int]:
    asked = {r.camid for r in benchmark.query}
    if camids is None:
        half = len(asked | {r.camid for r in benchmark.gallery}) // 2
        return frozenset(shuffled(asked, seed, f"{name} cameras")[: max(1, half)])
    there = {r.camid for part in PARTS for r in getattr(benchmark, part)}
    if not camids or set(camids) - there or set(camids) == there:
        raise DireidError(
            f"cameras {_listed(camids) or 'none'} to degrade: expected some, not all, of those of "
            f"{benchmark.name}, {_listed(there)}"
        )
    return frozenset(camids)


def _listed(camids: Collection[int]) -> str:
    return ", ".join(map(str, sorted(camids)))
