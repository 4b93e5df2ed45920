"""The two kinds of step of stage 1, and the losses of each (sections 3.3.1 and 3.3.2).

A term of weight 0 is not computed, and images that no term wants are not decoded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from direid import losses
from direid.config import Config
from direid.models import DDGAN, Decomposed
from direid.training.compute import Batch, Compute, Losses

Players = tuple[nn.Module, nn.Module, nn.Module]  # generator, D_r, D_d, as a training calls them
DECODED = ("reconstruction", "identity_preserving", "reality", "degradation")


class Phase(ABC):
    """What both kinds of step have in common.

    Args:
        nets: the networks.
        compute: device and precision.
        config: weights, margin, readings, later ideas.
        batch: image_i, image_k, and what the phase needs besides; images (B, 3, H, W) in [0, 1].
        players: the generator, D_r and D_d of ``nets`` if a training has wrapped them: what a loss
            goes through that is to move them. A player that is held still is called as it is.
    """

    name: str
    real: int  # batches of real images that D_d sees in its turn

    def __init__(
        self,
        nets: DDGAN,
        compute: Compute,
        config: Config,
        batch: Batch,
        players: Players | None = None,
    ) -> None:
        self.nets, self.compute, self.config, self.batch = nets, compute, config, batch
        judges = nets.discriminators
        self.generator, self.d_r, self.d_d = players or (
            nets.generator, judges.reality, judges.degradation
        )  # fmt: skip
        self.lambdas = config.ddgan.weights
        self.epsilon = config.ddgan.epsilon
        self.x_i, self.x_k = batch["image_i"], batch["image_k"]
        self.made = self.decompose()

    @abstractmethod
    def decompose(self) -> Decomposed | None:
        """The pair of this phase taken apart and put together, once; None if no term wants it."""

    @property
    def weights(self) -> Mapping[str, float]:
        """Lambda of each term, of both players."""
        later = self.config.later
        added = {"cycle": later.cycle, "D_r_penalty": later.gradient_penalty,
                 "D_d_penalty": later.gradient_penalty}  # fmt: skip
        return self.lambdas.model_dump() | added

    def judge(
        self, reals: list[Tensor], fakes: list[Tensor], ranked: list[Tensor]
    ) -> tuple[Losses, Tensor | None]:
        """D_r's loss, the penalties on both discriminators, and D_d's scores.

        Args:
            reals: two batches of images for D_r, each (B, 3, H, W); none where it has no weight.
            fakes: two batches of decoded images for it.
            ranked: batches for D_d, the real ones first, decoded ones never by default; none
                where it learns nothing.

        Returns:
            Terms by name, and the scores of all ``ranked``, joined, if there are any.
        """
        terms: Losses = {}
        penalty = bool(self.config.later.gradient_penalty)  # wants gradients of the inputs
        scores = None
        if reals:
            true = torch.cat(reals).detach().requires_grad_(penalty)
            with self.compute.autocast():
                maps = self.d_r(torch.cat([true, *(f.detach() for f in fakes)]))
            real_a, real_b, fake_a, fake_b = _split(maps, 4)
            terms["D_r"] = losses.reality_discriminator(
                [real_a, real_b], [fake_a, fake_b], self.config.readings.adversarial
            )
            if penalty:
                answers = torch.stack([m[: len(true)].mean(dim=(1, 2, 3)) for m in maps])
                terms["D_r_penalty"] = losses.gradient_penalty(answers.mean(dim=0), true)
        if ranked:
            seen = torch.cat(ranked).detach().requires_grad_(penalty)
            with self.compute.autocast():
                scores = self.nets.discriminators.degradation.pool(self.d_d(seen)).mean(dim=1)
            if penalty:
                real = scores[: self.real * len(self.x_i)]
                terms["D_d_penalty"] = losses.gradient_penalty(real, seen)
        return terms, scores

    def reality(self, *fakes: Tensor) -> Tensor:
        """Equations 4 and 7 for the generator, of two batches of decoded images."""
        with self.compute.autocast():
            maps = self.nets.discriminators.reality(torch.cat(fakes))
        return losses.reality_generator(_split(maps, len(fakes)), self.config.readings.adversarial)

    def scores(self, *images: Tensor) -> list[Tensor]:
        """D_d's scores (B,) of each batch of images."""
        with self.compute.autocast():
            score = self.nets.discriminators.degradation.score(torch.cat(images))
        return list(score.chunk(len(images)))

    def features(self, *images: Tensor) -> list[Tensor]:
        """E_id's features (B, F) of each batch of images."""
        with self.compute.autocast():
            features = self.nets.identity_encoder(torch.cat(images))
        return list(features.chunk(len(images)))


