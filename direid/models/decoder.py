"""G, the decoder: an image from content and degradation (section 3.2)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import instance_norm

from direid.config import Network
from direid.models.blocks import Normalise, ReflectedConvolution, full


def adain(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Adaptive instance normalisation (Huang and Belongie, 2017).

    Args:
        x: feature maps, (B, C, h, w); each is brought to zero mean and unit variance.
        scale: (B, C); the code says how far from 1 the new deviation lies.
        shift: (B, C), the new mean.
    """
    return (1 + scale[..., None, None]) * instance_norm(x) + shift[..., None, None]


class AdaINBlock(nn.Module):
    """A residual block whose two normalisations take their statistics from the code."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ReflectedConvolution(channels, channels)
        self.second = ReflectedConvolution(channels, channels)

    def forward(self, x: Tensor, parameters: Tensor) -> Tensor:
        """``x`` (B, C, h, w), ``parameters`` (B, 4, C): two scales and two shifts."""
        scale_1, shift_1, scale_2, shift_2 = parameters.unbind(dim=1)
        y = adain(self.first(x), scale_1, shift_1).relu()
        return x + adain(self.second(y), scale_2, shift_2)


class Decoder(nn.Module):
    """AdaIN residual blocks at the content's size, then up-sampling to the image's.

    The content map has no memory of contrast or sharpness that AdaIN's normalisation would not
    remove; the code puts both back. The output is not squashed: it may overshoot [0, 1] slightly,
    which the reconstruction loss punishes.

    Args:
        net: sizes.
        doublings: how often the content map must be doubled to reach the image's size.
    """

    def __init__(self, net: Network, doublings: int) -> None:
        super().__init__()
        channels = net.content
        self.shape = (net.decoder_blocks, 4, channels)
        self.parameters_of = nn.Sequential(
            nn.Linear(net.code, net.decoder_hidden),
            nn.ReLU(inplace=True),
            nn.Linear(net.decoder_hidden, net.decoder_hidden),
            nn.ReLU(inplace=True),
            nn.Linear(net.decoder_hidden, 4 * channels * net.decoder_blocks),
        )
        self.blocks = nn.ModuleList(AdaINBlock(channels) for _ in range(net.decoder_blocks))
        up: list[nn.Module] = []
        for _ in range(doublings):
            up += [
                nn.Upsample(scale_factor=2, mode="bilinear"),
                ReflectedConvolution(channels, channels // 2, 5),
                nn.GroupNorm(1, channels // 2),
                nn.ReLU(inplace=True),
            ]
            channels //= 2
        self.up = nn.Sequential(
            *up,
            ReflectedConvolution(channels, channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, 3, 1),
        )
        self.normalise = Normalise()

    def forward(self, content: Tensor, code: Tensor) -> Tensor:
        """Images (B, 3, H, W), about [0, 1], from f_c (B, C, h, w) and f_d (B, D)."""
        parameters = self.parameters_of(code).view(-1, *self.shape)
        x = content
        for number, block in enumerate(self.blocks):
            x = block(x, parameters[:, number])
        return self.normalise.back(full(self.up(x)))
