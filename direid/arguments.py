"""What the command line understands, and its help. `cli.py` has what each command does."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from direid.config import ABLATIONS, PRESETS
from direid.errors import DireidError


class Parser(argparse.ArgumentParser):
    """Argparse that says a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        """Raise it."""
        raise DireidError(f"{message} (see {self.prog} --help)")


def parser(calls: Mapping[str, Callable[[argparse.Namespace], None]]) -> argparse.ArgumentParser:
    """The parser of ``direid``; ``calls`` has for each command, as "data list", what runs it."""
    parser = Parser(
        prog="direid",
        description="DI-REID: person re-identification by degradation invariance learning.",
        epilog="example: direid run --preset tiny --data paper_dolls --out runs/tiny",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    run = _command(
        commands, "run", calls["run"],
        "train the baselines, DDGAN and DFEN, evaluate them, and write a report",
        "direid run --preset tiny --data paper_dolls --out runs/tiny\n"
        "         direid run --preset tiny --data caviar --root CAVIAR4REID --out runs/caviar",
    )  # fmt: skip
    _run_options(run)
    train = _command(
        commands, "train", calls["train"],
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
        commands, "evaluate", calls["evaluate"],
        "evaluate the networks of a run, on its own test people or on others",
        "direid evaluate --run runs/tiny",
    )  # fmt: skip
    _run_folder(evaluate)
    evaluate.add_argument("--data", metavar="NAME", help="another benchmark to test on")
    evaluate.add_argument("--root", type=Path, metavar="DIR",
                          help="its images, or the run's if they have moved")  # fmt: skip
    evaluate.add_argument("--split", type=int, metavar="N", help="another split to test on")
    evaluate.add_argument("--rerank", action="store_true",
                          help="re-rank by shared neighbours (k-reciprocal)")  # fmt: skip
    evaluate.add_argument("--device", help="cpu, cuda, ... (default: the run's)")

    search = _command(
        commands, "search", calls["search"],
        "search the crops of one folder in those of another, with the networks of a run",
        "direid search --run runs/mine --query lost --gallery seen --out found",
    )  # fmt: skip
    _run_folder(search)
    search.add_argument("--query", type=Path, required=True, metavar="DIR", help="crops to find")
    search.add_argument("--gallery", type=Path, required=True, metavar="DIR",
                        help="crops to find them in")  # fmt: skip
    search.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="new folder for matches.csv and matches.png")  # fmt: skip
    search.add_argument("--top", type=int, default=10, metavar="K",
                        help="matches of each query (default 10)")  # fmt: skip
    _device(search)
    swap = _command(
        commands, "swap", calls["swap"],
        "show people under each other's degradation, as figures 5 and 6 do",
        "direid swap --run runs/mine --content a.jpg b.jpg --degradation c.jpg d.jpg\n"
        "         --out swaps.png",
    )  # fmt: skip
    _run_folder(swap)
    swap.add_argument("--content", type=Path, required=True, nargs="+", metavar="FILE",
                      help="who is to be seen")  # fmt: skip
    swap.add_argument("--degradation", type=Path, required=True, nargs="+", metavar="FILE",
                      help="how they are to be taken")  # fmt: skip
    swap.add_argument("--out", type=Path, required=True, metavar="FILE", help="new picture")
    _device(swap)
    export = _command(
        commands, "export", calls["export"],
        "write the embedding of a run as one file that needs PyTorch and nothing of this package",
        "direid export --run runs/mine --out model.pt2",
    )  # fmt: skip
    _run_folder(export)
    export.add_argument("--out", type=Path, required=True, metavar="FILE", help="new file")
    experiment = _command(
        commands, "experiment", calls["experiment"],
        "run a declared plan: methods x data x splits x seeds, and make the paper's tables",
        "direid experiment book/plans/tables.toml --out runs/tables\n"
        "         --root caviar=CAVIAR4REID --root mlr_viper=VIPeR",
    )  # fmt: skip
    experiment.add_argument("plan", type=Path, metavar="PLAN", help="a TOML file")
    experiment.add_argument("--root", action="append", default=[], metavar="NAME=DIR",
                            help="where the images of NAME lie; repeatable")  # fmt: skip
    experiment.add_argument("--only", metavar="NAME",
                            help="this benchmark alone, so that processes can share")  # fmt: skip
    experiment.add_argument("--quick", action="store_true",
                            help="a trial in minutes: one split, eight steps a stage")  # fmt: skip
    _plan_options(experiment)
    ablate = _command(
        commands, "ablate", calls["ablate"],
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
        actions, "list", calls["data list"],
        "every benchmark: what it is, where to get it, the layout it wants",
        "direid data list",
    )  # fmt: skip
    check = _command(
        actions, "check", calls["data check"],
        "hold a folder against what the benchmark should contain, and open every image",
        "direid data check caviar --root CAVIAR4REID",
    )  # fmt: skip
    check.add_argument("name", metavar="NAME", help="see: direid data list")
    check.add_argument("--root", type=Path, metavar="DIR", help="where its images lie")
    check.add_argument("--seed", type=int, default=0, metavar="N",
                       help="of the split that is shown (default 0)")  # fmt: skip
    build = _command(
        actions, "build", calls["data build"],
        "write a benchmark's images, splits and a manifest, as --data folder reads them; also in "
        "a cross-resolution or cross-illumination version",
        "direid data build mlr_viper --source VIPeR --out mlr_viper --seed 0\n"
        "         direid data build market1501 --source Market-1501 --out dark "
        "--degrade illumination",
    )  # fmt: skip
    build.add_argument("name", metavar="NAME", help="see: direid data list")
    build.add_argument("--source", type=Path, metavar="DIR", help="where the original images lie")
    build.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    build.add_argument("--seed", type=int, default=0, metavar="N",
                       help="of the splits and of what is degraded (default 0)")  # fmt: skip
    build.add_argument("--degrade", choices=("resolution", "illumination"),
                       help="spoil the images of some cameras")  # fmt: skip
    build.add_argument("--cameras", metavar="N,...",
                       help="those cameras (default: half, drawn from the seed)")  # fmt: skip
    splits = _command(
        actions, "splits", calls["data splits"],
        "write several splits of a benchmark, from one seed, to a file",
        "direid data splits caviar --root CAVIAR4REID --out caviar_splits.json --count 10",
    )  # fmt: skip
    splits.add_argument("name", metavar="NAME", help="see: direid data list")
    splits.add_argument("--root", type=Path, metavar="DIR", help="where its images lie")
    splits.add_argument("--out", type=Path, required=True, metavar="FILE", help="a new file")
    splits.add_argument("--seed", type=int, default=0, metavar="N", help="(default 0)")
    splits.add_argument("--count", type=int, default=10, metavar="N", help="(default 10)")
    return parser


def _plan_options(parser: argparse.ArgumentParser) -> None:
    """What every experiment wants to know; one that was stopped goes on by the same command."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="folder of the experiment; the same again goes on")  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="keep the checkpoints")
    _device(parser)


def _run_folder(parser: argparse.ArgumentParser) -> None:
    """What every command wants that uses a trained run."""
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="the run's folder")


def _device(parser: argparse.ArgumentParser) -> None:
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
    add("--swaps", action="store_true",
        help="let stage 2 see images degraded by F_deg and by the decoder; ours, for cameras "
        "without labels")  # fmt: skip
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
