"""Run chapters again with other training seeds, and store what they print.

A chapter trains once, with seed 0. What it says of other seeds comes from here: every training that
takes its settings from ``direid.book`` gets another seed, the notebook itself stays as it is, and
what its cells print goes into :data:`STORE`.

    python -m scripts.other_seeds            # the chapters that speak of other seeds (15 minutes)
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from scripts.execute_notebooks import BOOK, ENVIRONMENT

STORE = BOOK / "results" / "other_seeds.json"
CHAPTERS = ("baselines", "identity_preserving", "problem", "reality")
SEEDS = (1, 2)
RESEED = """\
from direid import book as _book
_settings = _book.settings
_book.settings = lambda changes=None: _settings({{"seed": {seed}, **(changes or {{}})}})"""


def printed(path: Path, seed: int) -> list[str]:
    """What the cells of a notebook print, those that print something, when trained with ``seed``.

    A chapter's assertions hold for its own seed; where one fails, its error is in the list.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(RESEED.format(seed=seed)))
    client = NotebookClient(
        notebook, timeout=900, kernel_name="python3", allow_errors=True,
        resources={"metadata": {"path": str(path.parent)}},
    )  # fmt: skip
    client.execute(env={**os.environ, **ENVIRONMENT})
    found = []
    for cell in notebook.cells[1:]:
        outputs = cell.get("outputs", [])
        text = "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")
        errors = [f"{o.ename}: {o.evalue}" for o in outputs if o.output_type == "error"]
        found += [part for part in (text.rstrip(), *errors) if part]
    return found


def main() -> None:
    """Run all of them, and store after each."""
    from direid.evaluation.report import environment, save_json

    versions = environment()["versions"]
    stored = {
        "title": "What chapters print when all that they train gets another seed",
        "versions": {key: versions[key] for key in ("direid", "python", "torch")},
        "chapters": {},
    }
    for name in CHAPTERS:
        notebook = BOOK / f"{name}.ipynb"
        stored["chapters"][name] = {}
        for seed in SEEDS:
            stored["chapters"][name][f"seed {seed}"] = printed(notebook, seed)
            print(f"{name}, seed {seed}", flush=True)
            save_json(stored, STORE)
    print(json.dumps(stored["chapters"], indent=1))


if __name__ == "__main__":
    sys.exit(main())
