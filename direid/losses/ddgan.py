"""Equations 1 to 10: what trains DDGAN, in the order of section 3.3.

x_ab is decoded from the content of a and the degradation of b. A score is D_d's, and higher means a
worse image.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from direid.data.loaders import UNLABELLED
from direid.losses.common import Maps, distance, hinge, ordered
from direid.models.blocks import full


def invariable_content(content_i: Tensor, content_j: Tensor) -> Tensor:
    """Equation 1: the content of an image and of its degraded copy should be the same.

    Args:
        content_i: E_c(x_i), (B, C, h, w).
        content_j: E_c(x_j), the same shape.
    """
    return distance(content_i, content_j)


def reconstruction_self(x_ii: Tensor, x_ji: Tensor, x_i: Tensor) -> Tensor:
    """Equation 2: x_i's degradation on its own content, or on its copy's, gives x_i back.

    x_ij and x_jj have no target: E_d' may turn the synthetic degradation into a real one.

    Args: images (B, 3, H, W) in [0, 1].
    """
    return distance(x_ii, x_i) + distance(x_ji, x_i)


def identity_preserving_self(
    f_ij: Tensor, f_ji: Tensor, f_i: Tensor, f_j: Tensor, reading: str = "x_i"
) -> Tensor:
    """Equation 3: a decoded image keeps the person, says E_id.

    Args:
        f_ij, f_ji: E_id of the decoded images, (B, F).
        f_i, f_j: E_id of x_i and x_j; they get no gradient.
        reading: "x_i" matches x_ji to x_i; "x_j", as printed, to the degraded copy.
    """
    wanted = f_j if reading == "x_j" else f_i
    return distance(f_ij, f_i.detach()) + distance(f_ji, wanted.detach())


def reality_discriminator(reals: list[Maps], fakes: list[Maps], reading: str = "log") -> Tensor:
    """Equations 4 and 7 as D_r sees them, negated: -[log D_r(real) + log(1 - D_r(fake))].

    Equation 4 has the reals x_i, x_k and the fakes x_ij, x_jj; equation 7 x_i, x_k and x_ik, x_ki.

    Args:
        reals: D_r's logit maps, a list over scales, for each batch of real images.
        fakes: the same for each batch of decoded images, detached from what made them.
        reading: "least_squares" asks for 1 and 0 instead: (real - 1)^2 + fake^2.

    Returns:
        The sum over the batches of the mean over scales and patches.
    """
    if reading == "least_squares":
        return _over_batches(reals, lambda m: (m - 1) ** 2) + _over_batches(fakes, torch.square)
    return _over_batches(reals, lambda m: softplus(-m)) + _over_batches(fakes, softplus)


def reality_generator(fakes: list[Maps], reading: str = "log") -> Tensor:
    """Equations 4 and 7 as the encoders and G see them: small when D_r is fooled.

    Args:
        fakes: D_r's logit maps, a list over scales, for each batch of decoded images.
        reading: "log" is -log D_r(fake), "printed" log(1 - D_r(fake)), which is negative,
            "least_squares" (fake - 1)^2.
    """
    if reading == "least_squares":
        return _over_batches(fakes, lambda m: (m - 1) ** 2)
    if reading == "printed":
        return _over_batches(fakes, lambda m: -softplus(m))
    return _over_batches(fakes, lambda m: softplus(-m))


def degradation_ranking_self(
    score_i: Tensor,
    score_ij: Tensor,
    score_j: Tensor,
    score_ji: Tensor,
    epsilon: float,
    reading: str = "x_j",
) -> Tensor:
    """Equation 5, gamma = 1: x_ij must look worse than x_i, and x_ji better than x_j, by epsilon.

    The loss is 0 where both orders hold with the margin, and higher the more they are violated.

    Args:
        score_i, score_ij, score_j, score_ji: (B,).
        epsilon: the margin, in units of the score.
        reading: "x_j" compares x_ji with its content's provider; "x_i", as printed, with x_i.
    """
    provider = score_i if reading == "x_i" else score_j
    return ordered(score_i, score_ij, epsilon) + ordered(score_ji, provider, epsilon)


def reconstruction_cross(x_ii: Tensor, x_kk: Tensor, x_i: Tensor, x_k: Tensor) -> Tensor:
    """Equation 6: each image's own content and degradation give it back.

    Args: images (B, 3, H, W) in [0, 1].
    """
    return distance(x_ii, x_i) + distance(x_kk, x_k)


def identity_preserving_cross(f_ik: Tensor, f_ki: Tensor, f_i: Tensor, f_k: Tensor) -> Tensor:
    """Equation 8: a decoded image shows the person of its content's provider, says E_id.

    Args: E_id's features, (B, F); those of the real images, the last two, get no gradient.
    """
    return distance(f_ik, f_i.detach()) + distance(f_ki, f_k.detach())


def identification(
    logits_i: Tensor, people_i: Tensor, logits_k: Tensor, people_k: Tensor
) -> Tensor:
    """Equation 9: cross-entropy of the person in each image of a real pair.

    Args:
        logits_i, logits_k: (B, people), from the content features.
        people_i, people_k: (B,) person numbers; -100 where nobody knows, which counts nothing.
    """
    return _identification(logits_i, people_i) + _identification(logits_k, people_k)


def _identification(logits: Tensor, people: Tensor) -> Tensor:
    """The mean over the images with a label; 0 if none has one."""
    total = cross_entropy(full(logits), people, ignore_index=UNLABELLED, reduction="sum")
    return total / (people != UNLABELLED).sum().clamp(min=1)


def degradation_ranking_cross(
    score_i: Tensor, score_ik: Tensor, score_k: Tensor, score_ki: Tensor, epsilon: float
) -> Tensor:
    """Equation 10: x_ik against x_i, and x_k against x_ki, are ordered as x_k against x_i.

    gamma is 1 where D_d(x_i) < D_d(x_k) and -1 where it is greater. A tie, which the paper leaves
    undefined, has no order to keep and contributes nothing.

    Args:
        score_i, score_k: (B,), of the real pair.
        score_ik, score_ki: (B,), of the decoded images.
        epsilon: the margin, in units of the score.
    """
    gamma = torch.sign(full(score_k) - full(score_i)).detach()
    first = hinge((full(score_i) - full(score_ik)) * gamma, epsilon)
    second = hinge((full(score_ki) - full(score_k)) * gamma, epsilon)
    return ((first + second) * gamma.abs()).mean()


def degradation_order(score_i: Tensor, score_j: Tensor, epsilon: float) -> Tensor:
    """D_d's own objective (ours; the paper gives none): x_j scores above x_i by epsilon.

    Args: D_d's scores, (B,), of images that no network made; the margin.
    """
    return ordered(score_i, score_j, epsilon)


def degradation_order_predicted(score_i: Tensor, score_k: Tensor, epsilon: float) -> Tensor:
    """The authors' later addition to it: a real pair keeps the order that D_d sees, by epsilon.

    Nothing anchors that order to the truth: D_d teaches itself.

    Args: as :func:`degradation_order`.
    """
    gamma = torch.sign(full(score_k) - full(score_i)).detach()
    return (hinge((full(score_i) - full(score_k)) * gamma, epsilon) * gamma.abs()).mean()


def _over_batches(batches: list[Maps], of) -> Tensor:  # noqa: ANN001
    """Scales count the same whatever their size: first the mean over patches, then over scales."""
    scales = [torch.stack([of(full(m)).mean() for m in maps]).mean() for maps in batches]
    return torch.stack(scales).sum()
