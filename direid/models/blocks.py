"""Small pieces that several networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Normalise(nn.Module):
    """Images in [0, 1] to ImageNet's zero mean and unit variance, and back."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("mean", (0.485, 0.456, 0.406)), ("std", (0.229, 0.224, 0.225))):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to normalised."""
        return (images - self.mean) / self.std

    def back(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised to the [0, 1] scale (a decoder may overshoot it)."""
        return images * self.std + self.mean


class Convolution(nn.Sequential):
    """Reflection padding, convolution, and LeakyReLU: no normalisation, so brightness survives."""

    def __init__(self, before: int, after: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(before, after, kernel, stride, kernel // 2, padding_mode="reflect"),
            nn.LeakyReLU(0.2, inplace=True),
        )


class Residual(nn.Module):
    """``x + f(x)`` with two 3 x 3 convolutions and no normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Convolution(channels, channels),
            nn.Conv2d(channels, channels, 3, 1, 1, padding_mode="reflect"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return x + self.body(x)
