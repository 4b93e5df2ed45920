"""The table of run times in book/run_times.md, from what scripts/execute_notebooks.py recorded.

    python scripts/run_times.py         # write the table anew; a test holds the page to it

A chapter is listed once it is in the table of contents and its time is in
book/results/run_times.json. What `make run` took comes from book/results/tiny.json.
"""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "book" / "run_times.md"
BEGIN, END = "<!-- begin: scripts/run_times.py -->", "<!-- end -->"
STAGES = {
    "data": "drawing the people", "resnet": "ResNet", "tricks": "ResNet + tricks",
    "augmented": "ResNet + tricks + F_deg", "identity": "stage 0: identity encoder",
    "ddgan": "stage 1: DDGAN", "dfen": "stage 2: DFEN", "evaluation": "evaluation",
    "pictures": "pictures",
}  # fmt: skip


def chapters(root: Path = ROOT) -> list[Path]:
    """The notebooks of the book, in the order in which they are read."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    names = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    paths = [root / f"{name}.ipynb" for name in names]
    return [path for path in paths if path.exists()]


def tables(root: Path = ROOT) -> str:
    """Both tables: of the chapters, and of the main job."""
    results = root / "book" / "results"
    stored = json.loads((results / "run_times.json").read_text(encoding="utf-8"))["chapters"]
    timed = [path for path in chapters(root) if path.stem in stored]
    rows = ["| Chapter | Processor seconds |", "|---|---:|"]
    for path in timed:
        rows.append(f"| [{_title(path)}]({path.name}) | {stored[path.stem]['seconds']:.0f} |")
    total = sum(stored[path.stem]["seconds"] for path in timed)
    rows.append(f"| **all {len(timed)}** | **{total:.0f}** |")

    report = json.loads((results / "tiny.json").read_text(encoding="utf-8"))
    main = ["| Part of `make run` | Seconds |", "|---|---:|"]
    main += [f"| {STAGES[name]} | {s:.0f} |" for name, s in report["seconds"].items()]
    main.append(f"| **all of it** | **{sum(report['seconds'].values()):.0f}** |")
    return "\n".join([
        _where([stored[path.stem] for path in timed]), "", ":::{table} Each chapter, executed.",
        ":name: table-run-times", ":align: left", "", *rows, "", ":::", "", _where([report]), "",
        ":::{table} The main job, preset `tiny`.", ":name: table-run-times-main", ":align: left",
        "", *main, "", ":::",
    ])  # fmt: skip


def page(text: str, root: Path = ROOT) -> str:
    """The text of the page with the tables between its two marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables(root)}\n\n{END}{after}"


def _title(path: Path) -> str:
    first = nbformat.read(path, as_version=4).cells[0].source
    return first.split("\n")[0].removeprefix("# ")


def _where(runs: list[dict]) -> str:
    """Machines and versions of some runs, in a sentence each."""
    said = {}
    for run in runs:
        machine, versions = run["machine"], run["versions"]
        build = versions["torch"].partition("+")[0]
        said[
            f"{machine['system']}, {machine['cpu']}, {machine['cores']} cores, {machine['memory']} "
            f"of memory; Python {versions['python']}, PyTorch {build}."
        ] = None
    return "\n".join(f"- {line}" for line in said)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
