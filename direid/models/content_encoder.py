"""E_c, the content encoder: what an image shows (section 3.2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from direid.config import Network
from direid.models.blocks import Normalise
from direid.models.resnet import ResNet


class Content(NamedTuple):
    """What E_c says of a batch of images."""

    map: Tensor  # f_c, (B, C, h, w): the decoder reads it
    invariant: Tensor  # f_inv, (B, F): re-identification reads it


class ContentEncoder(nn.Module):
    """A multi-scale ResNet with two heads, one for images and one for identity.

    The content head takes the map of every chosen scale, brings all to the size of the first
    stage's, and fuses them. The last normalisation has no learnt scale: without it, shrinking the
    content would lower the invariable content loss (equation 1) and teach nothing.

    The paper calls f_inv «the content features without dimension reduction». Here the ResNet keeps
    its last stage as an identity head of its own, joined with the pooled maps of the chosen
    scales: a pooled content map is too shallow to tell people apart (worth 4 to 6 Rank-1 points
    in our trials).
    """

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.scales = net.scales
        self.normalise = Normalise()
        self.trunk = ResNet(net.depth, net.base, net.stem_kernel, net.stem_stride, net.last_stride)
        channels = self.trunk.channels
        self.lateral = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels[scale], net.scale_channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(net.scale_channels),
                nn.LeakyReLU(0.2, inplace=True),
            )
            for scale in net.scales
        )
        self.fuse = nn.Sequential(
            nn.Conv2d(net.scale_channels * len(net.scales), net.content, 1, bias=False),
            nn.GroupNorm(1, net.content, affine=False),
        )
        pooled = channels[4] + sum(channels[scale] for scale in net.scales)
        self.identity = nn.Linear(pooled, net.invariant, bias=False)

    def forward(self, images: Tensor) -> Content:
        """Content of images (B, 3, H, W) in [0, 1]."""
        maps = self.trunk(self.normalise(images))
        return Content(self._content(maps), self._invariant(maps))

    def content(self, images: Tensor) -> Tensor:
        """f_c alone, (B, C, h, w): the ResNet's last stage is not run."""
        return self._content(self.trunk(self.normalise(images), stages=3))

    def invariant(self, images: Tensor) -> Tensor:
        """f_inv alone, (B, F): the content head is not run."""
        return self._invariant(self.trunk(self.normalise(images)))

    def _content(self, maps: list[Tensor]) -> Tensor:
        size = maps[1].shape[-2:]
        read = [self.lateral[n](maps[scale]) for n, scale in enumerate(self.scales)]
        return self.fuse(torch.cat([_resize(x, size) for x in read], dim=1))

    def _invariant(self, maps: list[Tensor]) -> Tensor:
        read = [maps[scale] for scale in self.scales] + [maps[4]]
        return self.identity(torch.cat([x.mean(dim=(2, 3)) for x in read], dim=1))


def _resize(x: Tensor, size: torch.Size) -> Tensor:
    if x.shape[-1] > size[-1]:  # the stem's map, twice as large
        return avg_pool2d(x, 2)
    return x if x.shape[-2:] == size else interpolate(x, size, mode="bilinear")
