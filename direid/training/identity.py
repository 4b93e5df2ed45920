"""Stage 0: the identity encoder E_id, and the two re-ID baselines of tables 1 and 2."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from direid import losses
from direid.config import Config
from direid.data.loaders import IdentityBatches
from direid.data.records import Benchmark
from direid.models import IdentityNetwork
from direid.training.engine import Batch, Compute, Losses, Stage, fit


def train_identity(
    name: str,
    steps: int,
    tricks: bool,
    benchmark: Benchmark,
    config: Config,
    compute: Compute,
    folder: Path,
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
    """
    settings = config.identity
    torch.manual_seed(config.seed)
    network = IdentityNetwork(config.network, benchmark.people, bnneck=tricks)
    if config.network.pretrained:
        network.encoder.trunk.load_imagenet()
    network.to(compute.device, memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(
        network.parameters(), lr=settings.rate, weight_decay=settings.decay
    )

    def step(number: int, batch: Batch) -> Losses:
        with compute.autocast():
            seen = network(batch["images"])
        if tricks:
            smoothing = settings.smoothing
            terms = {
                "identification": cross_entropy(
                    seen.logits, batch["labels"], label_smoothing=smoothing
                ),
                "triplet": losses.batch_hard_triplet(
                    seen.feature, batch["labels"], settings.margin
                ),
            }
        else:
            terms = {"identification": cross_entropy(seen.logits, batch["labels"])}
        compute.update(torch.stack(list(terms.values())).sum(), optimiser)
        return terms

    batches = IdentityBatches(
        benchmark.train, settings.people, settings.images, *config.size, augment=tricks,
        seed=config.seed, steps=steps,
    )  # fmt: skip
    stage = Stage(name, steps, batches, network, {"adam": optimiser}, step, settings.warmup)
    fit(stage, compute, config, folder, benchmark.split_hash)
    return network
