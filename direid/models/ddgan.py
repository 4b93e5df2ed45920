"""DDGAN, the Degradation Decomposition GAN: all its networks in one place (figure 2)."""

from __future__ import annotations

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


class Decomposed(NamedTuple):
    """What the generator makes of a pair (a, b); None where it was not asked for."""

    content_a: Tensor  # f_c of a, (B, C, h, w)
    content_b: Tensor
    logits: Tensor | None = None  # the people in a, then in b, (2 B, people), from f_inv
    swaps: Swaps | None = None
    cycled_a: Tensor | None = None  # content of ab with the degradation of ba: a again
    cycled_b: Tensor | None = None


class Generator(nn.Module):
    """E_c, E_d, E_d', G and the classifier of equation 9: all that moves in the generator's turn.

    One forward pass does everything that a step needs of them: each image is encoded once, and all
    combinations are decoded as one batch.

    Args:
        net: sizes.
        people: training people.
    """

    def __init__(self, net: Network, people: int) -> None:
        super().__init__()
        self.content_encoder = ContentEncoder(net)
        self.degradation_encoder = DegradationEncoder(net)
        self.self_degradation_encoder = DegradationEncoder(net)
        doublings = net.stem_stride.bit_length()  # the first stage lies at stride 2 x stem_stride
        self.decoder = Decoder(net, doublings)
        self.neck = Neck(net.invariant, people)

    def forward(
        self,
        a: Tensor,
        b: Tensor,
        synthetic: bool,
        identify: bool = False,
        decode: bool = True,
        cycle: bool = False,
    ) -> Decomposed:
        """Take a pair of image batches (B, 3, H, W) in [0, 1] apart and put it together again.

        Args:
            a: real images.
            b: others, or self-degraded copies of ``a``.
            synthetic: ``b`` is self-degraded, so E_d' reads it, not E_d.
            identify: say who is on the images (equation 9).
            decode: make the four images of the pair.
            cycle: take the two swapped ones apart once more, and put the pair back.
        """
        images, logits = torch.cat([a, b]), None
        if identify:
            contents, invariant = self.content_encoder(images)
            logits = self.neck(invariant).logits
        else:
            contents = self.content_encoder.content(images)
        content_a, content_b = contents.chunk(2)
        made = Decomposed(content_a, content_b, logits)
        if not decode:
            return made
        if synthetic:
            code_a, code_b = self.degradation_encoder(a), self.self_degradation_encoder(b)
        else:
            code_a, code_b = self.degradation_encoder(images).chunk(2)
        made = made._replace(swaps=self.swap(content_a, content_b, code_a, code_b))
        if not cycle:
            return made
        swapped = torch.cat([made.swaps.ab, made.swaps.ba])
        contents = self.content_encoder.content(swapped)
        code_ab, code_ba = self.degradation_encoder(swapped).chunk(2)
        cycled = self.decoder(contents, torch.cat([code_ba, code_ab]))
        return made._replace(cycled_a=cycled.chunk(2)[0], cycled_b=cycled.chunk(2)[1])

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


class Discriminators(nn.Module):
    """D_r and D_d: all that moves in the discriminators' turn."""

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.reality = PatchDiscriminator(net)
        self.degradation = DegradationDiscriminator(net)


class DDGAN(nn.Module):
    """The two players of stage 1, and their frozen teacher E_id.

    Args:
        net: sizes.
        people: training people, for the identification loss (equation 9).
    """

    def __init__(self, net: Network, people: int) -> None:
        super().__init__()
        self.generator = Generator(net, people)
        self.discriminators = Discriminators(net)
        self.identity_encoder = IdentityEncoder(net)
        self.identity_encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> DDGAN:
        """As for any module, but the teacher E_id never leaves evaluation mode."""
        super().train(mode)
        self.identity_encoder.eval()
        return self
