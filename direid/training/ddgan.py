"""Stage 1: degradation invariance learning, self- and cross-degradation in turn (section 3.3).

Even steps take a self-degraded pair {x_i, x_j = F_deg(x_i)}, odd steps a real pair {x_i, x_k}. Each
step encodes every image once, decodes the four combinations in one batch, lets the discriminators
learn from the decoded images as they are, and then moves the encoders and G, with the
discriminators held still.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from direid import losses
from direid.config import DDGAN as Settings
from direid.config import Config
from direid.data.loaders import RealPairs
from direid.data.records import Benchmark
from direid.degradations import SelfDegradation
from direid.models import DDGAN
from direid.models.identity_encoder import IdentityEncoder
from direid.training.engine import Batch, Compute, Losses, Stage, fit


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
        config: everything else.
        compute: device and precision.
        folder: the run's.
    """
    settings = config.ddgan
    torch.manual_seed(config.seed + 1)
    nets = DDGAN(config.network, benchmark.people)
    nets.identity_encoder.load_state_dict(identity_encoder.state_dict())
    if config.network.pretrained:
        nets.content_encoder.trunk.load_imagenet()
    else:
        nets.content_encoder.trunk.load_state_dict(identity_encoder.trunk.state_dict())
    nets.to(compute.device, memory_format=torch.channels_last)
    self_degradation = SelfDegradation(config.self_degradation)

    betas = (settings.momentum, 0.999)
    generator = torch.optim.Adam(
        nets.generator_parameters(), settings.rate, betas, weight_decay=settings.decay
    )
    discriminator = torch.optim.Adam(
        nets.discriminator_parameters(), settings.critic_rate, betas, weight_decay=settings.decay
    )

    def step(number: int, batch: Batch) -> Losses:
        if number % 2 == 0:
            random = compute.generator(config.seed, 1, number)
            x_j = self_degradation(batch["image_i"], random)
            phase = SelfPhase(nets, compute, batch["image_i"], x_j, batch["image_k"])
        else:
            phase = CrossPhase(nets, compute, batch)
        critic = phase.discriminator_losses(settings)
        if critic:
            compute.update(torch.stack(list(critic.values())).sum(), discriminator)
        nets.reality_discriminator.requires_grad_(False)
        nets.degradation_discriminator.requires_grad_(False)
        terms = phase.generator_losses(settings)
        weighted = [getattr(settings.weights, name) * loss for name, loss in terms.items()]
        if weighted:
            compute.update(torch.stack(weighted).sum(), generator)
        nets.reality_discriminator.requires_grad_(True)
        nets.degradation_discriminator.requires_grad_(True)
        return {f"{phase.name}/{name}": loss for name, loss in (terms | critic).items()}

    batches = RealPairs(
        benchmark.train, settings.batch, *config.size, seed=config.seed, steps=settings.steps
    )
    optimisers = {"generator": generator, "discriminator": discriminator}
    stage = Stage("ddgan", settings.steps, batches, nets, optimisers, step)
    fit(stage, compute, config, folder, benchmark.split_hash)
    return nets


class SelfPhase:
    """Self-degradation generation (section 3.3.1): equations 1 to 5.

    Args:
        nets: the networks.
        compute: device and precision.
        x_i: real images, (B, 3, H, W) in [0, 1].
        x_j: F_deg(x_i).
        x_k: other real images, for D_r.
    """

    name = "self"

    def __init__(
        self, nets: DDGAN, compute: Compute, x_i: Tensor, x_j: Tensor, x_k: Tensor
    ) -> None:
        self.nets, self.compute = nets, compute
        self.x_i, self.x_j, self.x_k = x_i, x_j, x_k
        with compute.autocast():
            contents = nets.content_encoder.content(torch.cat([x_i, x_j]))
            self.content_i, self.content_j = contents.chunk(2)
            self.fakes = nets.swap(
                self.content_i,
                self.content_j,
                nets.degradation_encoder(x_i),
                nets.self_degradation_encoder(x_j),
            )

    def discriminator_losses(self, settings: Settings) -> Losses:
        """What D_r and D_d minimise. D_d sees no decoded image; stage 2 needs it in any case."""
        nets, fakes, terms = self.nets, self.fakes, {}
        with self.compute.autocast():
            if settings.weights.reality:
                maps = nets.reality_discriminator(
                    torch.cat([self.x_i, self.x_k, fakes.ab.detach(), fakes.bb.detach()])
                )
                x_i, x_k, x_ij, x_jj = _split(maps, 4)
                terms["D_r"] = losses.reality_discriminator([x_i, x_k], [x_ij, x_jj])
            scores = nets.degradation_discriminator.score(torch.cat([self.x_i, self.x_j]))
            terms["D_d"] = losses.degradation_order(*scores.chunk(2), settings.epsilon)
        return terms

    def generator_losses(self, settings: Settings) -> Losses:
        """The terms of equation 11; those of weight 0 are not computed."""
        nets, fakes, terms = self.nets, self.fakes, {}
        weights, literal = settings.weights, settings.literal
        if weights.invariable_content:
            terms["invariable_content"] = losses.invariable_content(self.content_i, self.content_j)
        if weights.reconstruction:
            terms["reconstruction"] = losses.reconstruction(fakes.aa, self.x_i, fakes.ba, self.x_i)
        with self.compute.autocast():
            if weights.identity_preserving:
                real_i = _teacher(nets, self.x_i)
                wanted = _teacher(nets, self.x_j) if literal else real_i
                x_ij, x_ji = nets.identity_encoder(torch.cat([fakes.ab, fakes.ba])).chunk(2)
                terms["identity_preserving"] = losses.identity_preserving(
                    x_ij, real_i, x_ji, wanted
                )
            if weights.reality:
                maps = nets.reality_discriminator(torch.cat([fakes.ab, fakes.bb]))
                terms["reality"] = losses.reality_generator(_split(maps, 2))
            if weights.degradation:
                judge = nets.degradation_discriminator
                with torch.no_grad():
                    score_i, score_j = judge.score(torch.cat([self.x_i, self.x_j])).chunk(2)
                score_ij, score_ji = judge.score(torch.cat([fakes.ab, fakes.ba])).chunk(2)
                terms["degradation"] = losses.degradation_ranking_self(
                    score_i, score_ij, score_j, score_ji, settings.epsilon, literal
                )
        return terms