class SelfPhase(Phase):
    """Self-degradation generation (section 3.3.1): equations 1 to 5.

    The batch holds image_i, image_j = F_deg(image_i), and image_k, other real images for D_r.
    """

    name = "self"
    real = 1  # of the images that D_d sees, x_i alone is real

    def decompose(self) -> Decomposed | None:
        """x_i and x_j taken apart and put together."""
        self.x_j = self.batch["image_j"]
        decode = any(getattr(self.lambdas, name) for name in DECODED)
        if not decode and not self.lambdas.invariable_content:
            return None  # E_c's batch statistics should not see degraded copies for nothing
        with self.compute.autocast():
            return self.generator(self.x_i, self.x_j, synthetic=True, decode=decode)

    def discriminator_losses(self) -> Losses:
        """What D_r and D_d minimise."""
        made, reading = self.made and self.made.swaps, self.config.readings.ranking
        reals, fakes = [], []
        if self.lambdas.reality:
            reals, fakes = [self.x_i, self.x_k], [made.ab, made.bb]
        ranked = [self.x_i, self.x_j]
        if reading == "printed":
            if not self.lambdas.degradation:
                return self.judge(reals, fakes, [])[0]
            ranked += [made.ab, made.ba]
        terms, scores = self.judge(reals, fakes, ranked)
        if reading == "printed":
            score_i, score_j, score_ij, score_ji = scores.chunk(4)
            terms["D_d"] = losses.degradation_ranking_self(
                score_i, score_ij, score_j, score_ji, self.epsilon,
                self.config.readings.equation_5,
            )  # fmt: skip
        else:
            terms["D_d"] = losses.degradation_order(*scores.chunk(2), self.epsilon)
        return terms

    def generator_losses(self) -> Losses:
        """The terms of equation 11."""
        made, fakes, terms = self.made, self.made and self.made.swaps, {}
        weights, readings = self.lambdas, self.config.readings
        if weights.invariable_content:
            terms["invariable_content"] = losses.invariable_content(made.content_a, made.content_b)
        if weights.reconstruction:
            terms["reconstruction"] = losses.reconstruction_self(fakes.aa, fakes.ba, self.x_i)
        if weights.identity_preserving:
            with torch.no_grad():
                (f_i,) = self.features(self.x_i)
                (f_j,) = self.features(self.x_j) if readings.equation_3 == "x_j" else (f_i,)
            f_ij, f_ji = self.features(fakes.ab, fakes.ba)
            terms["identity_preserving"] = losses.identity_preserving_self(
                f_ij, f_ji, f_i, f_j, readings.equation_3
            )
        if weights.reality:
            terms["reality"] = self.reality(fakes.ab, fakes.bb)
        if weights.degradation:
            with torch.no_grad():
                score_i, score_j = self.scores(self.x_i, self.x_j)
            score_ij, score_ji = self.scores(fakes.ab, fakes.ba)
            terms["degradation"] = losses.degradation_ranking_self(
                score_i, score_ij, score_j, score_ji, self.epsilon, readings.equation_5
            )
        return terms


