"""Run the book's notebooks and store what they print and draw.

This is the only way the outputs in the repository are made: every notebook in a fresh kernel, in
its own folder, on the CPU with one thread, and with everything that differs from machine to machine
removed afterwards. ``pytest --nbval`` runs them in the same :data:`ENVIRONMENT` and compares.
How many processor seconds each notebook of the book took, and where, goes into :data:`RUN_TIMES`;
with one thread that is the time it takes on a machine that does nothing else.

    python scripts/execute_notebooks.py                         # every notebook of the book
    python scripts/execute_notebooks.py book/ten_minutes.ipynb  # one
    python scripts/execute_notebooks.py --check                 # run nothing, look only
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
RUN_TIMES = BOOK / "results" / "run_times.json"  # scripts/run_times.py makes a page of it

# What a kernel sees, here and under nbval: one order of summation, one order of sets, no GPU.
THREADS = ("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
ENVIRONMENT = dict.fromkeys(THREADS, "1") | {
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONHASHSEED": "0",
    "TQDM_DISABLE": "1",  # progress bars differ every time
}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
CELL_METADATA = {"mystnb", "tags"}  # what authors write; editors and kernels add the rest


def notebooks() -> list[Path]:
    """Every notebook of the book, in order."""
    return sorted(p for p in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def normalise(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Remove, in place, what differs from run to run and from machine to machine.

    Left are the text, the outputs, the tags and captions of the cells, and their ids. Pieces of one
    stream that the kernel happened to send apart are joined.
    """
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    count = 0
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict(
            {key: value for key, value in cell.metadata.items() if key in CELL_METADATA}
        )
        if cell.cell_type != "code":
            continue
        if cell.execution_count is not None:
            count += 1
            cell.execution_count = count
        cell.outputs = _joined(cell.outputs)
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
    return notebook


def execute(path: Path, timeout: int) -> float:
    """Run a notebook from top to bottom, store it normalised, return its processor seconds.

    A notebook that fails is left as it was.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--log-level=ERROR"],  # no word about how the kernel is reached
        record_timing=False,
        store_widget_state=False,
    )
    before = _of_children()
    client.execute(env={**os.environ, **ENVIRONMENT})
    seconds = _of_children() - before
    partial = path.with_suffix(".ipynb.partial")
    nbformat.write(normalise(notebook), partial)
    partial.replace(path)
    return seconds


def _of_children() -> float:
    """Processor seconds of the kernels that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def record(path: Path, seconds: float, store: Path = RUN_TIMES) -> None:
    """Store how long a notebook took and what it ran on, in place of what was stored of it."""
    from direid.evaluation.report import environment, save_json  # torch: not before it is needed

    title = "Processor seconds of each notebook, in a fresh kernel with one thread"
    stored = json.loads(store.read_text(encoding="utf-8")) if store.exists() else {}
    found = environment()
    machine = {key: found["machine"][key] for key in ("system", "cpu", "cores", "memory")}
    versions = {key: found["versions"][key] for key in ("direid", "python", "torch")}
    line = {"seconds": round(seconds, 1), "machine": machine, "versions": versions}
    chapters = stored.get("chapters", {}) | {path.stem: line}
    save_json({"title": title, "chapters": dict(sorted(chapters.items()))}, store)


def is_normal(path: Path) -> bool:
    """Whether a stored notebook is what :func:`execute` would have stored, its outputs aside."""
    stored = path.read_text(encoding="utf-8")
    normal = nbformat.writes(normalise(nbformat.reads(stored, as_version=4)))
    return stored == normal + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 when every notebook ran, or with ``--check`` is as stored here."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: every one of the book")
    parser.add_argument("--check", action="store_true", help="run nothing, look only")
    parser.add_argument("--timeout", type=int, default=900, help="seconds a cell may take")
    options = parser.parse_args(arguments)
    chosen = [path.resolve() for path in options.notebooks] or notebooks()

    failed = 0
    for path in chosen:
        if options.check:
            if not is_normal(path):
                failed += 1
                print(
                    f"{path.name}: not as scripts/execute_notebooks.py stores it", file=sys.stderr
                )
            continue
        try:
            seconds = execute(path, options.timeout)
        except CellExecutionError as error:
            failed += 1
            print(f"{path.name}: failed, left as it was\n{error}", file=sys.stderr)
            continue
        print(f"{path.name}: {seconds:.1f} s", flush=True)
        if path.is_relative_to(BOOK):
            record(path, seconds)
    return int(failed > 0)


def _joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    joined: list[nbformat.NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and last.output_type == output.output_type == "stream" and last.name == output.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


if __name__ == "__main__":
    sys.exit(main())
