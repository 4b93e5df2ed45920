"""The first code cell of every chapter: it fetches the book where the reader is on Colab.

Its text is made here, from the repository's address in ``_config.yml``, so that a fork or a move
changes one line there and then runs

    python scripts/bootstrap_cell.py --write      # put the cell into every notebook of the book

Without ``--write`` the cell is printed. A test holds every notebook to it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parent.parent
METADATA = {
    "mystnb": {"code_prompt_show": "Show the cell that installs the package on Colab"},
    "tags": ["hide-cell"],
}
TEMPLATE = """\
# On Colab this fetches the book and installs its package.
# Anywhere else it does nothing.
import sys

if "google.colab" in sys.modules:
    import os
    import subprocess

    there = "/content/direid_book"
    if not os.path.exists(there):
        address = "{url}"
        clone = ["git", "clone", "--quiet", "--depth=1"]
        clone += ["--branch={branch}", address, there]
        subprocess.run(clone, check=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, there], check=True)
    os.chdir(there + "/book")  # where the checkpoints and results lie"""


def bootstrap_cell() -> str:
    """The cell's source."""
    repository = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]
    return TEMPLATE.format(url=repository["url"], branch=repository["branch"])


def write(path: Path) -> None:
    """Make a notebook's first code cell the bootstrap; it must be one already, or empty."""
    notebook = nbformat.read(path, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    if first.source.strip() and "google.colab" not in first.source:
        raise SystemExit(f"{path}: give the notebook an empty first code cell for the bootstrap")
    first.source = bootstrap_cell()
    first.metadata = nbformat.from_dict(METADATA)
    nbformat.write(notebook, path)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="put it into every notebook")
    if not parser.parse_args().write:
        print(bootstrap_cell())
        return
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        write(path)


if __name__ == "__main__":
    main()
