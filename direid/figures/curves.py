"""Figures made of numbers: curves and points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from direid.errors import DireidError
from direid.figures.style import (
    BLUE,
    COLOURS,
    DASHES,
    MARKERS,
    ORANGE,
    Array,
    blank,
    numbers,
    styled,
)


@styled
def loss_curves(logs: Mapping[str, Mapping[str, tuple[Array, Array]]]) -> Figure:
    """One panel per named loss, one line per run: ``logs[run][loss] = (steps, values)``.

    Noisy series are drawn pale under their running mean over a twentieth of the steps.
    """
    losses = list(dict.fromkeys(name for run in logs.values() for name in run))
    if not losses:
        raise DireidError("loss_curves got no losses: expected {run: {loss: (steps, values)}}")
    columns = min(2, len(losses))
    rows = -(-len(losses) // columns)
    figure = blank(0.5 + 1.55 * rows)
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for ax, loss in zip(axes, losses, strict=False):
        for i, (run, series) in enumerate(logs.items()):
            if loss not in series:
                continue
            steps, values = (numbers(each, f"{run}, {loss}") for each in series[loss])
            if steps.shape != values.shape or steps.ndim != 1 or not len(steps):
                raise DireidError(
                    f"{run}, {loss}: steps {steps.shape} and values {values.shape}: "
                    "expected one value per step"
                )
            window = len(steps) // 20
            colour, dash = COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)]
            if window > 1:
                ax.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
                values = _running_mean(values, window)
            marker = "o" if len(steps) == 1 else None
            ax.plot(steps, values, dash, color=colour, label=run, marker=marker)
        ax.set_title(loss.replace("_", " "))
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(4))
    for ax in axes[len(losses) :]:
        ax.remove()
    figure.supxlabel("training step", fontsize=10)
    if len(logs) > 1:
        handles = {
            line.get_label(): line
            for ax in axes[: len(losses)]
            for line in ax.get_legend_handles_labels()[0]
        }
        figure.legend(handles.values(), handles, loc="outside upper center", ncols=3)
    return figure


@styled
def cmc_curves(curves: Mapping[str, Array]) -> Figure:
    """The share of queries found by each rank: ``curves[method]`` is a CMC (K,) in [0, 1]."""
    figure, last = blank(4.3), 1
    ax = figure.subplots()
    for i, (method, curve) in enumerate(curves.items()):
        values = _fractions(curve, method)
        ax.plot(
            np.arange(1, len(values) + 1), 100 * values, DASHES[i % len(DASHES)],
            marker=MARKERS[i % len(MARKERS)], color=COLOURS[i % len(COLOURS)],
            label=f"{method}  ({100 * values[0]:.1f})",
        )  # fmt: skip
        last = max(last, len(values))
    ax.set_xlabel("rank k")
    ax.set_ylabel("found within the first k (%)")
    ax.set_xticks([1, *range(5, last + 1, 5)])
    ax.set_ylim(top=101)
    figure.legend(title="method (Rank-1)", loc="outside upper center", ncols=2)
    return figure


@styled
def rank1_by_level(
    table: Mapping[str, tuple[Sequence[float], Sequence[float | None]]], edges: Sequence[float]
) -> Figure:
    """Rank-1 in bins of the true degradation level, with one standard error up and down.

    Args:
        table: of each method (means, errors) per bin in [0, 1], as ``ranks.by_level`` gives them.
        edges: of the bins, one more than there are bins.
    """
    bins = len(edges) - 1
    figure = blank(4.3)
    ax = figure.subplots()
    for i, (method, (means, errors)) in enumerate(table.items()):
        if not len(means) == len(errors) == bins:
            raise DireidError(
                f"{method}: {len(means)} means and {len(errors)} errors for {bins} bins"
            )
        values = 100 * _fractions(means, method)
        bars = [0 if error is None else 100 * error for error in errors]
        shift = 0.09 * (i - (len(table) - 1) / 2)  # side by side, so that bars do not hide bars
        ax.errorbar(
            np.arange(bins) + shift, values, bars, fmt=DASHES[i % len(DASHES)],
            marker=MARKERS[i % len(MARKERS)], color=COLOURS[i % len(COLOURS)],
            capsize=3, elinewidth=1.2, label=method,
        )  # fmt: skip
    ax.set_xticks(
        range(bins),
        [f"{low:.2f}–{high:.2f}" for low, high in pairwise(edges)],
    )
    ax.grid(axis="x", visible=False)
    ax.set_xlabel("true degradation level of the query  (higher = worse)")
    ax.set_ylabel("Rank-1 (%), ± one standard error")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


@styled
def degradation_tsne(
    codes: Array, levels: Array, seed: int = 0, label: str = "true degradation level"
) -> Figure:
    """Degradation codes (N, D) laid out in the plane by t-SNE (figure 7).

    Args:
        codes: (N, D).
        levels: (N,). Floats are shown on a colour scale. Where the true level is unknown, pass
            integers, such as camera ids: each gets a colour and a marker.
        seed: of t-SNE.
        label: what the levels are.
    """
    from sklearn.manifold import TSNE  # here: it takes a second to import

    points, values = numbers(codes, "codes"), numbers(levels, "levels")
    if points.ndim != 2 or len(points) < 5 or values.shape != points.shape[:1]:
        raise DireidError(
            f"codes have shape {points.shape} and levels {values.shape}: expected (N, D) and (N,), "
            "N at least 5"
        )
    perplexity = min(30.0, (len(points) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    x, y = tsne.fit_transform(points.astype(np.float32)).T
    figure = blank(4.6)
    ax = figure.subplots()
    if values.dtype.kind in "biu":
        for i, group in enumerate(np.unique(values)):
            inside = values == group
            ax.scatter(
                x[inside], y[inside], s=16, alpha=0.8, linewidths=0, label=str(group),
                color=COLOURS[i % len(COLOURS)], marker=MARKERS[i % len(MARKERS)],
            )  # fmt: skip
        ax.legend(title=label, loc="best", markerscale=1.5, frameon=True)
    else:
        dots = ax.scatter(
            x, y, c=values, s=16, cmap="viridis", linewidths=0.3, edgecolors="#444444"
        )
        figure.colorbar(dots, ax=ax, label=f"{label}  (higher = worse)", pad=0.02)
    ax.set_title(f"t-SNE of {len(points)} degradation codes")
    ax.set_aspect("equal", "datalim")
    ax.set(xticks=[], yticks=[])  # the axes of t-SNE mean nothing
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color("#BBBBBB")
    return figure


@styled
def score_against_level(scores: Array, levels: Array) -> Figure:
    """Degradation scores (N,) against the true levels (N,), with Spearman's rank correlation."""
    from scipy.stats import spearmanr

    x, y = numbers(levels, "levels"), numbers(scores, "scores")
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2:
        raise DireidError(
            f"scores have shape {y.shape} and levels {x.shape}: expected (N,) twice, N at least 2"
        )
    figure = blank(3.9)
    ax = figure.subplots()
    ax.scatter(x, y, s=14, alpha=0.55, linewidths=0, color=BLUE)
    constant = np.ptp(x) == 0 or np.ptp(y) == 0
    correlation = "undefined" if constant else f"{spearmanr(x, y).statistic:.2f}"
    ax.set_title(f"Spearman's rank correlation {correlation}  ({len(x)} images)")
    ax.set_xlabel("true degradation level  (higher = worse)")
    ax.set_ylabel("predicted score")
    return figure


