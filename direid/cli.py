"""The command line: each command is one call that a notebook can make too."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from direid.arguments import parser
from direid.config import (
    LITERAL,
    SWAPS,
    Config,
    load_preset,
    merge,
    parse_settings,
    read_config,
    with_changes,
)
from direid.errors import DireidError

if TYPE_CHECKING:
    from direid.experiments import Plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a user's mistake is one line on stderr and exit code 2."""
    try:
        options = parser(COMMANDS).parse_args(arguments)
        options.command(options)
    except DireidError as error:
        print(f"direid: error: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # a folder that may not be read, a full disk, a name too long
        where = f"{error.filename}: " if error.filename else ""
        print(f"direid: error: {where}{error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("direid: stopped", file=sys.stderr)
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    from direid.evaluation.report import table
    from direid.pipeline import run

    result = run(_config(options), options.out, options.resume)
    print()
    print(table(result["rows"]))
    print(f"\nreport    {options.out / 'report.md'}")
    print(f"pictures  {options.out / 'pictures'}")


def _train(options: argparse.Namespace) -> None:
    from direid.pipeline import open_run
    from direid.training.compute import Compute
    from direid.training.stages import train, wanted_stages

    stages = wanted_stages([name.strip() for name in options.stages.split(",") if name.strip()])
    config = _config(options)
    compute = Compute.of(config)
    benchmark = open_run(config, compute, options.out, options.resume)
    train(config, benchmark, compute, options.out, stages)
    compute.world.leave()  # not after an error: torchrun ends the others, who may never come here
    if compute.world.first:
        print(f"trained {', '.join(stages)}: {options.out / 'checkpoints'}")
        print(f"evaluate with: direid evaluate --run {options.out}")


def _evaluate(options: argparse.Namespace) -> None:
    from direid.evaluation.report import table
    from direid.pipeline import evaluate, load_benchmark
    from direid.training.compute import Compute
    from direid.training.stages import load_networks

    config = read_config(options.run / "config.json")
    changed = {"root": options.root, "device": options.device, "split": options.split}
    changed = {key: value for key, value in changed.items() if value is not None}
    if options.data:  # another benchmark has another folder, or none
        changed = {"root": None} | changed | {"data": options.data}
    config = with_changes(config, changed)
    compute = Compute(config.device, config.precision)
    benchmark = load_benchmark(config)
    networks = load_networks(options.run, compute, config, benchmark)
    print(table(evaluate(networks, benchmark, config, compute, options.rerank).rows))
    if options.rerank:
        print("\nre-ranked by shared neighbours, with k1 = 20, k2 = 6, weight 0.3: it looks at all")
        print("queries at once, so do not compare it with scores that are not re-ranked")


def _search(options: argparse.Namespace) -> None:
    from direid import figures, use

    if options.top < 1:
        raise DireidError(f"--top {options.top}: expected 1 or more")
    if options.out.exists():
        raise DireidError(f"{options.out}: exists; choose a new folder")
    there = (options.run / "checkpoints" / "ddgan.pt").exists()
    trained = use.load(options.run, ("ddgan", "dfen") if there else ("dfen",), options.device)
    found = use.search(trained, options.query, options.gallery, options.top)
    options.out.mkdir(parents=True)
    found.save(options.out / "matches.csv")
    figures.save(use.search_picture(trained, found), options.out / "matches.png")
    print(f"{len(found.query)} queries in {len(found.gallery)} images: {options.out}/matches.csv")
    print(f"a picture of some: {options.out}/matches.png")
    print("a first match is a suggestion: the person may not be there at all")


def _swap(options: argparse.Namespace) -> None:
    from direid import figures, use

    if options.out.exists():
        raise DireidError(f"{options.out}: exists; choose a new file")
    trained = use.load(options.run, ("ddgan",), options.device)
    figures.save(use.swap(trained, options.content, options.degradation), options.out)
    print(options.out)


def _export(options: argparse.Namespace) -> None:
    from direid import use

    trained = use.load(options.run, ("dfen",), "cpu")
    height, width = use.export(trained, options.out)[1:]
    print(f"{options.out}: RGB images (B, 3, {height}, {width}) in [0, 1] to unit vectors")


def _experiment(options: argparse.Namespace) -> None:
    from direid.experiments import read_plan

    plan = read_plan(options.plan)
    _run_plan(plan.quick() if options.quick else plan, _roots(options.root), options)


def _ablate(options: argparse.Namespace) -> None:
    from direid.experiments import ablation_plan

    plan = ablation_plan(
        options.preset, options.data, options.splits, options.seeds, parse_settings(options.set)
    )
    _run_plan(plan, {options.data: options.root} if options.root else {}, options)


def _run_plan(plan: Plan, roots: dict[str, Path], options: argparse.Namespace) -> None:
    from direid.experiments import run_plan, tables

    cells = run_plan(
        plan, options.out, roots, getattr(options, "only", None), options.keep, options.device
    )
    print()
    print(tables(plan, cells))
    print(f"tables  {options.out / 'tables.md'}")


def _roots(pairs: list[str]) -> dict[str, Path]:
    """["caviar=DIR"] as {"caviar": DIR}."""
    roots = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not (name and equals and path):
            raise DireidError(f"--root {pair!r}: expected NAME=DIR, as caviar=CAVIAR4REID")
        roots[name] = Path(path)
    return roots


def _config(options: argparse.Namespace) -> Config:
    root = options.root.resolve() if options.root else None
    given = {
        "data": options.data, "root": root, "split": options.split, "seed": options.seed,
        "device": options.device,
    }  # fmt: skip
    settings = parse_settings(options.set) | {k: v for k, v in given.items() if v is not None}
    for asked, group in ((options.literal, LITERAL), (options.swaps, SWAPS)):
        if asked:
            settings = merge(group, settings)
    return load_preset(options.preset, settings, options.ablation)


def _data_list(options: argparse.Namespace) -> None:
    from direid import data

    for entry in data.describe():
        print(f"{entry['name']:<17} {entry['what']}")
        print(f"{'':<17} from: {entry['where']}")
        print(f"{'':<17} layout: {entry['layout']}\n")


def _data_check(options: argparse.Namespace) -> None:
    from direid import data

    print("\n".join(data.check(options.name, options.root, options.seed)))


def _data_build(options: argparse.Namespace) -> None:
    from direid import data

    try:
        cameras = [int(c) for c in options.cameras.split(",")] if options.cameras else None
    except ValueError:
        raise DireidError(f"--cameras {options.cameras!r}: expected numbers, as 1,3") from None
    benchmark = data.build(
        options.name, options.source, options.out, options.seed, degrade=options.degrade,
        cameras=cameras,
    )  # fmt: skip
    count = data.splits("folder", options.out)
    print(f"{benchmark.name}: written to {options.out}, {count} split{'s' if count > 1 else ''}")
    for note in benchmark.notes:
        print(note)
    print(f"split 0: {benchmark.split_hash}")
    print(f"use it with: direid run --data folder --root {options.out} --split 0 ...")


def _data_splits(options: argparse.Namespace) -> None:
    from direid import data

    data.save_splits(options.name, options.root, options.seed, options.out, options.count)
    print(f"{options.name}: {options.count} splits of seed {options.seed} written to {options.out}")


COMMANDS = {
    "run": _run, "train": _train, "evaluate": _evaluate, "search": _search, "swap": _swap,
    "export": _export, "experiment": _experiment, "ablate": _ablate,
    "data list": _data_list, "data check": _data_check,
    "data build": _data_build, "data splits": _data_splits,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
