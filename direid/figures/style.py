"""The look of every figure, and how one is shown and saved."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from torch import Tensor

from direid.errors import DireidError

Array = np.ndarray | Tensor

DPI = 150
WIDTH = 5.8  # inches: 870 pixels, and 10-point letters of 9 pixels when shown 390 pixels wide
# After Okabe and Ito, yellow darkened: colour-blind readers tell these apart.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, "#E69F00", "#56B4E9", "#333333", "#B8A800")
MARKERS = "osD^vPX*"
DASHES = ("-", "--", "-.", ":")
STYLE = {
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "axes.prop_cycle": mpl.cycler(color=COLOURS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
}

Arguments = ParamSpec("Arguments")


class Picture(Figure):
    """A figure that notebooks show by themselves, with or without ``%matplotlib inline``."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        save(self, buffer)
        return buffer.getvalue()


def save(figure: Figure, file: Path | io.BytesIO) -> None:
    """Write a figure as a PNG without margins; the same figure gives the same bytes."""
    figure.savefig(
        file,
        format="png",
        dpi=DPI,
        facecolor="white",
        transparent=False,
        bbox_inches="tight",
        pad_inches=0.06,
    )


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draw in this file's style, and leave the reader's own settings alone."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with style.context(["default", STYLE]):
            figure = draw(*args, **kwargs)
            # Else ticks are made, and counted by the size of their letters, when somebody draws
            # the figure: by then the reader's own style is back.
            for ax in figure.axes:
                ax.tick_params(labelsize=STYLE["font.size"])
        return figure

    return drawn


def blank(height: float) -> Figure:
    """An empty figure, so many inches high."""
    return Picture(figsize=(WIDTH, height), dpi=DPI, layout="constrained")


def numbers(values: Array, name: str) -> np.ndarray:
    """Finite numbers as a numpy array."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
    values = np.asarray(values)
    if not np.isfinite(values).all():
        raise DireidError(f"{name}: holds numbers that are not finite")
    return values
