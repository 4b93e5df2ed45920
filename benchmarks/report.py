"""What the benchmark concludes from its measurements: agreement, targets and tables."""

from __future__ import annotations

import operator

from benchmarks.measure import KINDS
from direid.evaluation.report import markdown_table

TOLERANCE = 1e-5  # of a loss, relative to max(1, |loss|)
DEFINITIONS = {
    "seconds": "of one step, the median (and the smallest) of the repeats, after a warm-up; F_deg "
    "is in the self-degradation step, loading images in none",
    "images_per_second": "training images that the steps read, over their median seconds: x_i and "
    "x_k, 2 x batch, in each of DDGAN's steps; P x K in DFEN's",
    "peak_memory_gib": "largest resident memory of a process that did nothing but these steps, "
    "libraries included",
    "baseline_memory_gib": "the same, after the imports and before any network",
    "losses": "of the first step of each kind, from the same weights in every process",
    "floor": "FLOPs of the package's steps over the highest measured rate of matrix products in "
    "float32; ratio is their median seconds over that",
    "loading": "images in memory at their final size, so no decoding; preset's own batches",
    "profile": "shares of the CPU time of one self- and one cross-degradation step",
}
COMPARISONS = {"at most": operator.le, "at least": operator.ge, "more than": operator.gt,
               "less than": operator.lt}  # fmt: skip
TARGETS = (  # name, key of ratios(), how it compares with its bound
    ("floor ratio", "floor_ratio", "at most", 2.0),
    ("times faster than plain", "plain_over_package", "more than", 1.0),
    ("times faster in bfloat16", "float32_over_bfloat16", "at least", 1.5),
    ("peak memory in float32, GiB", "peak_memory_gib", "at most", 3.0),
    ("seconds of a step, the mean", "seconds", "less than", 7.25),  # the authors' 5.4 and 9.1
)


def agreement(steps: list[dict], tolerance: float = TOLERANCE) -> list[dict]:
    """How far the package's and the plain first losses are apart, in float32.

    Args:
        steps: rows of the report.
        tolerance: largest difference, relative to max(1, |loss|).

    Returns:
        A row for each preset and stage that has both: the largest difference, and the losses that
        differ by more than the tolerance or that one of the two lacks.
    """
    rows = []
    for package in steps:
        plain = _find(steps, package["preset"], package["stage"], "plain")
        kind = package["implementation"], package["precision"], package["compile"]
        if plain is None or kind != ("package", "float32", False):
            continue
        ours, theirs = package["losses"], plain["losses"]
        apart = {
            name: abs(ours[name] - theirs[name]) / max(1.0, abs(theirs[name]))
            for name in ours.keys() & theirs.keys()
        }
        wrong = [name for name, value in apart.items() if not value <= tolerance]  # nan is wrong
        wrong += ours.keys() ^ theirs.keys()
        rows.append(
            {
                "preset": package["preset"],
                "stage": package["stage"],
                "largest_difference": max(apart.values(), default=None),
                "tolerance": tolerance,
                "wrong": sorted(wrong),
            }
        )
    return rows


def ratios(steps: list[dict], preset: str, stage: str) -> dict[str, float]:
    """What the targets are about, of one stage; what was not measured is left out."""
    package = _find(steps, preset, stage, "package")
    plain = _find(steps, preset, stage, "plain")
    half = _find(steps, preset, stage, "package", "bfloat16")
    if package is None:
        return {}
    found = {
        "floor_ratio": package["floor"]["ratio"],
        "peak_memory_gib": package["peak_memory_gib"],
        "seconds": _seconds(package) / len(KINDS[stage]),
    }
    if plain is not None:
        found["plain_over_package"] = _seconds(plain) / _seconds(package)
    if half is not None:
        found["float32_over_bfloat16"] = _seconds(package) / _seconds(half)
    return found


def targets(steps: list[dict], preset: str = "paper") -> list[dict]:
    """Each target of a self- and a cross-degradation step: bound, value, and whether it is met.

    ``stage_2`` is the same of a DFEN step, for which there is no target. None: not measured.
    """
    rows = []
    for name, key, how, bound in TARGETS:
        value = ratios(steps, preset, "ddgan").get(key)
        met = None if value is None else COMPARISONS[how](value, bound)
        bound_in_words = f"{how} {bound:g}"
        stage_2 = ratios(steps, preset, "dfen").get(key)
        row = {"target": name, "bound": bound_in_words, "value": value, "met": met}
        rows.append(row | {"stage_2": stage_2})
    return rows


def summary(report: dict) -> str:
    """What the README shows: seconds of a self, a cross and a DFEN step, and the peak memory."""
    cells = []
    for preset in report["config"]:
        for which in (("package", "float32"), ("package", "bfloat16"), ("plain", "float32")):
            first, second = (_find(report["steps"], preset, stage, *which) for stage in KINDS)
            times = [*first["seconds"].values(), *second["seconds"].values()]
            peak = max(row["peak_memory_gib"] for row in (first, second))
            seconds = [f"{time['median']:.3g}" for time in times]
            name = f"{preset}, {which[1]}" + (", plain" if which[0] == "plain" else "")
            cells.append([name, *seconds, f"{peak:.2f}"])
    return markdown_table(["Seconds", "self", "cross", "DFEN", "Peak, GiB"], cells)


