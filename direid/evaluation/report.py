"""What a run leaves for its reader: ``report.json`` for programs, ``report.md`` for people."""

from __future__ import annotations

import json
import math
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import torch

from direid import __version__
from direid.errors import DireidError
from direid.evaluation.ranks import Array, Scores, bootstrap, interval

METRICS = {
    "rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "map": "mAP", "minp": "mINP",
}  # fmt: skip
PACKAGES = ("torchvision", "numpy", "scipy", "scikit-learn", "pillow")

MEANING = """\
In percent; higher is better. Each number is a mean over the queries, **±** one standard error over
the test people (bootstrap): how far it could move with other test people. What another training
seed or another split would change comes on top and is not in it. A gap between two methods that is
not well above that is no result.

{rank_k} mAP: mean average precision over the whole gallery. mINP: how far down it the hardest
right image lies. Ties count as errors."""
RANK_K = {
    "single_shot": """\
Rank-k: the chance that the right person is among the first k, when the gallery holds one random
image per person (single-shot; the exact average over all such galleries).""",
    "all_shots": """\
Rank-k: the share of queries with a right image among the first k of the whole gallery.""",
}


class Picture(TypedDict):
    """One picture of a report."""

    file: str  # relative to the report
    caption: str
    alt: str  # what it shows, for those who cannot see it


class Report(TypedDict):
    """What :func:`write_report` takes. Keys beyond these are kept in ``report.json``."""

    title: str
    rows: list[dict]  # of row()
    config: dict[str, Any]  # every setting, nested
    data: dict[str, Any]  # name, split_hash, counts, ...
    seeds: dict[str, int]
    budget: dict[str, dict[str, int]]  # of each method: steps, images, ...
    seconds: dict[str, float]  # of each stage
    versions: dict[str, str]  # of environment()
    machine: dict[str, Any]  # of environment()
    methods: NotRequired[dict[str, str]]  # what each method is
    paired: NotRequired[list[dict]]  # of paired_row()
    by_level: NotRequired[dict[str, dict] | None]  # of each method, ranks.by_level() of its Rank-1
    pictures: NotRequired[list[Picture]]


def row(method: str, scores: Scores, query_pids: Array, seed: int) -> dict[str, Any]:
    """One line of the results table, in percent.

    Args:
        method: its name.
        scores: of its queries.
        query_pids: person of each query, (Q,).
        seed: of the bootstrap; the same for all rows.

    Returns:
        ``{"method": name, "rank1": {"mean": 61.2, "spread": 1.3, "interval": [58.6, 63.7]}, ...}``
        for each of ``METRICS``; the spread is the standard error over test people, the interval the
        95 % one, both None for a single person.
    """
    cmc = scores.cmc_per_query
    columns = cmc[:, 0], cmc[:, 4], cmc[:, 9], scores.ap_per_query, scores.inp_per_query
    values = dict(zip(METRICS, columns, strict=True))
    line: dict[str, Any] = {"method": method}
    for name, per_query in values.items():
        mean, error = bootstrap(per_query, query_pids, seed)
        ends = interval(per_query, query_pids, seed)
        line[name] = {
            "mean": round(100 * mean, 3),
            "spread": None if error is None else round(100 * error, 3),
            "interval": None if ends is None else [round(100 * end, 3) for end in ends],
        }
    return line


def paired_row(method: str, ours: Scores, theirs: Scores, query_pids: Array, seed: int) -> dict:
    """``ours`` minus ``theirs``, query by query, in the form of :func:`row`.

    What is hard for both cancels out, so the spread is smaller than that of either.
    """
    difference = Scores(
        ours.cmc_per_query - theirs.cmc_per_query,
        ours.ap_per_query - theirs.ap_per_query,
        ours.inp_per_query - theirs.inp_per_query,
    )
    return row(method, difference, query_pids, seed)


def table(rows: list[dict]) -> str:
    """The rows as a Markdown table that also lines up as plain text."""
    cells = [
        [line["method"], *(_plus_minus(line[m]["mean"], line[m]["spread"]) for m in METRICS)]
        for line in rows
    ]
    return markdown_table(["Method", *METRICS.values()], cells)


