"""Stage 1: degradation invariance learning, self- and cross-degradation in turn (section 3.3).

Even steps take a self-degraded pair {x_i, x_j = F_deg(x_i)}, odd steps a real pair {x_i, x_k}. Each
step takes the pair apart and decodes its four combinations once, lets the discriminators learn from
the decoded images as they are, and then moves the encoders and G, the discriminators held still.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from direid.config import Config
from direid.data.loaders import RealPairs
from direid.data.records import Benchmark
from direid.degradations import SelfDegradation
from direid.errors import DireidError
from direid.models import DDGAN
from direid.models.identity_encoder import IdentityEncoder
from direid.training.compute import Batch, Compute
from direid.training.engine import Stage, fit
from direid.training.phases import CrossPhase, Phase, SelfPhase


def train_ddgan(
    identity_encoder: IdentityEncoder,
    benchmark: Benchmark,
    config: Config,
    compute: Compute,
    folder: Path,
) -> DDGAN:
    """Train DDGAN, or finish a run that was killed.

    Args:
        identity_encoder: E_id from stage 0, the frozen teacher of equations 3 and 8. Where no
            ImageNet weights are used, E_c's ResNet starts from its weights too (ours).
        benchmark: its training images.
        config: everything else; with ``ddgan.steps`` 0, networks are returned as they start.
        compute: device and precision.
        folder: the run's.

    Returns:
        The networks; if the generator was averaged, with its average.
    """
    check_cameras(benchmark, config)
    torch.manual_seed(config.seed + 1)
    nets = DDGAN(config.network, benchmark.people)
    nets.identity_encoder.load_state_dict(identity_encoder.state_dict())
    if config.network.pretrained:
        nets.generator.content_encoder.trunk.load_imagenet()
    else:
        trunk = identity_encoder.trunk.state_dict()
        nets.generator.content_encoder.trunk.load_state_dict(trunk)
    nets = compute.place(nets)
    stage = ddgan_stage(nets, benchmark, config, compute)
    fit(stage, compute, config, folder, benchmark)
    if stage.average is not None:
        nets.generator.load_state_dict(stage.average.module.state_dict())
    return nets


def ddgan_stage(nets: DDGAN, benchmark: Benchmark, config: Config, compute: Compute) -> Stage:
    """What a training of ``nets`` consists of: batches, optimisers, and one step."""
    settings = config.ddgan
    betas = (settings.momentum, 0.999)
    optimisers = {
        name: torch.optim.Adam(player.parameters(), rate, betas, weight_decay=settings.decay)
        for name, player, rate in (
            ("generator", nets.generator, settings.rate),
            ("discriminators", nets.discriminators, settings.critic_rate),
        )
    }
    players = (
        compute.wrap(nets.generator, partly=True),  # E_d' rests in one phase, the neck in the other
        compute.wrap(nets.discriminators.reality),
        compute.wrap(nets.discriminators.degradation),
    )
    compute.compiled(nets.identity_encoder)
    average = None
    if settings.average:
        decay = get_ema_multi_avg_fn(settings.average)
        average = AveragedModel(nets.generator, multi_avg_fn=decay, use_buffers=True)
    self_degradation = SelfDegradation(config.self_degradation)
    poor = torch.tensor(config.later.poor_cameras, dtype=torch.int64, device=compute.device)

    def begin(number: int, batch: Batch) -> Phase:
        if number % 2:
            batch = batch | {f"poor_{x}": torch.isin(batch[f"camid_{x}"], poor) for x in "ik"}
            return CrossPhase(nets, compute, config, batch, players)
        random = compute.generator(config.seed, 1, number)
        x_j = self_degradation(batch["image_i"], random, compute.world.rank, compute.world.size)
        return SelfPhase(nets, compute, config, batch | {"image_j": x_j}, players)

    def step(number: int, batch: Batch) -> dict[str, float]:
        phase = begin(number, batch)
        seen = compute.descend(
            phase.discriminator_losses(), phase.weights, optimisers["discriminators"],
            again=lambda: begin(number, batch).discriminator_losses(),
        )  # fmt: skip
        with frozen(nets.discriminators):
            seen |= compute.descend(
                phase.generator_losses(), phase.weights, optimisers["generator"],
                again=lambda: begin(number, batch).generator_losses(),
            )  # fmt: skip
        if average is not None:
            average.update_parameters(nets.generator)
        return {f"{phase.name}/{name}": value for name, value in seen.items()}

    batches = RealPairs(
        benchmark.train, settings.batch, *config.size, seed=config.seed, steps=settings.steps,
        rank=compute.world.rank, processes=compute.world.size,
    )  # fmt: skip

    def sample() -> tuple[Tensor, int]:
        return swap_samples(nets, average, compute.send(batches[0]))

    return Stage(
        "ddgan", settings.steps, batches, nets, optimisers, step, average=average, sample=sample
    )


@torch.no_grad()
def swap_samples(nets: DDGAN, average: nn.Module | None, batch: Batch) -> tuple[Tensor, int]:
    """Rows of x_i, x_ii, x_ik, x_ki, x_kk, x_k of up to eight pairs, and six, their number."""
    generator = nets.generator if average is None else average.module
    was_training = generator.training
    generator.eval()
    x_i, x_k = batch["image_i"][:8], batch["image_k"][:8]
    swaps = generator(x_i, x_k, synthetic=False).swaps
    generator.train(was_training)
    return torch.stack([x_i, *swaps, x_k], dim=1).flatten(0, 1).clamp(0, 1), 6


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Hold ``network`` still: gradients pass through it, but none is computed for its weights."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def check_cameras(benchmark: Benchmark, config: Config) -> None:
    """Refuse cameras for semi-supervised ranking that are not there, or that are all there are."""
    named, there = set(config.later.poor_cameras), {r.camid for r in benchmark.train}
    if not named:
        return
    if named - there or named == there:
        raise DireidError(
            f"later.poor_cameras={sorted(named)}: expected some, not all, of the training cameras "
            f"of {benchmark.name}, {sorted(there)}"
        )
