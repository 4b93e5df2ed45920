"""Stage 2: identity representation learning (section 3.4, equation 14)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from direid import losses
from direid.config import Config
from direid.data.loaders import IdentityBatches
from direid.data.records import Benchmark
from direid.degradations import SelfDegradation
from direid.models import DDGAN, DFEN, IdentityNetwork
from direid.training.compute import Batch, Compute, Losses
from direid.training.engine import Stage, fit
from direid.training.replay import Memory


def train_dfen(
    ddgan: DDGAN,
    identity: IdentityNetwork,
    benchmark: Benchmark,
    config: Config,
    compute: Compute,
    folder: Path,
) -> DFEN:
    """Train DFEN, or finish a run that was killed.

    Args:
        ddgan: gives E_c and its classifier, and the frozen D_d.
        identity: gives E_id and its classifier.
        benchmark: its training people.
        config: everything else.
        compute: device and precision.
        folder: the run's.
    """
    torch.manual_seed(config.seed + 2)
    network = DFEN(config.network, benchmark.people, config.dfen, config.readings)
    judge = ddgan.discriminators.degradation.state_dict()
    network.content_encoder.load_state_dict(ddgan.generator.content_encoder.state_dict())
    network.degradation_discriminator.load_state_dict(judge)
    network.identity_encoder.load_state_dict(identity.encoder.state_dict())
    network.invariant_neck.load_state_dict(ddgan.generator.neck.state_dict())
    network.sensitive_neck.load_state_dict(identity.neck.state_dict())
    network = compute.place(network)
    memory = None
    if config.remembers:
        memory = Memory(ddgan.generator, benchmark.train, config, compute)
    fit(dfen_stage(network, memory, benchmark, config, compute), compute, config, folder, benchmark)
    return network


def dfen_stage(
    network: DFEN, memory: Memory | None, benchmark: Benchmark, config: Config, compute: Compute
) -> Stage:
    """What a training of ``network`` consists of: batches, optimiser, and one step."""
    settings, reid, later = config.dfen, config.identity, config.later
    trained = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(trained, lr=settings.rate, weight_decay=reid.decay)
    player = compute.wrap(network)
    weights: Mapping[str, float] = settings.model_dump() | later.model_dump()
    self_degradation = SelfDegradation(config.self_degradation)

    def augmented(images: Tensor, random: torch.Generator) -> Tensor:
        """Some of them as another camera took them, and some of all degraded by F_deg."""
        rank, processes = compute.world.rank, compute.world.size
        if settings.swapped:
            images = memory.some(images, settings.swapped, random, settings.strength)
        if settings.degraded:
            images = self_degradation.some(images, settings.degraded, random, rank, processes)
        return images

    def terms(number: int, batch: Batch) -> Losses:
        images, people, replayed = batch["images"], batch["labels"], None
        images = augmented(images, compute.generator(config.seed, 4, number))
        if later.smoothing or later.replay:
            replayed = memory.replay(images, compute.generator(config.seed, 2, number))
        with compute.autocast():
            seen = player(images, replayed)
        found = losses.multi_classifier(
            seen.branches(), people, weights, reid.margin, reid.smoothing,
            compute.world.gather,
        )  # fmt: skip
        if later.smoothing:
            found["smoothing"] = losses.prediction_smoothing(
                seen.invariant.logits, seen.replayed.logits
            )
        if later.replay:
            found["replay"] = losses.reid(
                seen.replayed, people, reid.margin, reid.smoothing, compute.world.gather
            )
        return found

    def step(number: int, batch: Batch) -> dict[str, float]:
        found = terms(number, batch)
        return compute.descend(found, weights, optimiser, again=lambda: terms(number, batch))

    batches = IdentityBatches(
        benchmark.labelled, reid.people, reid.images, *config.size, augment=True,
        seed=config.seed + 2, steps=settings.steps,
        rank=compute.world.rank, processes=compute.world.size,
    )  # fmt: skip
    optimisers = {"adam": optimiser}
    return Stage("dfen", settings.steps, batches, network, optimisers, step, reid.warmup)
