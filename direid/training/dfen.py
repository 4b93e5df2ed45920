"""Stage 2: identity representation learning (section 3.4, equation 14)."""

from __future__ import annotations

from pathlib import Path

import torch

from direid import losses
from direid.config import Config
from direid.data.loaders import IdentityBatches
from direid.data.records import Benchmark
from direid.models import DDGAN, DFEN, IdentityNetwork
from direid.training.engine import Batch, Compute, Losses, Stage, fit


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
    settings, tricks = config.dfen, config.identity
    torch.manual_seed(config.seed + 2)
    network = DFEN(config.network, benchmark.people)
    network.content_encoder.load_state_dict(ddgan.content_encoder.state_dict())
    network.degradation_discriminator.load_state_dict(ddgan.degradation_discriminator.state_dict())
    network.identity_encoder.load_state_dict(identity.encoder.state_dict())
    network.invariant_neck.load_state_dict(ddgan.neck.state_dict())
    network.sensitive_neck.load_state_dict(identity.neck.state_dict())
    network.to(compute.device, memory_format=torch.channels_last)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(trained, lr=settings.rate, weight_decay=tricks.decay)

    def step(number: int, batch: Batch) -> Losses:
        with compute.autocast():
            seen = network(batch["images"])
        terms = {
            name: losses.reid(
                part.logits, part.feature, batch["labels"], tricks.margin, tricks.smoothing
            )
            for name, part in zip(("invariant", "sensitive", "both"), seen, strict=False)
            if getattr(settings, name)
        }
        total = sum(getattr(settings, name) * loss for name, loss in terms.items())
        compute.update(total, optimiser)
        return terms

    batches = IdentityBatches(
        benchmark.train, tricks.people, tricks.images, *config.size, augment=True,
        seed=config.seed + 2, steps=settings.steps,
    )  # fmt: skip
    stage = Stage(
        "dfen", settings.steps, batches, network, {"adam": optimiser}, step, tricks.warmup
    )
    fit(stage, compute, config, folder, benchmark.split_hash)
    return network
