"""Equation 14: what trains DFEN (section 3.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from direid.models.blocks import full
from direid.models.identity_encoder import Identified


def batch_hard_triplet(features: Tensor, people: Tensor, margin: float) -> Tensor:
    """Triplet loss with hard sample mining (Hermans et al., 2017), one of equation 14's two halves.

    For each image: its farthest image of the same person must be nearer than its nearest image of
    anybody else, by ``margin``.

    Args:
        features: (B, F), compared by Euclidean distance.
        people: (B,) person numbers; each person needs two images or more.
        margin: in units of the distance.
    """
    features = full(features)
    squared = (features[:, None] - features[None]).square().sum(dim=2)
    distance = squared.clamp_min(1e-12).sqrt()  # the root has no gradient at 0
    same = people[:, None] == people[None]
    farthest = distance.masked_fill(~same, -torch.inf).amax(dim=1)
    nearest = distance.masked_fill(same, torch.inf).amin(dim=1)
    return (farthest - nearest + margin).clamp_min(0).mean()


def reid(
    seen: Identified,
    people: Tensor,
    margin: float,
    smoothing: float,
    gather: Callable[[Tensor], Tensor] = lambda part: part,
) -> Tensor:
    """L_inv, L_sen or L_both: cross-entropy plus batch-hard triplet loss, equally weighted.

    Args:
        seen: logits (B, people) and features (B, F) of one branch.
        people: (B,) person numbers.
        margin: of the triplet loss.
        smoothing: share of the target spread over all people.
        gather: brings the parts of a batch that is shared by several processes together, (B, ...)
            to (W B, ...): hard samples are sought in the whole of it.
    """
    classified = cross_entropy(full(seen.logits), people, label_smoothing=smoothing)
    return classified + batch_hard_triplet(gather(seen.feature), gather(people), margin)


def multi_classifier(
    branches: Mapping[str, Identified],
    people: Tensor,
    weights: Mapping[str, float],
    margin: float,
    smoothing: float,
    gather: Callable[[Tensor], Tensor] = lambda part: part,
) -> dict[str, Tensor]:
    """Equation 14, term by term: L_inv, L_sen and L_both, those of weight 0 left out.

    :func:`direid.losses.total` adds them up by their lambdas.

    Args:
        branches: what each classifier makes of its features, by name.
        people, margin, smoothing, gather: as for :func:`reid`.
        weights: lambda by name.
    """
    return {
        name: reid(seen, people, margin, smoothing, gather)
        for name, seen in branches.items()
        if weights[name]
    }
