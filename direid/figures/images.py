"""Figures made of images: grids whose every panel is one picture."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from direid.errors import DireidError
from direid.figures.style import (
    BLUE,
    DPI,
    GREEN,
    ORANGE,
    PURPLE,
    WIDTH,
    Array,
    Picture,
    numbers,
    styled,
)


@styled
def contact_sheet(images: Array, titles: Sequence[str] | None = None, columns: int = 8) -> Figure:
    """Images (N) side by side, row after row, each over its title."""
    pixels = _pixels(images, "images")
    if titles is not None and len(titles) != len(pixels):
        raise DireidError(f"{len(titles)} titles for {len(pixels)} images: expected as many")
    columns = min(columns, len(pixels))
    rows = -(-len(pixels) // columns)
    figure, axes = _grid(rows, columns, pixels, room=0.2 * rows if titles else 0)
    for i, ax in enumerate(axes.flat):
        if i >= len(pixels):
            ax.remove()
            continue
        _show(ax, pixels[i])
        if titles is not None:
            ax.set_xlabel(fill(str(titles[i]), max(4, 75 // columns)), fontsize=9, labelpad=2)
    return figure


@styled
def degradation_grid(images: Array, degraded: Mapping[str, Array]) -> Figure:
    """Images (N) over their degraded copies, one row per kind or strength of degradation."""
    return _named_rows({"original": images, **degraded})


@styled
def reconstruction_grid(
    images: Array, reconstructions: Array, others: Mapping[str, Array] | None = None
) -> Figure:
    """Images (N) over what the decoder makes of them; ``others`` adds rows, such as restored."""
    return _named_rows({"input": images, "decoded": reconstructions, **(others or {})})


@styled
def feature_maps(images: Array, maps: Mapping[str, Array]) -> Figure:
    """Images (N) over feature maps (N, h, w), one row per network (figure 4).

    Each map is stretched to its own smallest and largest value: maps show where, not how much.
    """
    rows: dict[str, Array] = {"input": images}
    for name, values in maps.items():
        heat = numbers(values, name)
        if heat.ndim != 3:
            raise DireidError(f"{name}: feature maps have shape {heat.shape}: expected (N, h, w)")
        low, high = heat.min(axis=(1, 2), keepdims=True), heat.max(axis=(1, 2), keepdims=True)
        stretched = (heat - low) / np.maximum(high - low, 1e-12)
        rows[name] = mpl.colormaps["viridis"](stretched)[..., :3]
    return _named_rows(rows)


@styled
def swap_grid(content_images: Array, degradation_images: Array, swapped: Array) -> Figure:
    """Every content with every degradation (figures 5 and 6).

    Args:
        content_images: (N), who is in the picture: the first column.
        degradation_images: (M), how it is taken: the first row.
        swapped: (N, M, 3, H, W) or (N, M, H, W, 3): row n, column m has the content of image n and
            the degradation of image m.
    """
    contents = _pixels(content_images, "content images")
    degradations = _pixels(degradation_images, "degradation images")
    n, m = len(contents), len(degradations)
    if swapped.ndim != 5 or tuple(swapped.shape[:2]) != (n, m):
        raise DireidError(
            f"swapped images have shape {tuple(swapped.shape)}: expected {n} contents x {m} "
            f"degradations, ({n}, {m}, 3, H, W)"
        )
    swaps = _pixels(swapped.reshape(n * m, *swapped.shape[2:]), "swapped images")
    swaps = swaps.reshape(n, m, *swaps.shape[1:])
    figure, axes = _grid(n + 1, m + 1, swaps[0], room=0.35, side=0.3)
    axes[0, 0].remove()
    for row, content in enumerate(contents, start=1):
        _show(axes[row, 0], content, frame=GREEN)
    for column, degradation in enumerate(degradations, start=1):
        _show(axes[0, column], degradation, frame=PURPLE)
    for row in range(n):
        for column in range(m):
            _show(axes[row + 1, column + 1], swaps[row, column])
    figure.suptitle("degradation taken from  →", fontsize=11)
    figure.supylabel("←  content taken from", fontsize=11)
    return figure


@styled
def ranked_lists(
    queries: Array, ranked: Array, correct: Array, levels: Sequence[float] | None = None
) -> Figure:
    """Each query and the gallery images found for it, nearest first, right ones ticked.

    Args:
        queries: (Q).
        ranked: (Q, K, 3, H, W) or (Q, K, H, W, 3), gallery images in the order found.
        correct: (Q, K), true where the person is the query's.
        levels: true degradation of each query, (Q,), written beside it.
    """
    query_pixels = _pixels(queries, "queries")
    marks = numbers(correct, "correct").astype(bool)
    q = len(query_pixels)
    if ranked.ndim != 5 or len(ranked) != q:
        raise DireidError(
            f"ranked images have shape {tuple(ranked.shape)}: expected ({q}, K, 3, H, W)"
        )
    k = ranked.shape[1]
    if marks.shape != (q, k) or (levels is not None and len(levels) != q):
        raise DireidError(
            f"correct has shape {marks.shape}"
            + ("" if levels is None else f" and there are {len(levels)} levels")
            + f": expected ({q}, {k}) and {q}, for {q} queries with {k} images each"
        )
    found = _pixels(ranked.reshape(q * k, *ranked.shape[2:]), "ranked images")
    found = found.reshape(q, k, *found.shape[1:])
    figure, axes = _grid(q, k + 1, query_pixels, room=0.3, side=0.6 if levels is not None else 0)
    for row in range(q):
        _show(axes[row, 0], query_pixels[row], frame="black")
        if levels is not None:
            axes[row, 0].set_ylabel(
                f"level\n{levels[row]:.2f}", rotation=0, ha="right", va="center"
            )
        for column in range(k):
            ax, right = axes[row, column + 1], marks[row, column]
            _show(ax, found[row, column], BLUE if right else ORANGE, width=2.6 if right else 1.0)
            ax.text(
                0.96, 0.98, "✓" if right else "✗", transform=ax.transAxes, ha="right", va="top",
                color="white", fontsize=9, fontweight="bold",
                bbox={"boxstyle": "round,pad=0.15", "color": BLUE if right else ORANGE},
            )  # fmt: skip
    for column, ax in enumerate(axes[0]):
        ax.set_title("query" if column == 0 else str(column), fontsize=10, pad=4)
    return figure


def _pixels(images: Array, name: str) -> np.ndarray:
    """Images as (N, H, W, 3), either uint8 or float in [0, 1]."""
    pixels = numbers(images, name)
    if (
        pixels.ndim == 4
        and pixels.shape[1] == 3
        and (isinstance(images, Tensor) or pixels.shape[3] != 3)
    ):
        pixels = pixels.transpose(0, 2, 3, 1)
    if pixels.ndim != 4 or pixels.shape[3] != 3 or 0 in pixels.shape:
        raise DireidError(
            f"{name}: shape {tuple(images.shape)}, expected (N, 3, H, W) or (N, H, W, 3)"
        )
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.min() < -1e-3 or pixels.max() > 1 + 1e-3:
        raise DireidError(
            f"{name}: values from {pixels.min():.3g} to {pixels.max():.3g}, expected [0, 1]: "
            "was a normalised image passed?"
        )
    return pixels.clip(0, 1)


def _grid(
    rows: int, columns: int, pixels: np.ndarray, room: float = 0, side: float = 0
) -> tuple[Figure, np.ndarray]:
    """Axes (rows, columns) in the shape of ``pixels``, with inches for titles and row labels."""
    height, width = pixels.shape[-3:-1]
    cell = min((WIDTH - side) / columns, 1.1)
    size = (columns * cell + side, rows * cell * height / width + room)
    figure = Picture(figsize=size, dpi=DPI, layout="compressed")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _show(ax: Axes, image: np.ndarray, frame: str | None = None, width: float = 2.2) -> None:
    """One image, its pixels as they are, in a frame of some colour."""
    ax.imshow(image, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set_visible(frame is not None)
    if frame is not None:
        ax.spines[:].set(color=frame, linewidth=width)


def _named_rows(rows: Mapping[str, Array]) -> Figure:
    """Rows of as many images, each behind its name."""
    pixels = {name: _pixels(images, name) for name, images in rows.items()}
    counts = {name: len(images) for name, images in pixels.items()}
    if len(set(counts.values())) > 1:
        raise DireidError(f"rows of unequal length: {counts}; expected as many images in each")
    first = next(iter(pixels.values()))
    figure, axes = _grid(len(pixels), len(first), first, side=1.0)
    for line, (name, images) in zip(axes, pixels.items(), strict=True):
        for ax, image in zip(line, images, strict=True):
            _show(ax, image)
        label = fill(re.sub(r"_(?=[a-z]{4})", " ", name), 12)  # F_deg and E_d stay whole
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    return figure
