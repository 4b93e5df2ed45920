"""Degradation memory replay, an idea of the authors' later work (IJCV 2022); see config.Later.

After stage 1 the code of every training image is stored. In stage 2 an image is decoded again with
a code drawn from that memory: the same person, as another real camera might have taken her. What
f_inv says must then not change, so stage 2 does not forget what stage 1 taught.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from direid.config import Config
from direid.data.loaders import Images
from direid.data.records import Record
from direid.models import Generator
from direid.models.blocks import full
from direid.training.compute import Compute


class Memory:
    """The degradation codes of all training images, and the frozen networks that replay them.

    Args:
        generator: stage 1's; held still from now on.
        records: N training images.
        config: the size of images.
        compute: device, precision, and which share of a batch is this process's.
        batch: images at a time.
    """

    @torch.no_grad()
    def __init__(
        self,
        generator: Generator,
        records: Sequence[Record],
        config: Config,
        compute: Compute,
        batch: int = 64,
    ) -> None:
        self.generator = generator.eval().requires_grad_(False)
        self.compute = compute
        codes = []
        for images in Images(records, *config.size).batches(batch):
            seen = compute.to_device(images)
            with compute.autocast():  # the code of an image does not depend on where it faces
                both = [full(generator.degradation_encoder(x)) for x in (seen, seen.flip(3))]
            codes.append((both[0] + both[1]) / 2)
        self.codes = torch.cat(codes)  # (N, D)

    @torch.no_grad()
    def replay(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Images (B, 3, H, W) in [0, 1], each with a remembered degradation in place of its own."""
        rank, processes = self.compute.world.rank, self.compute.world.size
        drawn = torch.randint(
            len(self.codes), (processes, len(images)), generator=random, device=random.device
        )
        return self._decode(images, self.codes[drawn[rank]])

    @torch.no_grad()
    def some(
        self, images: Tensor, chance: float, random: torch.Generator, strength: float = 1.0
    ) -> Tensor:
        """As :meth:`replay`, but each image only with probability ``chance``, and else left.

        Decoded images do not go all the way to the degradation whose code they got: content keeps
        some. So the code may go on beyond the one remembered, ``U[1, strength]`` times the way from
        the image's own.
        """
        rank, processes = self.compute.world.rank, self.compute.world.size
        shape, device = (processes, len(images)), random.device
        drawn = torch.randint(len(self.codes), shape, generator=random, device=device)[rank]
        chosen = torch.rand(shape, generator=random, device=device)[rank] < chance
        way = 1 + (strength - 1) * torch.rand(shape, generator=random, device=device)[rank]
        if not chosen.any():
            return images
        codes = self.codes[drawn[chosen]]
        if strength > 1:
            with self.compute.autocast():
                own = full(self.generator.degradation_encoder(images[chosen]))
            codes = own + way[chosen, None] * (codes - own)
        mixed = images.clone()
        mixed[chosen] = self._decode(images[chosen], codes).to(images.dtype)
        return mixed

    def _decode(self, images: Tensor, codes: Tensor) -> Tensor:
        with self.compute.autocast():
            content = self.generator.content_encoder.content(images)
            return self.generator.decoder(content, codes).clamp(0, 1)
