"""Equations 1-10 and 14, one pure function each.

Every function takes float tensors of any precision, computes in float32 (or float64 if given that),
and returns a scalar. «Mean» L1 is used throughout: the paper's norms would grow with the image.

Where the paper cannot hold as printed, the default is the reading under which the method is
consistent, and the setting ``ddgan.literal`` brings back the printed one:

- Equation 3, second term: x_ji, whose content is x_j's and whose degradation is x_i's, is matched
  to E_id(x_j), the *degraded* image, while equation 2 asks x_ji = x_i. Default: E_id(x_i).
- Equation 5, second term: asks D_d(x_ji) <= D_d(x_i) - epsilon, while equation 2 asks x_ji = x_i.
  Both cannot hold. Default: D_d(x_ji) <= D_d(x_j) - epsilon, as in equation 10, where the content
  provider stands.
- Equations 4 and 7 are printed as one min-max value. D_r maximises it; the generator does not
  minimise log(1 - D_r(fake)), whose gradient vanishes early, but -log D_r(fake), as usual.
- The paper gives D_d no objective of its own. :func:`degradation_order` trains it on images that no
  network made: a self-degraded image must score above its original.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

Maps = list[Tensor]


def invariable_content(content_i: Tensor, content_j: Tensor) -> Tensor:
    """Equation 1: the content of an image and of its degraded copy should be the same.

    Args:
        content_i: E_c(x_i), (B, C, h, w).
        content_j: E_c(x_j), the same shape.
    """
    return _l1(content_i, content_j)


def reconstruction(image_a: Tensor, target_a: Tensor, image_b: Tensor, target_b: Tensor) -> Tensor:
    """Equations 2 and 6: two decoded images against the images that they should be.

    Self-degradation: (x_ii, x_i) and (x_ji, x_i). Cross-degradation: (x_ii, x_i) and (x_kk, x_k).
    x_ij and x_jj have no target: E_d' may turn the synthetic degradation into a real one.

    Args: all (B, 3, H, W) in [0, 1].
    """
    return _l1(image_a, target_a) + _l1(image_b, target_b)


def identity_preserving(fake_a: Tensor, real_a: Tensor, fake_b: Tensor, real_b: Tensor) -> Tensor:
    """Equations 3 and 8: a decoded image keeps the identity features of its content's provider.

    Self-degradation: (x_ij, x_i) and (x_ji, x_i); printed, the second is (x_ji, x_j).
    Cross-degradation: (x_ik, x_i) and (x_ki, x_k).

    Args: E_id features, (B, F); no gradient is wanted through the real ones.
    """
    return _l1(fake_a, real_a.detach()) + _l1(fake_b, real_b.detach())


def reality_discriminator(reals: list[Maps], fakes: list[Maps]) -> Tensor:
    """Equations 4 and 7 as D_r sees them, negated: -[log D_r(real) + log(1 - D_r(fake))].

    Args:
        reals: D_r's logit maps (B, 1, h, w), a list over scales, for each batch of real images.
        fakes: the same for each batch of decoded images (detached from their makers).

    Returns:
        The sum over the batches of the mean over scales and patches.
    """
    real = torch.stack([_scale_mean([softplus(-_float(m)) for m in maps]) for maps in reals])
    fake = torch.stack([_scale_mean([softplus(_float(m)) for m in maps]) for maps in fakes])
    return real.sum() + fake.sum()


def reality_generator(fakes: list[Maps]) -> Tensor:
    """Equations 4 and 7 as the encoders and G see them: -log D_r(fake), small when D_r is fooled.

    Args:
        fakes: D_r's logit maps, a list over scales, for each batch of decoded images.
    """
    return torch.stack([_scale_mean([softplus(-_float(m)) for m in maps]) for maps in fakes]).sum()


def degradation_ranking_self(
    score_i: Tensor,
    score_ij: Tensor,
    score_j: Tensor,
    score_ji: Tensor,
    epsilon: float,
    literal: bool = False,
) -> Tensor:
    """Equation 5, gamma = 1: x_ij must look worse than x_i, and x_ji better than x_j, by epsilon.

    A score is D_d's, (B,); higher means a worse image. The loss is 0 where both orders hold with
    the margin, and higher the more they are violated.

    Args:
        literal: compare x_ji with x_i, as printed, in place of x_j.
    """
    other = score_i if literal else score_j
    return _ranked(score_i, score_ij, epsilon) + _ranked(score_ji, other, epsilon)


def degradation_ranking_cross(
    score_i: Tensor, score_ik: Tensor, score_k: Tensor, score_ki: Tensor, epsilon: float
) -> Tensor:
    """Equation 10: after a swap of degradations, x_ik and x_i are ordered as x_k and x_i were.

    gamma is 1 where D_d(x_i) < D_d(x_k) and -1 where it is greater. A tie, which the paper leaves
    undefined, has no order to keep and contributes nothing.

    Args: D_d's scores, (B,), of the real pair (i, k) and of the decoded x_ik and x_ki.
    """
    gamma = torch.sign(score_k.detach() - score_i.detach())
    decided = gamma.abs()
    first = _hinge((score_i - score_ik) * gamma, epsilon)
    second = _hinge((score_ki - score_k) * gamma, epsilon)
    return ((first + second) * decided).mean()


def degradation_order(score_i: Tensor, score_j: Tensor, epsilon: float) -> Tensor:
    """D_d's own objective (ours): the degraded copy x_j scores above x_i by epsilon.

    Args: D_d's scores, (B,), of images that no network made.
    """
    return _ranked(score_i, score_j, epsilon)


def identification(
    logits_i: Tensor, people_i: Tensor, logits_k: Tensor, people_k: Tensor
) -> Tensor:
    """Equation 9: cross-entropy of the person in each image of a real pair.

    Args:
        logits_i, logits_k: (B, people), from the content features.
        people_i, people_k: (B,) person numbers.
    """
    return cross_entropy(_float(logits_i), people_i) + cross_entropy(_float(logits_k), people_k)


def batch_hard_triplet(features: Tensor, people: Tensor, margin: float) -> Tensor:
    """Triplet loss with hard sample mining (Hermans et al., 2017), one of equation 14's two halves.

    For each image: its farthest image of the same person must be nearer than its nearest image of
    anybody else, by ``margin``.

    Args:
        features: (B, F), compared by Euclidean distance.
        people: (B,) person numbers; each person needs two images or more.
    """
    features = _float(features)
    squared = (features[:, None] - features[None]).square().sum(dim=2)
    distance = squared.clamp_min(1e-12).sqrt()  # the root has no gradient at 0
    same = people[:, None] == people[None]
    farthest = distance.masked_fill(~same, -torch.inf).amax(dim=1)
    nearest = distance.masked_fill(same, torch.inf).amin(dim=1)
    return (farthest - nearest + margin).clamp_min(0).mean()


def reid(
    logits: Tensor, features: Tensor, people: Tensor, margin: float, smoothing: float
) -> Tensor:
    """One term of equation 14: cross-entropy plus batch-hard triplet loss, equally weighted.

    Args:
        logits: (B, people).
        features: (B, F).
        people: (B,) person numbers.
        margin: of the triplet loss.
        smoothing: share of the target spread over all people.
    """
    classified = cross_entropy(_float(logits), people, label_smoothing=smoothing)
    return classified + batch_hard_triplet(features, people, margin)


def _float(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _l1(a: Tensor, b: Tensor) -> Tensor:
    return (_float(a) - _float(b)).abs().mean()


def _scale_mean(maps: Maps) -> Tensor:
    return torch.stack([m.mean() for m in maps]).mean()


def _hinge(difference: Tensor, epsilon: float) -> Tensor:
    return (difference + epsilon).clamp_min(0)


def _ranked(better: Tensor, worse: Tensor, epsilon: float) -> Tensor:
    return _hinge(better - worse, epsilon).mean()
