"""The command line: each command is one call that a notebook can make too."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from direid.config import (
    ABLATIONS,
    LITERAL,
    PRESETS,
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


class _Parser(argparse.ArgumentParser):
    """Argparse that says a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        raise DireidError(f"{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a user's mistake is one line on stderr and exit code 2."""
    try:
        options = _parser().parse_args(arguments)
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
    print(table(evaluate(networks, benchmark, config, compute).rows))


def _experiment(options: argparse.Namespace) -> None:
    from direid.experiments import read_plan

    _run_plan(read_plan(options.plan), _roots(options.root), options)


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
    if options.literal:
        settings = merge(LITERAL, settings)
    return load_preset(options.preset, settings, options.ablation)


def _data_list(options: argparse.Namespace) -> None:
    from direid import data

    for entry in data.describe():
        print(f"{entry['name']:<17} {entry['what']}")
        print(f"{'':<17} from: {entry['where']}")
        print(f"{'':<17} layout: {entry['layout']}\n")


def _data_check(options: argparse.Namespace) -> None:
    from direid import data

    print("\n".join(data.check(options.name, options.root)))


def _data_build(options: argparse.Namespace) -> None:
    from direid import data

    benchmark = data.build(options.name, options.root, options.out, options.seed)
    print(f"{benchmark.name}: written to {options.out}, split {benchmark.split_hash[:12]}")
    print(f"use it with: direid run --data folder --root {options.out} ...")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="direid",
        description="DI-REID: person re-identification by degradation invariance learning.",
        epilog="example: direid run --preset tiny --data paper_dolls --out runs/tiny",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    run = _command(
        commands, "run", _run,
        "train the baselines, DDGAN and DFEN, evaluate them, and write a report",
        "direid run --preset tiny --data paper_dolls --out runs/tiny\n"
        "         direid run --preset tiny --data caviar --root CAVIAR4REID --out runs/caviar",
    )  # fmt: skip
    _run_options(run)
    train = _command(
        commands, "train", _train,
        "train only; also in several processes, on several GPUs, under torchrun",
        "direid train --preset paper --data caviar --root CAVIAR4REID --out runs/paper\n"
        "         torchrun --nproc-per-node 2 -m direid train --preset paper ...",
    )  # fmt: skip
    _run_options(train)
    train.add_argument(
        "--stages", default="dfen", metavar="NAME,...",
        help="resnet and tricks are baselines; identity, ddgan and dfen are DI-REID, and each "
        "brings those before it (default: dfen)",
    )  # fmt: skip

    evaluate = _command(
        commands, "evaluate", _evaluate,
        "evaluate the networks of a run, on its own test people or on others",
        "direid evaluate --run runs/tiny",
    )  # fmt: skip
    evaluate.add_argument("--run", type=Path, required=True, metavar="DIR", help="the run's folder")
    evaluate.add_argument("--data", metavar="NAME", help="another benchmark to test on")
    evaluate.add_argument("--root", type=Path, metavar="DIR",
                          help="its images, or the run's if they have moved")  # fmt: skip
    evaluate.add_argument("--split", type=int, metavar="N", help="another split to test on")
    evaluate.add_argument("--device", help="cpu, cuda, ... (default: the run's)")

    experiment = _command(
        commands, "experiment", _experiment,
        "run a declared plan: methods x data x splits x seeds, and make the paper's tables",
        "direid experiment book/plans/tables.toml --out runs/tables\n"
        "         --root caviar=CAVIAR4REID --root mlr_viper=VIPeR",
    )  # fmt: skip
    experiment.add_argument("plan", type=Path, metavar="PLAN", help="a TOML file")
    experiment.add_argument("--root", action="append", default=[], metavar="NAME=DIR",
                            help="where the images of NAME lie; repeatable")  # fmt: skip
    experiment.add_argument("--only", metavar="NAME",
                            help="this benchmark alone, so that processes can share")  # fmt: skip
    _plan_options(experiment)
    ablate = _command(
        commands, "ablate", _ablate,
        "table 3: DI-REID, each of its ablations, and the baselines, on one benchmark",
        "direid ablate --preset tiny --data paper_dolls --splits 3 --out runs/ablation",
    )  # fmt: skip
    ablate.add_argument("--preset", required=True, metavar="{" + ",".join(PRESETS) + "}",
                        help="size of networks and training")  # fmt: skip
    ablate.add_argument("--data", required=True, metavar="NAME", help="see: direid data list")
    ablate.add_argument("--root", type=Path, metavar="DIR", help="where the images of NAME lie")
    ablate.add_argument("--splits", type=int, default=1, metavar="N",
                        help="how many splits (default 1)")  # fmt: skip
    ablate.add_argument("--seeds", type=int, default=1, metavar="N",
                        help="how many trainings of each (default 1)")  # fmt: skip
    ablate.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="change one setting for all; repeatable")  # fmt: skip
    _plan_options(ablate)

    about = "list the benchmarks, check a folder of one, or write one to disk"
    data = commands.add_parser(
        "data", help=about, description=about[0].upper() + about[1:] + ".",
        epilog="example: direid data list",
    )  # fmt: skip
    actions = data.add_subparsers(metavar="ACTION", required=True)
    _command(
        actions, "list", _data_list,
        "every benchmark: what it is, where to get it, the layout it wants",
        "direid data list",
    )  # fmt: skip
    check = _command(
        actions, "check", _data_check,
        "hold a folder against what the benchmark should contain, and open every image",
        "direid data check caviar --root CAVIAR4REID",
    )  # fmt: skip
    check.add_argument("name", metavar="NAME", help="see: direid data list")
    check.add_argument("--root", type=Path, metavar="DIR", help="where its images lie")
    build = _command(
        actions, "build", _data_build,
        "write a benchmark's train, query and gallery images, as --data folder reads them",
        "direid data build mlr_viper --root VIPeR --out mlr_viper --seed 0",
    )  # fmt: skip
    build.add_argument("name", metavar="NAME", help="see: direid data list")
    build.add_argument("--root", type=Path, metavar="DIR", help="where the original images lie")
    build.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    build.add_argument("--seed", type=int, default=0, metavar="N", help="of the split (default 0)")
    return parser


