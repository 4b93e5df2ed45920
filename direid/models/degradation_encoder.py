"""E_d and E_d', the degradation encoders: how badly an image was taken (section 3.2)."""

from __future__ import annotations

from torch import Tensor, nn

from direid.config import Network
from direid.models.blocks import Convolution, Normalise


class DegradationEncoder(nn.Module):
    """A plain strided network, averaged over the image, to a degradation code f_d.

    It has no normalisation layers, which would erase the brightness and contrast that it is to
    report, and averages over the image because a degradation is the same everywhere.

    The paper builds it twice with unshared weights: E_d for real images, and E_d' for self-degraded
    ones, which it also teaches to turn a synthetic degradation into a real one.
    """

    def __init__(self, net: Network) -> None:
        super().__init__()
        channels = [3] + [net.encoder_base * min(2**n, 4) for n in range(net.encoder_layers)]
        self.normalise = Normalise()
        self.body = nn.Sequential(
            *(
                Convolution(before, after, 3, stride=2)
                for before, after in zip(channels, channels[1:], strict=False)
            )
        )
        self.head = nn.Linear(channels[-1], net.code)

    def forward(self, images: Tensor) -> Tensor:
        """Code f_d, (B, D), of images (B, 3, H, W) in [0, 1]."""
        return self.head(self.body(self.normalise(images)).mean(dim=(2, 3)))
