"""Making bad images out of good ones: F_deg of section 3.1 and the drawn benchmark's own camera.

Every function takes images (B, 3, H, W), RGB in [0, 1], and a strength: one number, or a tensor
(B,) with one number an image. It returns new images of the same shape, range, dtype and device and
changes nothing in place. Whatever is random asks for a `torch.Generator`, and the same generator
state gives the same images.

Re-sampling and Gaussian blur are linear and separable, so each is two batched matrix products,
rows @ image @ columns^T, with a matrix per image. That is what lets every image of a batch have its
own (fractional) ratio, on any device.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from direid.errors import DireidError

Strength = float | Tensor

REFERENCE_HEIGHT = 256  # lengths in the table of `SelfDegradation` are pixels of an image this high


def downsample(images: Tensor, ratio: Strength) -> Tensor:
    """Shrink by `ratio` >= 1 (averaging the area), bring back bilinearly. Section 4.3: U[2, 4]."""
    ratio = _strength(images, ratio)
    rows, columns = (  # room for every ratio: to ask for the largest, a GPU would have to wait
        _grow(size, ratio, size) @ _shrink(size, ratio, size) for size in images.shape[2:]
    )
    return _separable(images, rows, columns).clamp(0, 1)


def gamma(images: Tensor, exponent: Strength) -> Tensor:
    """Gamma correction, x ** exponent: 1 is the identity, above darkens. Paper: U[2, 3.5]."""
    return images ** _strength(images, exponent).view(-1, 1, 1, 1)


def gaussian_blur(images: Tensor, sigma: Strength) -> Tensor:
    """Out of focus: a Gaussian of `sigma` pixels; 0 is the identity."""
    sigma = _strength(images, sigma).clamp_min(1e-3)  # the Gaussian of 0 is a single 1

    def kernel(size: int) -> Tensor:
        at = torch.arange(size, device=images.device, dtype=images.dtype)
        weights = torch.exp(-0.5 * ((at[:, None] - at) / sigma.view(-1, 1, 1)) ** 2)
        return weights / weights.sum(dim=2, keepdim=True)  # a border weighs what is there

    return _separable(images, kernel(images.shape[2]), kernel(images.shape[3])).clamp(0, 1)


def motion_blur(images: Tensor, length: Strength, angle: Strength) -> Tensor:
    """The mean while the camera moves `length` pixels at `angle` degrees; 0 is the identity."""
    length, angle = _strength(images, length), torch.deg2rad(_strength(images, angle))
    radius = int(length.max().item() / 2) + 1
    moments = ((torch.arange(64, device=images.device) + 0.5) / 64 - 0.5).to(images.dtype)
    path = length[:, None] * moments  # (B, 64), pixels from the middle
    cell = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)

    def weights(at: Tensor) -> Tensor:
        """Linear interpolation: positions (B, 64) -> shares of the cells around, (B, 64, k)."""
        return (1 - (at[:, :, None] - cell).abs()).clamp_min(0)

    columns, rows = weights(path * angle.cos()[:, None]), weights(path * angle.sin()[:, None])
    kernel = rows.transpose(1, 2) @ columns / 64  # (B, k, k)

    batch, channels = images.shape[:2]
    padded = F.pad(images, (radius,) * 4, mode="replicate").flatten(0, 1)[None]
    kernels = kernel.repeat_interleave(channels, dim=0)[:, None]
    blurred = F.conv2d(padded, kernels, groups=batch * channels)
    return blurred.view_as(images).clamp(0, 1)


def gaussian_noise(images: Tensor, sigma: Strength, generator: torch.Generator) -> Tensor:
    """Add white noise of standard deviation `sigma`, in units of the range [0, 1]."""
    return _noisy(images, _strength(images, sigma), _normal(images, generator))


def jpeg(images: Tensor, quality: Strength) -> Tensor:
    """Through a real JPEG coder, on the CPU; `quality` 1 (worst) to 95, as Pillow counts it."""
    pixels = (images.detach() * 255).round().to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy()
    decoded = np.empty_like(pixels)
    for i, q in enumerate(_strength(images, quality).round().int().tolist()):
        coded = io.BytesIO()
        Image.fromarray(pixels[i]).save(coded, "JPEG", quality=q)
        decoded[i] = np.asarray(Image.open(coded))
    return torch.from_numpy(decoded).permute(0, 3, 1, 2).to(images) / 255


def haze(images: Tensor, density: Strength) -> Tensor:
    """Fog between camera and person: t x + (1 - t) 0.9 with transmission t = exp(-density)."""
    transmission = torch.exp(-_strength(images, density)).view(-1, 1, 1, 1)
    return transmission * images + (1 - transmission) * 0.9


@dataclass(frozen=True)
class _Draws:
    """Random numbers for one process's share of a batch: the others' are drawn too, and left."""

    generator: torch.Generator
    rank: int
    processes: int

    def uniform(self, images: Tensor) -> Tensor:
        """(B,) in [0, 1)."""
        return self._mine(torch.rand, (len(images),), images)

    def normal(self, images: Tensor) -> Tensor:
        """As many as there are pixels."""
        return self._mine(torch.randn, images.shape, images)

    def _mine(self, draw: Callable, shape: Sequence[int], images: Tensor) -> Tensor:
        generator = self.generator
        whole = draw((self.processes, *shape), generator=generator, device=generator.device)
        return whole[self.rank].to(images)


# kind -> range of the strength, and what to do with it. The ranges of resolution and illumination
# are the paper's (section 4.3); blur, motion blur and JPEG follow the authors' later code; noise
# and haze are ours. Blur and motion lengths are pixels at REFERENCE_HEIGHT.
_KINDS: dict[str, tuple[float, float, Callable[[Tensor, Tensor, _Draws], Tensor]]] = {
    "resolution": (2.0, 4.0, lambda x, s, _: downsample(x, s)),
    "illumination": (2.0, 3.5, lambda x, s, _: gamma(x, s)),
    "blur": (3.0, 6.0, lambda x, s, _: gaussian_blur(x, s * x.shape[2] / REFERENCE_HEIGHT)),
    "motion_blur": (
        5.0,
        14.0,
        lambda x, s, draws: motion_blur(
            x, s * x.shape[2] / REFERENCE_HEIGHT, 180 * draws.uniform(x)
        ),
    ),
    "noise": (0.02, 0.10, lambda x, s, draws: _noisy(x, s, draws.normal(x))),
    "jpeg": (10.0, 20.0, lambda x, s, _: jpeg(x, s)),
    "haze": (0.5, 1.5, lambda x, s, _: haze(x, s)),
}
KINDS = tuple(_KINDS)


@dataclass(frozen=True)
class SelfDegradation:
    """F_deg, equation x_j = F_deg(x_i): each image degraded by a strength of its own.

    `kind` is one of `KINDS`, or several joined by '+', applied in that order, "blur+noise+jpeg".
    The strength is uniform in [low, high]; None means the range of that kind.

    >>> degrade = SelfDegradation("resolution")           # the paper's U[2, 4]
    >>> x_j = degrade(torch.rand(8, 3, 64, 32), torch.Generator().manual_seed(0))
    """

    kind: str = "resolution"
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for name in self.kind.split("+"):
            if name not in _KINDS:
                raise DireidError(
                    f"unknown degradation {name!r} in {self.kind!r}: choose from "
                    f"{', '.join(KINDS)}, or join several by '+'"
                )
        if "+" in self.kind and (self.low, self.high) != (None, None):
            raise DireidError(f"{self.kind!r}: a strength range wants one kind, not a mixture")
        for name in self.kind.split("+"):
            low, high = self._range(name)
            if low > high:
                raise DireidError(f"{name}: strength from {low} to {high}, expected low <= high")

    def __call__(
        self, images: Tensor, generator: torch.Generator, rank: int = 0, processes: int = 1
    ) -> Tensor:
        """Degraded versions of images (B, 3, H, W) in [0, 1], of the same shape and range.

        With several processes, ``images`` are one's equal share of a batch, and get what a single
        process would have drawn for them.
        """
        draws = _Draws(generator, rank, processes)
        for name in self.kind.split("+"):
            low, high = self._range(name)
            strength = low + (high - low) * draws.uniform(images)
            images = _KINDS[name][2](images, strength, draws)
        return images

    def some(
        self,
        images: Tensor,
        chance: float,
        generator: torch.Generator,
        rank: int = 0,
        processes: int = 1,
    ) -> Tensor:
        """As the call, but each image is degraded with probability ``chance`` and else left."""
        degraded = self(images, generator, rank, processes)
        chosen = _Draws(generator, rank, processes).uniform(images) < chance
        return torch.where(chosen[:, None, None, None], degraded, images)

    def _range(self, name: str) -> tuple[float, float]:
        low, high, _ = _KINDS[name]
        return (low if self.low is None else self.low, high if self.high is None else self.high)


@dataclass(frozen=True)
class RealLike:
    """How bad the degraded camera of the drawn benchmark is: each pair is (at level 0, at level 1).

    In between, values move in a straight line. These numbers, with those of `Difficulty`, set how
    hard the benchmark is. Ratio, noise and quality are what matters most.
    """

    blur: tuple[float, float] = (1.0, 6.0)  # sigma of the lens, pixels at REFERENCE_HEIGHT
    ratio: tuple[float, float] = (1.5, 8.0)  # how many times fewer pixels the sensor has
    noise: tuple[float, float] = (0.01, 0.045)  # at the sensor, of a mid-grey pixel
    contrast: tuple[float, float] = (0.95, 0.75)  # share that is kept, around mid-grey
    quality: tuple[float, float] = (85.0, 30.0)  # JPEG
    dark_gamma: tuple[float, float] = (1.3, 3.2)
    dark_gain: tuple[float, float] = (0.95, 0.60)  # exposure
    dark_cast: tuple[float, float] = (0.03, 0.15)  # sd of the log of each channel's gain
    dark_noise: tuple[float, float] = (0.008, 0.035)
    dark_quality: tuple[float, float] = (92.0, 70.0)


def real_like(
    images: Tensor,
    level: Strength,
    kind: str,
    generator: torch.Generator,
    settings: RealLike | None = None,
) -> Tensor:
    """What the degraded camera of the drawn benchmark does; richer than any F_deg, on purpose.

    "resolution": blur, fewer pixels by averaging, sensor noise there, loss of contrast, bilinear
    enlargement, JPEG. "illumination": gamma and gain, a colour cast, sensor noise, JPEG. Level 0 is
    mild, 1 is severe. F_deg imitates one factor of this; the gap is what the method has to bridge.

    Args:
        images: (B, 3, H, W) in [0, 1].
        level: (B,) or a number, in [0, 1].
        kind: "resolution" or "illumination".
        generator: of the noise and the cast.
        settings: the strengths; None means the benchmark's own.
    """
    settings = settings or RealLike()
    level = _strength(images, level)

    def at(ends: tuple[float, float]) -> Tensor:
        return ends[0] + (ends[1] - ends[0]) * level

    if kind == "resolution":
        height, width = images.shape[2:]
        ratio = at(settings.ratio)
        seen = gaussian_blur(images, at(settings.blur) * height / REFERENCE_HEIGHT)
        seen = _separable(seen, _shrink(height, ratio), _shrink(width, ratio))
        seen = _sensor_noise(seen, at(settings.noise), generator)
        seen = 0.5 + (seen - 0.5) * at(settings.contrast).view(-1, 1, 1, 1)
        seen = _separable(seen, _grow(height, ratio), _grow(width, ratio))
        return jpeg(seen.clamp(0, 1), at(settings.quality))
    if kind == "illumination":
        cast = torch.randn(len(images), 3, 1, 1, generator=generator, device=generator.device).to(
            images
        )
        seen = gamma(images, at(settings.dark_gamma)) * at(settings.dark_gain).view(-1, 1, 1, 1)
        seen = seen * torch.exp(cast * at(settings.dark_cast).view(-1, 1, 1, 1))
        seen = _sensor_noise(seen.clamp(0, 1), at(settings.dark_noise), generator)
        return jpeg(seen, at(settings.dark_quality))
    raise DireidError(
        f"unknown degradation {kind!r} of a camera: choose from resolution, illumination"
    )


def _noisy(images: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    return (images + sigma.view(-1, 1, 1, 1) * noise).clamp(0, 1)


def _sensor_noise(images: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    """Read noise and photon noise, whose variance grows with the light; sd `sigma` at grey 0.5."""
    spread = sigma.view(-1, 1, 1, 1) * (0.5 + images).sqrt()
    return (images + spread * _normal(images, generator)).clamp(0, 1)


def _strength(images: Tensor, strength: Strength) -> Tensor:
    """One strength per image, (B,), where the images are."""
    if images.ndim != 4:
        raise ValueError(f"expected images (B, 3, H, W), got a tensor {tuple(images.shape)}")
    return torch.as_tensor(strength, device=images.device, dtype=images.dtype).expand(len(images))


def _normal(images: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(images.shape, generator=generator, device=generator.device).to(images)


def _separable(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Multiply rows (B, h, H) @ images (B, 3, H, W) @ columns^T (B, W, w) -> (B, 3, h, w)."""
    return rows[:, None] @ images @ columns[:, None].transpose(2, 3)