class CrossPhase(Phase):
    """Cross-degradation generation (section 3.3.2): equations 6 to 10.

    The batch holds image_i, image_k, label_i, label_k (B,), and poor_i, poor_k (B,) bool, whether
    their cameras are known to take bad images.
    """

    name = "cross"
    real = 2

    def decompose(self) -> Decomposed:
        """x_i and x_k taken apart and put together."""
        self.cycle = bool(self.config.later.cycle)
        decode = self.cycle or any(getattr(self.lambdas, name) for name in DECODED)
        with self.compute.autocast():
            return self.generator(
                self.x_i, self.x_k, synthetic=False, identify=bool(self.lambdas.identification),
                decode=decode, cycle=self.cycle,
            )  # fmt: skip

    def discriminator_losses(self) -> Losses:
        """What D_r minimises, and D_d: nothing by default, for real pairs have no known order."""
        batch, made, reading = self.batch, self.made.swaps, self.config.readings.ranking
        pair, reals, fakes, ranked = [self.x_i, self.x_k], [], [], []
        if self.lambdas.reality:
            reals, fakes = pair, [made.ab, made.ba]
        if self.config.later.poor_cameras or reading == "predicted":
            ranked = pair
        elif reading == "printed" and self.lambdas.degradation:
            ranked = [*pair, made.ab, made.ba]
        terms, scores = self.judge(reals, fakes, ranked)
        if scores is None:
            return terms
        if self.config.later.poor_cameras:
            poor = torch.cat([batch["poor_i"], batch["poor_k"]])
            terms["D_d"] = losses.domain_score(scores, poor)
        elif reading == "predicted":
            terms["D_d"] = losses.degradation_order_predicted(*scores.chunk(2), self.epsilon)
        else:
            score_i, score_k, score_ik, score_ki = scores.chunk(4)
            terms["D_d"] = losses.degradation_ranking_cross(
                score_i, score_ik, score_k, score_ki, self.epsilon
            )
        return terms

    def generator_losses(self) -> Losses:
        """The terms of equation 12."""
        batch, made, fakes, terms = self.batch, self.made, self.made.swaps, {}
        weights, x_i, x_k = self.lambdas, self.x_i, self.x_k
        if weights.identification:
            logits_i, logits_k = made.logits.chunk(2)
            terms["identification"] = losses.identification(
                logits_i, batch["label_i"], logits_k, batch["label_k"]
            )
        if weights.reconstruction:
            terms["reconstruction"] = losses.reconstruction_cross(fakes.aa, fakes.bb, x_i, x_k)
        if weights.identity_preserving:
            with torch.no_grad():
                f_i, f_k = self.features(x_i, x_k)
            f_ik, f_ki = self.features(fakes.ab, fakes.ba)
            terms["identity_preserving"] = losses.identity_preserving_cross(f_ik, f_ki, f_i, f_k)
        if weights.reality:
            terms["reality"] = self.reality(fakes.ab, fakes.ba)
        if weights.degradation:
            terms["degradation"] = self._ranking()
        if self.cycle:
            terms["cycle"] = losses.cycle_reconstruction(made.cycled_a, made.cycled_b, x_i, x_k)
        return terms

    def _ranking(self) -> Tensor:
        """Equation 10, or what replaces it where the camera tells which images are bad."""
        score_ik, score_ki = self.scores(self.made.swaps.ab, self.made.swaps.ba)
        if self.config.later.poor_cameras:  # x_ik has the degradation of x_k
            poor = torch.cat([self.batch["poor_k"], self.batch["poor_i"]])
            return losses.domain_score(torch.cat([score_ik, score_ki]), poor)
        with torch.no_grad():
            score_i, score_k = self.scores(self.x_i, self.x_k)
        return losses.degradation_ranking_cross(score_i, score_ik, score_k, score_ki, self.epsilon)


def _split(maps: list[Tensor], parts: int) -> list[list[Tensor]]:
    """Score maps of a joined batch, a list over scales, as one such list a part."""
    chunks = [m.chunk(parts) for m in maps]
    return [[scale[part] for scale in chunks] for part in range(parts)]