def markdown(report: dict) -> str:
    """The report as Markdown tables."""
    steps, loading, profile = report["steps"], report["loading"], report["profile"]
    parts = ["## Steps", _steps_table(steps), "## Floor", _floor_table(steps)]
    parts += ["## Agreement of package and plain", _agreement_table(report["agreement"])]
    parts += ["## Loading, images a second", _loading_table(loading)]
    if profile:
        parts += ["## Shares of one self and one cross step, percent", _profile_table(profile)]
    if report["targets"]:
        parts += ["## Targets, preset paper", _targets_table(report["targets"])]
    return "\n\n".join(parts)


def _steps_table(steps: list[dict]) -> str:
    cells = [
        [
            _of(row),
            f"{row['implementation']}, {row['precision']}{', compiled' * row['compile']}",
            " + ".join(f"{times['median']:.3g}" for times in row["seconds"].values()),
            " + ".join(f"{times['min']:.3g}" for times in row["seconds"].values()),
            f"{row['images_per_second']:.3g}",
            f"{row['peak_memory_gib']:.2f}",
            f"{row['baseline_memory_gib']:.2f}",
        ]
        for row in steps
    ]
    header = ["Steps", "Which", "Seconds", "Smallest", "Images/s", "Peak GiB", "Baseline GiB"]
    return markdown_table(header, cells)


def _floor_table(steps: list[dict]) -> str:
    cells = []
    for row in steps:
        if "floor" in row:
            least, rates = row["floor"], row["floor"]["flops_per_second"]
            best = [
                max(rate for name, rate in rates.items() if name.startswith(kind))
                for kind in ("mm", "convolution")
            ]
            cells.append(
                [
                    _of(row),
                    f"{sum(least['flops'].values()) / 1e9:,.1f}",
                    *(f"{rate / 1e9:.0f}" for rate in best),
                    f"{least['seconds']:.3g}",
                    f"{least['ratio']:.2f}",
                ]
            )
    header = ["Steps", "GFLOP", "GFLOP/s, mm", "GFLOP/s, convolution", "Floor, s", "Ratio"]
    return markdown_table(header, cells)


def _agreement_table(rows: list[dict]) -> str:
    cells = [
        [_of(row), _number(row["largest_difference"]), ", ".join(row["wrong"]) or "none"]
        for row in rows
    ]
    return markdown_table(["Steps", "Largest difference", "Losses that differ"], cells)


def _loading_table(loading: dict[str, dict]) -> str:
    cells = []
    for preset, found in loading.items():
        for name in ("real_pairs", "identity_batches"):
            counts = (found[name][f"workers_{n}"]["images_per_second"] for n in (0, 2))
            batch = str(found[name]["images_per_batch"])
            cells.append([f"{preset}, {name}", batch, *(f"{count:,.0f}" for count in counts)])
        degraded, batch = found["f_deg"], str(found["f_deg"]["images_per_batch"])
        rate = f"{degraded['images_per_second']:,.0f}"
        cells.append([f"{preset}, F_deg {degraded['kind']}", batch, rate, ""])
    return markdown_table(["What", "Images/batch", "0 workers", "2 workers"], cells)


def _profile_table(profile: dict[str, dict]) -> str:
    groups = list(dict.fromkeys(group for found in profile.values() for group in found["shares"]))
    cells = [
        [group, *(f"{100 * found['shares'].get(group, 0):.1f}" for found in profile.values())]
        for group in groups
    ]
    return markdown_table(["Group", *profile], cells)


def _targets_table(rows: list[dict]) -> str:
    words = {True: "yes", False: "no", None: "not measured"}
    cells = [
        [row["target"], row["bound"], _number(row["value"]), words[row["met"]],
         _number(row["stage_2"])]
        for row in rows
    ]  # fmt: skip
    return markdown_table(["Target", "Bound", "Measured", "Met", "DFEN, no target"], cells)


def _of(row: dict) -> str:
    compiled = ", compiled" if row.get("compile") else ""
    return f"{row['preset']}, {' + '.join(KINDS[row['stage']])}{compiled}"


def _find(
    steps: list[dict], preset: str, stage: str, implementation: str, precision: str = "float32"
) -> dict | None:
    wanted = (preset, stage, implementation, precision, False)
    keys = ("preset", "stage", "implementation", "precision", "compile")
    return next((row for row in steps if tuple(row[k] for k in keys) == wanted), None)


def _seconds(row: dict) -> float:
    """Of one step of each kind."""
    return sum(times["median"] for times in row["seconds"].values())


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
