"""Ideas of the authors' later work (IJCV 2022) and code, none of them in the CVPR paper.

Options of :class:`direid.config.Later`, off unless asked for. Each says where it comes from and
where ours differs.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import kl_div

from direid.losses.common import distance
from direid.models.blocks import full


def cycle_reconstruction(x_iki: Tensor, x_kik: Tensor, x_i: Tensor, x_k: Tensor) -> Tensor:
    """Swapping twice gives the pair back.

    x_iki is decoded from the content of x_ik and the degradation of x_ki, so it should be x_i;
    x_kik the other way round. The authors re-encode without gradient through the ResNet; ours has
    one.

    Args: images (B, 3, H, W) in [0, 1].
    """
    return distance(x_iki, x_i) + distance(x_kik, x_k)


def gradient_penalty(scores: Tensor, images: Tensor) -> Tensor:
    """The squared gradient of a discriminator at real images, the mean over images.

    A discriminator that is flat around real images cannot send G far past them (Mescheder et al.,
    2018, R1 without its factor 1/2).

    Args:
        scores: anything that the discriminator computed from ``images``, an image at a time.
        images: (B, 3, H, W), requiring gradient.

    Returns:
        A scalar that can be differentiated again.
    """
    (slope,) = torch.autograd.grad(full(scores).sum(), images, create_graph=True)
    return full(slope).square().flatten(1).sum(dim=1).mean()


def domain_score(score: Tensor, poor: Tensor) -> Tensor:
    """Semi-supervised ranking: a score of 1 for images known to be bad, 0 for the others.

    In place of equation 10, where the camera tells which images are bad. D_d descends it on real
    images; G on decoded ones, whose degradation came from images known to be bad, or not. The
    authors' D_d has the opposite sign, and counts this loss twice.

    Args:
        score: D_d's, (B,).
        poor: (B,) bool.
    """
    return (full(score) - poor.float()).square().mean()


def prediction_smoothing(logits: Tensor, replayed: Tensor) -> Tensor:
    """KL(p || q): a replayed image names the same people with the same probabilities.

    The replayed image has the content of the original and a remembered degradation.

    Args:
        logits: of f_inv of the originals, (B, people); they get no gradient.
        replayed: of f_inv of the replayed images.
    """
    p, q = full(logits).detach().log_softmax(dim=1), full(replayed).log_softmax(dim=1)
    return kl_div(q, p, reduction="batchmean", log_target=True)
