"""From the cells of an experiment to tables in the form of the paper's, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from direid.data import KINDS
from direid.evaluation.report import METRICS, markdown_table, write_text
from direid.experiments.plan import BASELINES, Plan
from direid.experiments.published import COMPETITORS, PAPER

NAMES = {
    "caviar": "CAVIAR", "mlr_viper": "MLR-VIPeR", "mlr_cuhk03": "MLR-CUHK03", "msmt17": "MSMT17",
    "market1501": "Market-1501",
}  # fmt: skip
DRAWN = tuple(KINDS)  # another split, other people

ALL = ("rank1", "rank5", "rank10", "map")
OURS = """\
In percent: mean over the splits and seeds **±** their standard deviation; n is their number. Splits
share people, so the spread is a little too small. One cell alone has no spread."""

THEIRS = """\
**Not ours, and not comparable**: the paper's own figures, at 256 x 128 with a ResNet-50 that starts
from ImageNet weights, number of splits unknown, no spread given."""

DIFFERENCES = """\
In Rank-1 points, paired: the same split and seed with both methods, mean of the differences. The
first interval (95 %, Student's t) is over splits and seeds, the second (95 %, bootstrap) over test
people, each with all of their queries in all splits. A difference is a result only if both
intervals leave out 0."""


def write_tables(plan: Plan, cells: Sequence[dict], out: Path) -> None:
    """Write ``out/tables.md``: tables 1 to 3, the differences in pairs, and what each cost."""
    write_text(tables(plan, cells), out / "tables.md")


def tables(plan: Plan, cells: Sequence[dict]) -> str:
    """All tables of an experiment, in Markdown; those of which no cell is done are left out."""
    wanted = len(list(plan.cells()))
    parts = [f"# {plan.name}", plan.about, f"{len(cells)} of {wanted} cells done."]
    resolution = [n for n in plan.data if _protocol(cells, n) == "single_shot"]
    standard = [n for n in plan.data if _protocol(cells, n) == "all_shots"]
    compared = [m for m in plan.methods if m in BASELINES or m == "di_reid" or m in plan.variants]
    single = ("rank1", "rank5", "rank10")
    for title, names, metrics in (
        ("Table 1: single-shot", resolution, single),
        ("Table 2: the whole gallery", standard, ALL),
    ):
        if names:
            parts += [f"## {title}", OURS, _wide(plan, cells, compared, names, metrics)]
            parts += _theirs(plan, compared, names, metrics)
    ablated = [m for m in plan.methods if m not in BASELINES and m not in plan.variants]
    if len(ablated) > 1:
        for name in resolution + standard:
            parts += [f"## Table 3: ablation on {_title(name)}", OURS]
            parts += [_wide(plan, cells, ablated, [name], ALL)]
            parts += _theirs(plan, ablated, [name], single)
    if cells:
        parts += _differences(plan, cells, resolution + standard)
        parts += ["## What each method was trained on", _budget(plan, cells)]
    return "\n\n".join(part for part in parts if part) + "\n"


def mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean, and standard deviation over cells; None for a single one."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def difference(
    cells: Sequence[dict],
    name: str,
    method: str,
    reference: str,
    metric: str = "rank1",
    row: str | None = None,
    reference_row: str | None = None,
) -> dict[str, Any] | None:
    """``method`` minus ``reference`` on the benchmark ``name``, in percent points.

    Args:
        cells: of an experiment.
        name: of the benchmark.
        method, reference: two of the plan's.
        metric: "rank1", "rank5", "rank10" or "map".
        row, reference_row: of which row of those cells, "f_inv after stage 1"; None: the last, the
            method's own.

    Returns:
        ``mean``; ``n``, the pairs (same split and seed) that it is over; ``over_splits`` and
        ``over_people``, the ends of its 95 % intervals, None where there are too few to tell. None
        if no pair is done.
    """
    ours, theirs = (_by_group(cells, name, m) for m in (method, reference))
    pairs = [(ours[group], theirs[group]) for group in ours if group in theirs]
    if not pairs:
        return None
    per_query = [
        _per_query(a, metric, row) - _per_query(b, metric, reference_row) for a, b in pairs
    ]
    means = np.array([values.mean() for values in per_query])
    over_splits = None
    if len(means) > 1:
        half = stats.t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
        over_splits = [float(means.mean() - half), float(means.mean() + half)]
    people = [
        f"{cell['split'] if name in DRAWN else ''} {pid}"
        for cell, _ in pairs
        for pid in cell["query_pids"]
    ]
    weights = np.concatenate([np.full(len(v), 1 / len(v)) for v in per_query])
    over_people = _people_interval(np.concatenate(per_query), weights, people)
    return {
        "mean": float(means.mean()), "n": len(pairs), "over_splits": over_splits,
        "over_people": over_people,
    }  # fmt: skip


def verdict(found: dict[str, Any] | None) -> str:
    """What the two intervals of a difference allow to say: only if both leave out 0, anything."""
    if found is None:
        return "not run"
    ends = found["over_splits"], found["over_people"]
    if None in ends:
        return "one split: open"
    if min(low for low, _ in ends) > 0:
        return "a gain"
    return "a loss" if max(high for _, high in ends) < 0 else "undecided"


def _people_interval(
    values: np.ndarray, weights: np.ndarray, people: list[str], draws: int = 2000
) -> list[float] | None:
    """95 % percentile interval of the weighted mean, people resampled with replacement."""
    _, person = np.unique(people, return_inverse=True)
    count = person.max() + 1
    if count < 2:
        return None
    sums = np.bincount(person, weights=values * weights)
    sizes = np.bincount(person, weights=weights)
    times = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=draws)
    low, high = np.percentile((times @ sums) / (times @ sizes), [2.5, 97.5])
    return [float(low), float(high)]


def _per_query(cell: dict, metric: str, row: str | None = None) -> np.ndarray:
    """The metric of every query under the cell's own method, or that of ``row``, in percent."""
    return 100 * np.array(cell["per_query"][row or cell["rows"][-1]["method"]][metric])


def _by_group(cells: Sequence[dict], name: str, method: str) -> dict[tuple[int, int], dict]:
    return {(c["split"], c["seed"]): c for c in cells if (c["data"], c["method"]) == (name, method)}


def _values(cells: Sequence[dict], name: str, method: str, metric: str) -> list[float]:
    found = _by_group(cells, name, method).values()
    return [cell["rows"][-1][metric]["mean"] for cell in found]


def _wide(
    plan: Plan, cells: Sequence[dict], methods: list[str], names: list[str], metrics: tuple
) -> str:
    """Methods down, benchmarks and metrics across, as in table 1."""
    header, lines = ["Method"], []
    for name in names:
        header += [f"{_title(name)}: n", *(METRICS[m] for m in metrics)]
    for method in methods:
        line = [plan.label(method)]
        for name in names:
            count = len(_by_group(cells, name, method))
            line.append(str(count or ""))
            for metric in metrics:
                values = _values(cells, name, method, metric)
                line.append(_plus_minus(*mean_and_spread(values)) if values else "")
        if any(line[1:]):
            lines.append(line)
    return markdown_table(header, lines)


def _theirs(plan: Plan, methods: list[str], names: list[str], metrics: tuple) -> list[str]:
    """The same table with the paper's figures, where it has any."""
    names = [name for name in names if name in PAPER]
    header, lines = ["The paper's"], []
    for name in names:
        header += [f"{_title(name)}: {METRICS[m]}" for m in metrics]
    rows = [(plan.label(m), [PAPER[name].get(m, ()) for name in names]) for m in methods]
    if set(methods) & set(BASELINES):  # table 1 or 2, whole
        rows += [(who, [of.get(name, ()) for name in names]) for who, of in COMPETITORS.items()]
    for label, figures in rows:
        if any(figures):
            padded = [(*row, *(None,) * len(metrics))[: len(metrics)] for row in figures]
            shown = ["" if x is None else f"{x:.1f}" for row in padded for x in row]
            lines.append([label, *shown])
    return [THEIRS, markdown_table(header, lines)] if lines else []


def _differences(plan: Plan, cells: Sequence[dict], names: list[str]) -> list[str]:
    lines = []
    for name in names:
        for method in plan.methods:
            found = difference(cells, name, method, plan.reference)
            if method != plan.reference and found:
                ends = (found["over_splits"], found["over_people"])
                lines.append(
                    [_title(name), plan.label(method), str(found["n"]), f"{found['mean']:+.1f}"]
                    + [f"{e[0]:+.1f} to {e[1]:+.1f}" if e else "" for e in ends]
                )
    if not lines:
        return []
    reference = plan.label(plan.reference)
    header = ["Data", f"Minus {reference}", "n", "Difference", "Over splits", "Over people"]
    return [f"## Differences to {reference}", DIFFERENCES, markdown_table(header, lines)]


def _budget(plan: Plan, cells: Sequence[dict]) -> str:
    """Steps, images and seconds of each method on each benchmark."""
    lines, columns = [], list(cells[0]["budget"])
    for name in plan.data:
        for method in plan.methods:
            found = list(_by_group(cells, name, method).values())
            if found:
                seconds = np.mean([sum(cell["seconds"].values()) for cell in found])
                spent = [f"{found[0]['budget'][key]:,}" for key in columns]
                lines.append([_title(name), plan.label(method), *spent, f"{seconds:,.0f}"])
    words = [column.replace("_", " ") for column in columns]
    return markdown_table(["Data", "Method", *words, "seconds"], lines)


def _protocol(cells: Sequence[dict], name: str) -> str | None:
    return next((cell["protocol"] for cell in cells if cell["data"] == name), None)


def _title(name: str) -> str:
    return NAMES.get(name, name)


def _plus_minus(mean: float, spread: float | None) -> str:
    return f"{mean:.1f}" if spread is None else f"{mean:.1f} ± {spread:.1f}"
