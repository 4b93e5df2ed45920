"""Run a plan, cell by cell; a cell that is done is never run again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from direid import pipeline
from direid.config import Config, differences
from direid.data.records import Benchmark
from direid.errors import DireidError
from direid.evaluation import report
from direid.experiments.plan import Cell, Plan
from direid.experiments.tables import write_tables
from direid.training import checkpoint
from direid.training.compute import Compute
from direid.training.stages import train, wanted_stages

PER_QUERY = {"rank1": 0, "rank5": 4, "rank10": 9}  # columns of the CMC


def run_plan(
    plan: Plan,
    out: Path,
    roots: Mapping[str, Path] | None = None,
    only: str | None = None,
    keep: bool = False,
    device: str = "auto",
) -> list[dict]:
    """Train and evaluate every cell of ``plan`` that is not done yet.

    Writes ``out/plan.json``, one JSON for each cell in ``out/cells``, and the tables of all cells
    that are there in ``out/tables.md``, anew after each. Stopped at any moment and called again, it
    goes on from the last checkpoint. Several processes may share the work, each ``only`` one
    benchmark.

    Args:
        plan: what to run.
        out: folder of the experiment.
        roots: folders of the images of the benchmarks that are not drawn.
        only: run this benchmark's cells alone.
        keep: leave the checkpoints, in ``out/runs``; else they go when their split and seed are
            done.
        device: where to compute.

    Returns:
        The cells that are there, as stored.

    Raises:
        DireidError: ``out`` holds another plan, data is missing or wrong: before any training.
    """
    if only is not None and only not in plan.data:
        raise DireidError(f"{only!r} is not in the plan: choose from {', '.join(plan.data)}")
    names = [name for name in plan.data if only in (None, name)]
    roots = {name: Path(path).resolve() for name, path in (roots or {}).items()}
    if strange := set(roots) - set(plan.data):
        raise DireidError(f"root of {min(strange)!r}: the plan has only {', '.join(plan.data)}")
    _keep_plan(plan, out)
    todo = [c for c in plan.cells() if c.data in names and not _is_done(plan, c, out)]
    for name in {cell.data: None for cell in todo}:  # images must be there before work is lost
        first = next(cell for cell in todo if cell.data == name)
        pipeline.load_benchmark(plan.config(first, roots.get(name)))
    for number, cell in enumerate(todo, start=1):
        print(f"cell {number} of {len(todo)}: {cell.name}", flush=True)
        config = plan.config(cell, roots.get(cell.data)).model_copy(update={"device": device})
        compute = Compute.of(config)
        config = config.model_copy(update={"precision": compute.precision})
        benchmark = pipeline.load_benchmark(config)
        result = _run_cell(plan, cell, config, compute, benchmark, out / "runs" / cell.group)
        report.save_json(result, _file(cell, out), lines=True)
        write_tables(plan, read_cells(plan, out), out)
        if not keep and all(_file(c, out).exists() for c in plan.cells() if c.group == cell.group):
            shutil.rmtree(out / "runs" / cell.group)
    cells = read_cells(plan, out)
    write_tables(plan, cells, out)
    return cells


def read_cells(plan: Plan, out: Path) -> list[dict]:
    """The cells of ``plan`` that are done, in its order.

    Raises:
        DireidError: a file that cannot be read, or belongs to other settings.
    """
    return [_read(plan, cell, out) for cell in plan.cells() if _file(cell, out).exists()]


def _run_cell(
    plan: Plan, cell: Cell, config: Config, compute: Compute, benchmark: Benchmark, group: Path
) -> dict:
    """Train what the method needs, or take it from a method of the group, and score it."""
    stages = (plan.stage(cell.method),)
    folder = group / cell.method
    _adopt(folder, config, wanted_stages(stages))
    networks = train(config, benchmark, compute, folder, stages)
    results = pipeline.evaluate(networks, benchmark, config, compute)
    seconds = {
        name: round(checkpoint.load(folder / "checkpoints" / f"{name}.pt")["seconds"], 1)
        for name in wanted_stages(stages)
    }
    queries = benchmark.query
    return {
        "plan": plan.name,
        **cell._asdict(),
        "label": plan.label(cell.method),
        "config": _config_of(config),
        "protocol": benchmark.protocol,
        "split_hash": benchmark.split_hash,
        "budget": pipeline.budget(config)[results.rows[-1]["method"]],
        "seconds": seconds,
        **report.environment(compute.device),
        "rows": results.rows,  # the method's own is the last
        "query_pids": [record.pid for record in queries],
        "query_levels": [record.level for record in queries],
        "per_query": {
            name: {key: _rounded(s.cmc_per_query[:, k]) for key, k in PER_QUERY.items()}
            | {"map": _rounded(s.ap_per_query)}
            for name, s in results.scores.items()
        },
    }


def _adopt(folder: Path, config: Config, stages: tuple[str, ...]) -> None:
    """Take the stages that another method of this split and seed has trained in the same way."""
    for stage in stages:
        mine = folder / "checkpoints" / f"{stage}.pt"
        if mine.exists():
            continue
        for other in sorted(folder.parent.glob(f"*/checkpoints/{stage}.pt")):
            state = checkpoint.load(other)
            alike = state["settings"] == config.stage_settings(stage)
            if alike and state["step"] == config.steps_of(stage):
                mine.parent.mkdir(parents=True, exist_ok=True)
                os.link(other, mine)  # checkpoints are replaced, never written into
                break


def _config_of(config: Config) -> dict:
    """What is stored of it: nothing of where this machine keeps its images."""
    return config.model_dump(mode="json", exclude={"root"})


def _keep_plan(plan: Plan, out: Path) -> None:
    """Store the plan, or refuse a folder that holds another.

    More methods, data, splits or seeds may be added to a plan: what is done stays valid, for each
    cell is held against its own settings.
    """
    path, values = out / "plan.json", plan.model_dump(mode="json")
    if out.exists() and not out.is_dir():
        raise DireidError(f"{out}: is a file, expected a folder for the experiment")
    if path.exists():
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise DireidError(f"{path}: not a readable plan") from None
        if stored["name"] != plan.name:
            raise DireidError(f"{out}: holds the experiment {stored['name']!r}, not {plan.name!r}")
    elif out.is_dir() and any(out.iterdir()):
        raise DireidError(f"{out}: holds other files and no plan.json; choose a new folder")
    report.save_json(values, path)


def _file(cell: Cell, out: Path) -> Path:
    return out / "cells" / f"{cell.name}.json"


def _is_done(plan: Plan, cell: Cell, out: Path) -> bool:
    return _file(cell, out).exists() and bool(_read(plan, cell, out))


def _read(plan: Plan, cell: Cell, out: Path) -> dict:
    """A stored cell, once it is known to be one of this plan's."""
    path = _file(cell, out)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        before = Config.model_validate(stored["config"]).training_settings()
    except (OSError, ValueError, KeyError):
        raise DireidError(f"{path}: not a cell; delete it to run it again") from None
    if changed := differences(before, plan.config(cell).training_settings()):
        raise DireidError(
            f"{path}: was run with other settings ({changed}); choose another folder, or delete it "
            "to run it again"
        )
    return stored


def _rounded(values: np.ndarray) -> list[float]:
    return np.round(values, 5).tolist()
