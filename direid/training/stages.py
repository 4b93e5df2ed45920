"""All stages of a run in one folder: trained in turn, finished after a kill, loaded again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from direid.config import Config
from direid.data.records import Benchmark
from direid.errors import DireidError
from direid.models import DDGAN, DFEN, IdentityNetwork
from direid.training import checkpoint
from direid.training.compute import Compute
from direid.training.ddgan import train_ddgan
from direid.training.dfen import train_dfen
from direid.training.identity import train_identity

BASELINES = ("resnet", "tricks", "augmented")
METHOD = ("identity", "ddgan", "dfen")  # DI-REID's own, each built on those before it
STAGES = (*BASELINES, *METHOD)


@dataclass
class Networks:
    """What a run has trained; None where a stage was left out."""

    resnet: IdentityNetwork | None = None
    tricks: IdentityNetwork | None = None
    augmented: IdentityNetwork | None = None  # tricks, and F_deg on some of the images
    identity: IdentityNetwork | None = None
    ddgan: DDGAN | None = None
    dfen: DFEN | None = None


def wanted_stages(names: Sequence[str]) -> tuple[str, ...]:
    """The named stages and those that they build on, in order.

    Raises:
        DireidError: a stage that there is not.
    """
    if unknown := [name for name in names if name not in STAGES]:
        raise DireidError(f"unknown stage {unknown[0]!r}: choose from {', '.join(STAGES)}")
    last = max((METHOD.index(name) for name in names if name in METHOD), default=-1)
    baselines = tuple(name for name in BASELINES if name in names)
    return baselines + METHOD[: last + 1]


def check_shares(config: Config, compute: Compute) -> None:
    """Refuse batches that the processes of ``compute`` cannot share equally."""
    people, batch = config.identity.people, config.ddgan.batch
    for name, size in (("identity.people", people), ("ddgan.batch", batch)):
        if size % compute.world.size:
            raise DireidError(
                f"{name}={size} cannot be shared by {compute.world.size} processes: choose a "
                f"multiple of {compute.world.size}"
            )


def train(
    config: Config,
    benchmark: Benchmark,
    compute: Compute,
    out: Path,
    stages: Sequence[str] = STAGES,
) -> Networks:
    """``stages``, and those that they build on, in turn; a finished one is only loaded.

    Raises:
        DireidError: see :func:`direid.training.engine.fit`; or batches that the processes cannot
            share equally.
    """
    stages = wanted_stages(stages)
    check_shares(config, compute)
    common = (benchmark, config, compute, out)
    nets = Networks()
    if "resnet" in stages:
        nets.resnet = train_identity("resnet", config.fair_steps, False, *common)
    if "tricks" in stages:
        nets.tricks = train_identity("tricks", config.fair_steps, True, *common)
    if "augmented" in stages:
        nets.augmented = train_identity(
            "augmented", config.fair_steps, True, *common, config.identity.degraded
        )
    if "identity" in stages:
        nets.identity = train_identity(
            "identity", config.identity.steps, True, *common, config.identity.e_id_degraded
        )
    if "ddgan" in stages:
        nets.ddgan = train_ddgan(nets.identity.encoder, *common)
    if "dfen" in stages:
        nets.dfen = train_dfen(nets.ddgan, nets.identity, *common)
    return nets


def load_networks(
    out: Path,
    compute: Compute,
    config: Config,
    benchmark: Benchmark | None = None,
    stages: Sequence[str] = STAGES,
) -> Networks:
    """The networks of the ``stages`` that a run has finished.

    Args:
        out: the run's folder.
        compute, config: of the run.
        benchmark: that they are to be tested on; None: they are only to be used.
        stages: leave out the others.

    Raises:
        DireidError: none is there, or one is damaged, unfinished, or was trained on people whom
            the benchmark tests.
    """
    nets = Networks()
    for name in stages:
        path = out / "checkpoints" / f"{name}.pt"
        if not path.exists():
            continue
        state = checkpoint.load(path)
        if state["step"] < (wanted := config.steps_of(name)):
            raise DireidError(
                f"{path}: stopped at step {state['step']} of {wanted}; finish it with --resume"
            )
        if benchmark is not None:
            checkpoint.check_unseen(state, path, benchmark)
        seen = state["trained_on"]
        network = _empty(name, seen.get("labelled", len(seen["people"])), config)
        checkpoint.restore(network, state, path)
        setattr(nets, name, compute.place(network))
    if nets == Networks():
        raise DireidError(f"{out / 'checkpoints'}: no trained stage there; train one first")
    return nets


def _empty(name: str, people: int, config: Config) -> nn.Module:
    if name == "ddgan":
        return DDGAN(config.network, people)
    if name == "dfen":
        return DFEN(config.network, people, config.dfen, config.readings)
    return IdentityNetwork(config.network, people, bnneck=name != "resnet")
