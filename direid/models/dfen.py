"""DFEN, the Dual Feature Extraction Network (section 3.4, figure 3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from direid.config import Network
from direid.models.content_encoder import ContentEncoder
from direid.models.discriminator import DegradationDiscriminator
from direid.models.identity_encoder import Identified, IdentityEncoder, Neck


class Attention(nn.Module):
    """Att of equation 13: from D_d's scores, one weight in (0, 1) for each channel of f_sen.

    The paper leaves its inside open. D_d gives a score a scale; a perceptron of one hidden layer
    turns them into weights, so that a badly degraded image can be told to distrust f_sen.

    Images are compared after the neck's batch normalisation of f_id, which centres each channel: a
    suppressed f_sen adds the same constant to every such image, it does not vanish.
    """

    def __init__(self, scales: int, hidden: int, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(scales, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, features)
        )

    def forward(self, scores: Tensor) -> Tensor:
        """Weights (B, F) from scores (B, scales)."""
        return torch.sigmoid(self.layers(scores))


class Dual(NamedTuple):
    """What DFEN's three classifiers see (equation 14)."""

    invariant: Identified
    sensitive: Identified
    both: Identified
    attention: Tensor  # (B, F), the weights of f_sen


class DFEN(nn.Module):
    """E_c for f_inv, E_id for f_sen, D_d to say how far to trust f_sen.

    E_c and D_d come from stage 1, E_id from stage 0. D_d stays frozen.
    """

    def __init__(self, net: Network, people: int) -> None:
        super().__init__()
        self.content_encoder = ContentEncoder(net)
        self.identity_encoder = IdentityEncoder(net)
        self.degradation_discriminator = DegradationDiscriminator(net)
        self.degradation_discriminator.requires_grad_(False)
        sensitive = self.identity_encoder.features
        self.attention = Attention(net.critic_scales, net.attention, sensitive)
        self.invariant_neck = Neck(net.invariant, people)
        self.sensitive_neck = Neck(sensitive, people)
        self.both_neck = Neck(net.invariant + sensitive, people)

    def forward(self, images: Tensor) -> Dual:
        """All three representations of images (B, 3, H, W) in [0, 1] (equation 13)."""
        with torch.no_grad():
            scores = self.degradation_discriminator.scale_scores(images)
        weights = self.attention(scores).float()
        f_inv = self.content_encoder.invariant(images).float()
        f_sen = self.identity_encoder(images).float()
        f_id = torch.cat([f_inv, f_sen * weights], dim=1)
        return Dual(
            self.invariant_neck(f_inv), self.sensitive_neck(f_sen), self.both_neck(f_id), weights
        )

    def embed(self, images: Tensor) -> Tensor:
        """The vector to compare: f_id after its normalisation, (B, F_inv + F_sen)."""
        return self(images).both.retrieval
