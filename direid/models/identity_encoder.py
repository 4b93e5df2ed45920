"""E_id, the identity encoder, and the neck that turns features into identities (section 3.2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from direid.config import Network
from direid.models.blocks import Normalise, full
from direid.models.resnet import ResNet


class IdentityEncoder(nn.Module):
    """A ResNet and global average pooling: discriminative, and sensitive to degradation."""

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.trunk = ResNet(net.depth, net.base, net.stem_kernel, net.stem_stride, net.last_stride)
        self.features = self.trunk.channels[-1]

    def forward(self, images: Tensor) -> Tensor:
        """f_sen, (B, F), of images (B, 3, H, W) in [0, 1]."""
        return self.trunk(self.normalise(images))[-1].mean(dim=(2, 3))


class Identified(NamedTuple):
    """What a neck makes of a batch of features."""

    feature: Tensor  # (B, F), for the triplet loss
    retrieval: Tensor  # (B, F), for comparing images at test time
    logits: Tensor  # (B, people), for the cross-entropy loss


class Neck(nn.Module):
    """BNNeck (Luo et al., 2019): triplet loss before a batch normalisation, classifier after.

    The two losses want different spaces, one Euclidean and one angular; the normalisation between
    them lets both have theirs.

    Args:
        features: length F of a feature.
        people: training people.
        normalise: False removes the normalisation: the plain baseline.
    """

    def __init__(self, features: int, people: int, normalise: bool = True) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(features) if normalise else nn.Identity()
        self.classifier = nn.Linear(features, people, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.01)
        if isinstance(self.norm, nn.BatchNorm1d):
            self.norm.bias.requires_grad_(False)  # a shift would break the angular space

    def forward(self, feature: Tensor) -> Identified:
        """From features (B, F), in float32 whatever made them."""
        with torch.autocast(feature.device.type, enabled=False):
            feature = full(feature)
            retrieval = self.norm(feature)
            return Identified(feature, retrieval, self.classifier(retrieval))


class IdentityNetwork(nn.Module):
    """E_id with a neck: the re-ID baseline of tables 1 and 2."""

    def __init__(self, net: Network, people: int, bnneck: bool = True) -> None:
        super().__init__()
        self.encoder = IdentityEncoder(net)
        self.neck = Neck(self.encoder.features, people, bnneck)

    def forward(self, images: Tensor) -> Identified:
        """Of images (B, 3, H, W) in [0, 1]."""
        return self.neck(self.encoder(images))

    def embed(self, images: Tensor) -> Tensor:
        """The vector to compare, (B, F)."""
        return self(images).retrieval
