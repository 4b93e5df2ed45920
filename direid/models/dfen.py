"""DFEN, the Dual Feature Extraction Network (section 3.4, figure 3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from direid.config import DFEN as Settings
from direid.config import Network, Readings
from direid.models.blocks import full
from direid.models.content_encoder import ContentEncoder
from direid.models.discriminator import DegradationDiscriminator
from direid.models.identity_encoder import Identified, IdentityEncoder, Neck


def identity_representation(f_inv: Tensor, f_sen: Tensor, attention: Tensor | None) -> Tensor:
    """Equation 13: ``f_id = concat(f_inv, f_sen * Att(D_d(x)))``.

    Args:
        f_inv: (B, F_inv).
        f_sen: (B, F_sen).
        attention: Att(D_d(x)), one weight a channel of f_sen, (B, F_sen) in (0, 1); None is 1.

    Returns:
        (B, F_inv + F_sen).
    """
    return torch.cat([f_inv, f_sen if attention is None else f_sen * attention], dim=1)


class Attention(nn.Module):
    """Att of equation 13: from D_d's scores, one weight in (0, 1) for each channel of f_sen.

    The paper leaves its inside open. A perceptron of one hidden layer turns scores into weights, so
    that a badly degraded image can be told to distrust f_sen.

    Images are compared after the neck's batch normalisation of f_id, which centres each channel: a
    suppressed f_sen adds the same constant to every such image, it does not vanish.
    """

    def __init__(self, scores: int, hidden: int, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(scores, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, features)
        )

    def forward(self, scores: Tensor) -> Tensor:
        """Weights (B, F) from scores (B, S)."""
        return torch.sigmoid(full(self.layers(scores)))


class Dual(NamedTuple):
    """What DFEN's three classifiers see (equation 14); None where its weight is 0."""

    invariant: Identified | None
    sensitive: Identified | None
    both: Identified | None
    attention: Tensor | None  # (B, F), the weights of f_sen
    replayed: Identified | None = None  # f_inv of replayed images, for config.Later

    def branches(self) -> dict[str, Identified]:
        """Those that are there, by name."""
        named = {"invariant": self.invariant, "sensitive": self.sensitive, "both": self.both}
        return {name: seen for name, seen in named.items() if seen is not None}


class DFEN(nn.Module):
    """E_c for f_inv, E_id for f_sen, D_d to say how far to trust f_sen.

    E_c and D_d come from stage 1, E_id from stage 0. D_d stays frozen.

    Args:
        net: sizes.
        people: training people.
        settings: weights of equation 14, of which 0 leaves a branch away, and whether to attend.
        readings: what Att reads.
    """

    def __init__(
        self,
        net: Network,
        people: int,
        settings: Settings | None = None,
        readings: Readings | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings or Settings()
        self.one_score = (readings or Readings()).equation_13 == "score"
        self.content_encoder = ContentEncoder(net)
        self.identity_encoder = IdentityEncoder(net)
        self.degradation_discriminator = DegradationDiscriminator(net)
        sensitive = self.identity_encoder.features
        scores = 1 if self.one_score else net.critic_scales
        self.attention = Attention(scores, net.attention, sensitive)
        self.invariant_neck = Neck(net.invariant, people)
        self.sensitive_neck = Neck(sensitive, people)
        self.both_neck = Neck(net.invariant + sensitive, people)
        self._freeze_what_is_not_trained()

    def forward(self, images: Tensor, replayed: Tensor | None = None) -> Dual:
        """The representations of images, and what is made of them.

        Args:
            images: (B, 3, H, W) in [0, 1].
            replayed: the same people under other degradations, for f_inv alone to see in the same
                batch; (B, 3, H, W), or None.
        """
        use = self.settings
        f_inv = f_sen = weights = invariant = sensitive = both = again = None
        if use.invariant or use.both:
            seen = images if replayed is None else torch.cat([images, replayed])
            f_inv = full(self.content_encoder.invariant(seen))
        if use.sensitive or use.both:
            f_sen = full(self.identity_encoder(images))
        if use.invariant:
            invariant = self.invariant_neck(f_inv)
        if replayed is not None:
            halves = [part.chunk(2) for part in invariant]
            invariant, again = (Identified(*(half[n] for half in halves)) for n in range(2))
            f_inv = f_inv.chunk(2)[0]
        if use.sensitive:
            sensitive = self.sensitive_neck(f_sen)
        if use.both:
            weights = self.attend(images) if use.attention else None
            both = self.both_neck(identity_representation(f_inv, f_sen, weights))
        return Dual(invariant, sensitive, both, weights, again)

    def attend(self, images: Tensor) -> Tensor:
        """Att(D_d(x)), (B, F_sen), of images (B, 3, H, W) in [0, 1]."""
        with torch.no_grad():
            scores = self.degradation_discriminator.scale_scores(images)
        return self.attention(scores.mean(dim=1, keepdim=True) if self.one_score else scores)

    def embed(self, images: Tensor) -> Tensor:
        """The vector to compare: f_id after its normalisation, or what is trained in its place."""
        return list(self(images).branches().values())[-1].retrieval

    def _freeze_what_is_not_trained(self) -> None:
        """Several processes must agree on what has a gradient; the content head never has one."""
        use = self.settings
        self.degradation_discriminator.requires_grad_(False)
        self.content_encoder.requires_grad_(bool(use.invariant or use.both))
        self.content_encoder.lateral.requires_grad_(False)
        self.content_encoder.fuse.requires_grad_(False)
        self.identity_encoder.requires_grad_(bool(use.sensitive or use.both))
        self.attention.requires_grad_(bool(use.both and use.attention))
        for neck, used in (
            (self.invariant_neck, use.invariant),
            (self.sensitive_neck, use.sensitive),
            (self.both_neck, use.both),
        ):
            if not used:
                neck.requires_grad_(False)
