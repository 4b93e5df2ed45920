"""Small pieces that several networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad


def full(x: Tensor) -> Tensor:
    """``x`` in float32, or float64 if it is that: the one cast of networks and losses.

    Networks may run in half precision; what leaves them for a loss, a score, a distance or a
    picture goes through here.
    """
    return x if x.dtype == torch.float64 else x.float()


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


def reflect(x: Tensor, size: int) -> Tensor:
    """Mirror ``size`` pixels at every border of x (B, C, H, W).

    As ``torch.nn.functional.pad``, whose gradient on a GPU is summed in no fixed order: a training
    that asks for determinism gets it from slices.
    """
    if x.is_cuda and torch.are_deterministic_algorithms_enabled():
        return reflect_by_slices(x, size)
    with torch.autocast(x.device.type, enabled=False):  # a CPU's would go to float32 and back
        return pad(x, (size,) * 4, mode="reflect")


def reflect_by_slices(x: Tensor, size: int) -> Tensor:
    """:func:`reflect` from pieces of x."""
    x = torch.cat([x[..., 1 : size + 1].flip(3), x, x[..., -size - 1 : -1].flip(3)], dim=3)
    return torch.cat([x[:, :, 1 : size + 1].flip(2), x, x[:, :, -size - 1 : -1].flip(2)], dim=2)


class ReflectedConvolution(nn.Conv2d):
    """A convolution that keeps the size and sees a mirror at the border: no dark frame is learnt.

    Args:
        before: channels of its input.
        after: channels of its output.
        kernel: side, odd.
        stride: 2 halves the size.
    """

    def __init__(self, before: int, after: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(before, after, kernel, stride)
        self.border = kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H / stride, W / stride)."""
        return super().forward(reflect(x, self.border))


class Convolution(nn.Sequential):
    """A convolution and LeakyReLU: no normalisation, so brightness survives."""

    def __init__(self, before: int, after: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            ReflectedConvolution(before, after, kernel, stride), nn.LeakyReLU(0.2, inplace=True)
        )


class Residual(nn.Module):
    """``x + f(x)`` with two 3 x 3 convolutions and no normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Convolution(channels, channels),
            ReflectedConvolution(channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return x + self.body(x)