def _small(size: int, ratio: Tensor) -> Tensor:
    """Pixels left of `size` after shrinking by each ratio, (B,): rounded, at least 1."""
    return (size / ratio).round().clamp(1, size)


def _shrink(size: int, ratio: Tensor, room: int | None = None) -> Tensor:
    """(B, m, size): row i averages the area under small pixel i.

    m is ``room``, or the largest small size of the batch; an image with fewer small pixels fills
    the rows that are left with zeros.
    """
    small = _small(size, ratio)
    edge = torch.arange((room or int(small.max())) + 1, device=ratio.device, dtype=ratio.dtype)
    edge = edge * (size / small)[:, None]  # where small pixels begin, in large pixels
    at = torch.arange(size, device=ratio.device, dtype=ratio.dtype)
    start = torch.maximum(edge[:, :-1, None], at)
    stop = torch.minimum(edge[:, 1:, None], at + 1)
    return (stop - start).clamp_min(0) * (small / size).view(-1, 1, 1)


def _grow(size: int, ratio: Tensor, room: int | None = None) -> Tensor:
    """(B, size, m): bilinear weights of the small pixels in each large pixel; m as above."""
    small = _small(size, ratio)
    at = torch.arange(size, device=ratio.device, dtype=ratio.dtype) + 0.5
    source = at * (small / size)[:, None] - 0.5
    source = torch.minimum(source.clamp_min(0), small[:, None] - 1)  # borders repeat
    centre = torch.arange(room or int(small.max()), device=ratio.device, dtype=ratio.dtype)
    return (1 - (source[:, :, None] - centre).abs()).clamp_min(0)
