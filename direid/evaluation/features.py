"""From images to the vectors that retrieval compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from direid.data.loaders import Images
from direid.data.records import Record
from direid.training.compute import Compute


@torch.no_grad()
def extract(
    network: nn.Module,
    embed: Callable[[Tensor], Tensor],
    records: Sequence[Record],
    size: tuple[int, int],
    compute: Compute,
    batch: int = 128,
) -> np.ndarray:
    """``embed`` of every record's image, in order.

    Args:
        network: put into evaluation mode; the owner of ``embed``.
        embed: from images (B, 3, H, W) in [0, 1] to vectors (B, F) or scores (B,).
        records: N images.
        size: height and width that the network wants.
        compute: device and precision.
        batch: images at a time.

    Returns:
        float32 array, (N, F) or (N,).
    """
    network.eval()
    parts = []
    for images in Images(records, *size).batches(batch):
        with compute.autocast():
            vectors = embed(compute.to_device(images))
        parts.append(vectors.float().cpu())
    return torch.cat(parts).numpy()
