"""DDGAN, the Degradation Decomposition GAN: all its networks in one place (figure 2)."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor, nn

from direid.config import Network
from direid.models.content_encoder import ContentEncoder
from direid.models.decoder import Decoder
from direid.models.degradation_encoder import DegradationEncoder
from direid.models.discriminator import DegradationDiscriminator, PatchDiscriminator
from direid.models.identity_encoder import IdentityEncoder, Neck


class Swaps(NamedTuple):
    """Four images of a pair (a, b), each (B, 3, H, W): ``ab`` has a's content, b's degradation."""

    aa: Tensor
    ab: Tensor
    ba: Tensor
    bb: Tensor


class DDGAN(nn.Module):
    """E_c, E_d, E_d', G, D_r, D_d, and the frozen E_id.

    Args:
        net: sizes.
        people: training people, for the identification loss (equation 9).
    """

    def __init__(self, net: Network, people: int) -> None:
        super().__init__()
        self.content_encoder = ContentEncoder(net)
        self.degradation_encoder = DegradationEncoder(net)
        self.self_degradation_encoder = DegradationEncoder(net)
        doublings = net.stem_stride.bit_length()  # the first stage lies at stride 2 x stem_stride
        self.decoder = Decoder(net, doublings)
        self.reality_discriminator = PatchDiscriminator(net)
        self.degradation_discriminator = DegradationDiscriminator(net)
        self.identity_encoder = IdentityEncoder(net)
        self.identity_encoder.requires_grad_(False)
        self.neck = Neck(net.invariant, people)

    def train(self, mode: bool = True) -> DDGAN:
        """As for any module, but the teacher E_id never leaves evaluation mode."""
        super().train(mode)
        self.identity_encoder.eval()
        return self

    def generator_parameters(self) -> list[nn.Parameter]:
        """Of E_c, E_d, E_d', G and the classifier of equation 9."""
        parts = (
            self.content_encoder,
            self.degradation_encoder,
            self.self_degradation_encoder,
            self.decoder,
            self.neck,
        )
        return [p for p in chain(*(m.parameters() for m in parts)) if p.requires_grad]

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """Of D_r and D_d."""
        parts = (self.reality_discriminator, self.degradation_discriminator)
        return list(chain(*(m.parameters() for m in parts)))

    def swap(self, content_a: Tensor, content_b: Tensor, code_a: Tensor, code_b: Tensor) -> Swaps:
        """All four combinations, decoded as one batch."""
        contents = torch.cat([content_a, content_a, content_b, content_b])
        codes = torch.cat([code_a, code_b, code_a, code_b])
        return Swaps(*self.decoder(contents, codes).chunk(4))

    def transfer(self, content: Tensor, degradation: Tensor) -> Tensor:
        """Images with the content of one batch and the real degradation of another (figures 5, 6).

        Args:
            content: (B, 3, H, W) in [0, 1].
            degradation: the same shape.

        Returns:
            (B, 3, H, W), clamped to [0, 1].
        """
        code = self.degradation_encoder(degradation)
        return self.decoder(self.content_encoder.content(content), code).clamp(0, 1)