@styled
def forest(
    panels: Mapping[str, Mapping[str, Mapping]],
    words: Callable[[Mapping], str],
    xlabel: str = "Rank-1 points",
) -> Figure:
    """Differences beside 0: a panel for each question, in it a row for each difference.

    A dot is the mean; the thick bar is the interval over people, the thin one that over splits.

    Args:
        panels: title -> label of a row -> what `experiments.difference` found.
        words: what is written of a difference beneath its label, `experiments.verdict`.
        xlabel: what the differences are in.
    """
    counts = [len(rows) for rows in panels.values()]
    if not counts or 0 in counts:
        raise DireidError("forest got an empty panel: expected {title: {label: difference}}")
    figure = blank(0.9 + 0.5 * sum(counts) + 0.33 * len(counts))
    axes = np.atleast_1d(figure.subplots(len(counts), 1, sharex=True, height_ratios=counts))
    for ax, (title, rows) in zip(axes, panels.items(), strict=True):
        for y, found in enumerate(rows.values()):
            if found["over_people"]:
                look = {"lw": 7, "alpha": 0.35, "solid_capstyle": "butt"}
                ax.plot(found["over_people"], [y, y], color=BLUE, **look)
            if found["over_splits"]:
                ax.plot(found["over_splits"], [y, y], "-|", color="black", lw=1.2, ms=10)
            ax.plot(found["mean"], y, "o", color=BLUE, ms=6)
        ax.axvline(0, color=ORANGE, ls="--")
        labels = [f"{label}\n{words(f)}, n={f['n']}" for label, f in rows.items()]
        ax.set_yticks(range(len(rows)), labels)
        ax.set(title=title, ylim=(len(rows) - 0.5, -0.5))
        ax.grid(axis="y", visible=False)
    figure.supxlabel(xlabel, fontsize=10)
    return figure


def _fractions(values: Array, name: str) -> np.ndarray:
    """A line of numbers in [0, 1]."""
    values = numbers(values, name)
    if values.ndim != 1 or not len(values) or values.min() < 0 or values.max() > 1 + 1e-9:
        raise DireidError(f"{name}: expected a line of fractions in [0, 1], got {values}")
    return values


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean over the last ``window`` values (fewer at the start), as long as ``values``."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - window, 0)
    return (total[end] - total[start]) / (end - start)
