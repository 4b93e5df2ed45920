"""Stage 0: the identity encoder E_id, the baselines of tables 1 and 2, and a stronger one."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from direid import losses
from direid.config import Config
from direid.data.loaders import IdentityBatches
from direid.data.records import Benchmark
from direid.degradations import SelfDegradation
from direid.models import IdentityNetwork
from direid.training.compute import Batch, Compute, Losses
from direid.training.engine import Stage, fit


def train_identity(
    name: str,
    steps: int,
    tricks: bool,
    benchmark: Benchmark,
    config: Config,
    compute: Compute,
    folder: Path,
    degraded: float = 0.0,
) -> IdentityNetwork:
    """Train a re-ID network for ``steps`` steps of P x K images, or finish a run that was killed.

    Args:
        name: of the checkpoint and the log.
        steps: E_id's own, or ``config.fair_steps`` for a baseline.
        tricks: random flip and crop, BNNeck, label smoothing and the triplet loss.
        benchmark: its training people.
        config: everything else.
        compute: device and precision.
        folder: the run's.
        degraded: share of the images that F_deg augments, on average.
    """
    torch.manual_seed(config.seed)
    network = IdentityNetwork(config.network, benchmark.people, bnneck=tricks)
    if config.network.pretrained:
        network.encoder.trunk.load_imagenet()
    network = compute.place(network)
    stage = identity_stage(name, steps, tricks, network, benchmark, config, compute, degraded)
    fit(stage, compute, config, folder, benchmark)
    return network


def identity_stage(
    name: str,
    steps: int,
    tricks: bool,
    network: IdentityNetwork,
    benchmark: Benchmark,
    config: Config,
    compute: Compute,
    degraded: float = 0.0,
) -> Stage:
    """What a training of ``network`` consists of: batches, optimiser, and one step."""
    settings = config.identity
    optimiser = torch.optim.Adam(
        network.parameters(), lr=settings.rate, weight_decay=settings.decay
    )
    player = compute.wrap(network)
    self_degradation = SelfDegradation(config.self_degradation)

    def terms(batch: Batch) -> Losses:
        people = batch["labels"]
        with compute.autocast():
            seen = player(batch["images"])
        smoothing = settings.smoothing if tricks else 0.0
        found = {"identification": cross_entropy(seen.logits, people, label_smoothing=smoothing)}
        if tricks:
            whole = compute.world.gather(seen.feature), compute.world.gather(people)
            found["triplet"] = losses.batch_hard_triplet(*whole, settings.margin)
        return found

    def step(number: int, batch: Batch) -> dict[str, float]:
        if degraded:
            random, world = compute.generator(config.seed, 3, number), compute.world
            mixed = self_degradation.some(batch["images"], degraded, random, world.rank, world.size)
            batch = batch | {"images": mixed}
        return compute.descend(terms(batch), {}, optimiser, again=lambda: terms(batch))

    batches = IdentityBatches(
        benchmark.labelled, settings.people, settings.images, *config.size, augment=tricks,
        seed=config.seed, steps=steps, rank=compute.world.rank, processes=compute.world.size,
    )  # fmt: skip
    return Stage(name, steps, batches, network, {"adam": optimiser}, step, settings.warmup)
