"""What the equations share."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from direid.models.blocks import full

Maps = list[Tensor]  # of a discriminator: (B, 1, h, w) a scale


def total(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Equations 11 and 12, and the sum in 14: the terms, each by its lambda.

    Args:
        terms: scalars by name, at least one.
        weights: lambda by name; a term without one counts once.
    """
    return torch.stack([weights.get(name, 1.0) * term for name, term in terms.items()]).sum()


def distance(a: Tensor, b: Tensor) -> Tensor:
    """The mean L1 distance of two tensors of one shape, in float32 at least."""
    return (full(a) - full(b)).abs().mean()


def hinge(difference: Tensor, margin: float) -> Tensor:
    """``max(0, difference + margin)`` of each element."""
    return (difference + margin).clamp_min(0)


def ordered(better: Tensor, worse: Tensor, epsilon: float) -> Tensor:
    """How much the scores (B,) fail to say that ``worse`` is worse, by ``epsilon``."""
    return hinge(full(better) - full(worse), epsilon).mean()