def environment(device: torch.device | str = "cpu") -> dict[str, dict]:
    """``versions`` of what a run used and the ``machine`` it ran on; no host name and no path."""
    versions = {
        "direid": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # with the build, such as +cpu
    }
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    device = torch.device(device)
    machine = {
        "system": platform.system(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory": _memory(),
        "peak_memory": _peak_memory(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }
    return {"versions": versions, "machine": machine}


def write_report(report: Report, out: Path) -> None:
    """Write ``report.json`` and ``report.md`` into the folder ``out``.

    Raises:
        DireidError: a number that is not finite (nothing is written), or a folder that cannot be
            written.
    """
    report = _plain(report, "report")
    text = _markdown(report)
    save_json(report, out / "report.json")
    write_text(text, out / "report.md")


def save_json(obj: Any, path: Path, lines: bool = False) -> None:
    """Save numbers, texts, lists and dicts, numpy's and torch's included, as strict JSON.

    The file is there whole or not at all.

    Args:
        obj: what to save.
        path: the file.
        lines: of a dict, one line for each key: for long lists of numbers.

    Raises:
        DireidError: a number that is not finite, named by its keys; or a bad path.
    """
    plain, strict = _plain(obj, path.name), {"ensure_ascii": False, "allow_nan": False}
    if lines:
        pairs = (f"{json.dumps(k)}: {json.dumps(v, **strict)}" for k, v in plain.items())
        text = "{\n" + ",\n".join(pairs) + "\n}"
    else:
        text = json.dumps(plain, indent=2, **strict)
    write_text(text + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Write ``path``, and the folders above it: whole or not at all.

    Raises:
        DireidError: a bad path.
    """
    half = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_text(text, encoding="utf-8")
        os.replace(half, path)
    except OSError as error:
        raise DireidError(f"{path}: cannot be written ({error.strerror})") from None


def _plain(obj: Any, where: str) -> Any:
    """The same in Python's own types; ``where`` names a value that JSON does not know."""
    if isinstance(obj, dict):
        return {str(key): _plain(value, f"{where}.{key}") for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [_plain(value, f"{where}[{i}]") for i, value in enumerate(obj)]
    if isinstance(obj, np.ndarray | np.generic | torch.Tensor):
        return _plain(obj.tolist(), where)
    if isinstance(obj, float) and not math.isfinite(obj):
        raise DireidError(f"{where} is {obj}: expected a finite number")
    if obj is None or isinstance(obj, bool | int | float | str):
        return obj
    raise TypeError(f"{where}: {type(obj).__name__} is no JSON value")


def _markdown(report: Report) -> str:
    """The report for people: results first, then pictures, then how they came about."""
    data, seconds = report["data"], report["seconds"]
    parts = [f"# {report['title']}", "## Results", table(report["rows"]),
             MEANING.format(rank_k=RANK_K[data.get("protocol", "single_shot")])]  # fmt: skip
    if report.get("methods"):
        lines = [f"- **{name}**: {what}" for name, what in report["methods"].items()]
        parts.append("\n".join(lines))
    if report.get("paired"):
        parts += ["## Differences, query by query", table(report["paired"])]
    if report.get("by_level"):
        parts += ["## Rank-1 by degradation level", *_by_level(report["by_level"])]
    if report.get("pictures"):
        parts.append("## Pictures")
        for picture in report["pictures"]:
            alt = _line(picture["alt"]).replace("[", "(").replace("]", ")")
            parts += [f"![{alt}](<{picture['file']}>)", f"*{_line(picture['caption'])}*"]
    columns = list(dict.fromkeys(key for spent in report["budget"].values() for key in spent))
    parts += [
        "## Budget",
        "What each method was trained on, all stages it needs counted. Read the results beside it.",
        markdown_table(
            ["Method", *map(_words, columns)],
            [
                [method, *(f"{spent[key]:,}" if key in spent else "" for key in columns)]
                for method, spent in report["budget"].items()
            ],
        ),
        "## Time",
        markdown_table(
            ["Stage", "Seconds"],
            [[_words(stage), f"{taken:,.1f}"] for stage, taken in seconds.items()]
            + [["all", f"{sum(seconds.values()):,.1f}"]],
        ),
        "## Data",
        _bullets(data),
        "## Seeds",
        _bullets(report["seeds"]),
        "## Machine",
        _bullets(report["machine"]),
        "## Versions",
        _bullets(report["versions"]),
        "## Settings",
        "```json\n" + json.dumps(report["config"], indent=2, ensure_ascii=False) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _by_level(tables: dict[str, dict]) -> list[str]:
    """Rank-1 of every method, in bins of the true degradation level of the query."""
    first = next(iter(tables.values()))
    edges = first["edges"]
    bins = [f"{low:.2f}–{high:.2f}" for low, high in pairwise(edges)]
    cells = [["queries", *map(str, first["queries"])]]
    for method, scored in tables.items():
        pairs = zip(scored["means"], scored["errors"], strict=True)
        cells.append(
            [method, *(_plus_minus(100 * m, None if e is None else 100 * e) for m, e in pairs)]
        )
    note = (
        "Queries from mildly (left) to badly degraded (right). Invariance shows as a flat row, "
        "which can still be a low one."
    )
    return [note, markdown_table(["Level", *bins], cells)]


def markdown_table(header: list[str], cells: list[list[str]]) -> str:
    """An aligned Markdown table: first column to the left, the others to the right."""
    lines = [[_line(cell).replace("|", "\\|") for cell in line] for line in (header, *cells)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, [("-" * (w - 1)) + (":" if i else "-") for i, w in enumerate(widths)])
    return "\n".join(
        "| "
        + " | ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    )


def _bullets(values: dict[str, Any], indent: str = "") -> str:
    lines = []
    for key, value in values.items():
        if isinstance(value, dict):
            lines += [f"{indent}- {_words(key)}:", _bullets(value, indent + "  ")]
        else:
            lines.append(f"{indent}- {_words(key)}: {'unknown' if value is None else value}")
    return "\n".join(lines)


def _plus_minus(mean: float, spread: float | None) -> str:
    return f"{mean:.1f}" if spread is None else f"{mean:.1f} ± {spread:.1f}"


def _words(key: str) -> str:
    return key.replace("_", " ")


def _line(text: str) -> str:
    return " ".join(text.split())


def _cpu_model() -> str:
    """The processor's name, which ``platform`` does not give on Linux."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _peak_memory() -> str | None:
    """The most memory that this process has held so far."""
    try:
        import resource
    except ImportError:  # Windows has none
        return None
    unit = 1 if platform.system() == "Darwin" else 1024  # bytes there, kibibytes elsewhere
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9:.1f} GB"


def _memory() -> str | None:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None