def _plan_options(parser: argparse.ArgumentParser) -> None:
    """What every experiment wants to know; one that was stopped goes on by the same command."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="folder of the experiment; the same again goes on")  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="keep the checkpoints")
    parser.add_argument("--device", default="auto", help="cpu, cuda, ... (default: the best)")


def _run_options(parser: argparse.ArgumentParser) -> None:
    """What a training wants to know."""
    add = parser.add_argument
    add("--preset", required=True, metavar="{" + ",".join(PRESETS) + "}",
        help="size of networks and training")  # fmt: skip
    add("--data", required=True, metavar="NAME", help="see: direid data list")
    add("--root", type=Path, metavar="DIR",
        help="where the images of NAME lie; drawn benchmarks need none")  # fmt: skip
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    add("--split", type=int, metavar="N",
        help="which of NAME's splits into training and test people (default 0)")  # fmt: skip
    add("--seed", type=int, metavar="N", help="of the training (default 0)")
    add("--device", help="cpu, cuda, cuda:1, mps (default: the best there is)")
    add("--resume", action="store_true", help="continue the run in --out")
    add("--ablation", metavar="NAME", help=f"leave a part away: {', '.join(ABLATIONS)}")
    add("--literal", action="store_true",
        help="read every equation as printed, also where it contradicts another")  # fmt: skip
    add("--set", action="append", default=[], metavar="KEY=VALUE",
        help="change one setting, such as ddgan.steps=2000; repeatable")  # fmt: skip


def _command(
    commands: argparse._SubParsersAction,
    name: str,
    call: Callable[[argparse.Namespace], None],
    about: str,
    example: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=call)
    return parser


if __name__ == "__main__":
    sys.exit(main())
