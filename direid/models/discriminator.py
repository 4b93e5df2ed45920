"""D_r and D_d, the two discriminators: multi-scale PatchGANs (sections 3.2 and 4.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from direid.config import Network
from direid.models.blocks import Convolution, Normalise, Residual, full


class PatchDiscriminator(nn.Module):
    """One small network a scale; each gives a map of scores, one for each patch it sees.

    As D_r, a score is the logit of «this patch is a real photograph».
    """

    def __init__(self, net: Network) -> None:
        super().__init__()
        base = net.critic_base
        self.normalise = Normalise()
        self.nets = nn.ModuleList(
            nn.Sequential(
                Convolution(3, base),
                Convolution(base, base, 3, stride=2),
                Convolution(base, 2 * base, 3, stride=2),
                *(Residual(2 * base) for _ in range(net.critic_blocks)),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Conv2d(2 * base, 1, 1),
            )
            for _ in range(net.critic_scales)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Score maps (B, 1, h, w) of images (B, 3, H, W) in [0, 1], finest scale first."""
        x = self.normalise(images)
        maps = []
        for number, net in enumerate(self.nets):
            x = avg_pool2d(x, 3, 2, 1, count_include_pad=False) if number else x
            maps.append(full(net(x)))
        return maps


class DegradationDiscriminator(PatchDiscriminator):
    """D_d: the same network, whose patches vote for one degradation score an image.

    A higher score means a worse image (section 3.3.1). The score is bounded: trained by ranking
    alone, nothing else would stop it from drifting away.
    """

    def __init__(self, net: Network) -> None:
        super().__init__(net)
        self.bound = net.score_bound

    def pool(self, maps: list[Tensor]) -> Tensor:
        """From score maps (B, 1, h, w) one score a scale, (B, scales), each in (-bound, bound)."""
        means = [scores.mean(dim=(1, 2, 3)) for scores in maps]
        return self.bound * torch.tanh(torch.stack(means, dim=1) / self.bound)

    def scale_scores(self, images: Tensor) -> Tensor:
        """One score a scale, (B, scales), of images (B, 3, H, W) in [0, 1]."""
        return self.pool(self(images))

    def score(self, images: Tensor) -> Tensor:
        """D_d(x), (B,): the mean over scales. Higher is worse."""
        return self.scale_scores(images).mean(dim=1)