class CrossPhase:
    """Cross-degradation generation (section 3.3.2): equations 6 to 10.

    Args:
        nets: the networks.
        compute: device and precision.
        batch: image_i, image_k (B, 3, H, W) in [0, 1], label_i, label_k (B,): real pairs.
    """

    name = "cross"

    def __init__(self, nets: DDGAN, compute: Compute, batch: Batch) -> None:
        self.nets, self.compute, self.batch = nets, compute, batch
        images = torch.cat([batch["image_i"], batch["image_k"]])
        with compute.autocast():
            content, self.invariant = nets.content_encoder(images)
            codes = nets.degradation_encoder(images)
            self.fakes = nets.swap(*content.chunk(2), *codes.chunk(2))

    def discriminator_losses(self, settings: Settings) -> Losses:
        """What D_r minimises. D_d learns nothing here: real pairs have no known order."""
        if not settings.weights.reality:
            return {}
        batch, fakes = self.batch, self.fakes
        with self.compute.autocast():
            reality = self.nets.reality_discriminator(
                torch.cat(
                    [batch["image_i"], batch["image_k"], fakes.ab.detach(), fakes.ba.detach()]
                )
            )
        x_i, x_k, x_ik, x_ki = _split(reality, 4)
        return {"D_r": losses.reality_discriminator([x_i, x_k], [x_ik, x_ki])}

    def generator_losses(self, settings: Settings) -> Losses:
        """The terms of equation 12; those of weight 0 are not computed."""
        nets, batch, fakes, terms = self.nets, self.batch, self.fakes, {}
        weights = settings.weights
        x_i, x_k = batch["image_i"], batch["image_k"]
        if weights.identification:
            logits_i, logits_k = nets.neck(self.invariant).logits.chunk(2)
            terms["identification"] = losses.identification(
                logits_i, batch["label_i"], logits_k, batch["label_k"]
            )
        if weights.reconstruction:
            terms["reconstruction"] = losses.reconstruction(fakes.aa, x_i, fakes.bb, x_k)
        swapped = torch.cat([fakes.ab, fakes.ba])
        with self.compute.autocast():
            if weights.identity_preserving:
                real_i, real_k = _teacher(nets, torch.cat([x_i, x_k])).chunk(2)
                x_ik, x_ki = nets.identity_encoder(swapped).chunk(2)
                terms["identity_preserving"] = losses.identity_preserving(
                    x_ik, real_i, x_ki, real_k
                )
            if weights.reality:
                maps = nets.reality_discriminator(swapped)
                terms["reality"] = losses.reality_generator(_split(maps, 2))
            if weights.degradation:
                judge = nets.degradation_discriminator
                with torch.no_grad():
                    score_i, score_k = judge.score(torch.cat([x_i, x_k])).chunk(2)
                score_ik, score_ki = judge.score(swapped).chunk(2)
                terms["degradation"] = losses.degradation_ranking_cross(
                    score_i, score_ik, score_k, score_ki, settings.epsilon
                )
        return terms


@torch.no_grad()
def _teacher(nets: DDGAN, images: Tensor) -> Tensor:
    return nets.identity_encoder(images)


def _split(maps: list[Tensor], parts: int) -> list[list[Tensor]]:
    """Score maps of a joined batch, a list over scales, as one such list a part."""
    chunks = [m.chunk(parts) for m in maps]
    return [[scale[part] for scale in chunks] for part in range(parts)]
