"""F_deg and the drawn benchmark's own camera, against naive loops, closed forms and properties."""

import dataclasses
import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from direid.degradations import (
    KINDS,
    RealLike,
    SelfDegradation,
    downsample,
    gamma,
    gaussian_blur,
    gaussian_noise,
    haze,
    jpeg,
    motion_blur,
    real_like,
)
from direid.errors import DireidError

CAMERAS = ("resolution", "illumination")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise_images(batch: int = 3, height: int = 32, width: int = 16) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=seeded(7))


def scene(batch: int = 4, height: int = 64, width: int = 32) -> Tensor:
    """Images with structure at every scale, as photographs have: blotches of 2 to 32 pixels."""
    image = sum(
        F.interpolate(torch.rand(batch, 3, h, w, generator=seeded(h)), (height, width))
        for h, w in ((2, 1), (8, 4), (16, 8), (32, 16))
    )
    return image / 4


def test_some_images_are_degraded_and_the_others_untouched() -> None:
    images = noise_images(400, 16, 8)
    mixed = SelfDegradation("noise").some(images, 0.3, seeded())
    changed = (mixed != images).flatten(1).any(dim=1)
    assert 0.2 < changed.float().mean() < 0.4  # 0.3, within four standard errors
    whole = SelfDegradation("noise")(images, seeded())
    assert torch.equal(mixed[changed], whole[changed])
    assert torch.equal(SelfDegradation("noise").some(images, 0.0, seeded()), images)
    halves = [
        SelfDegradation("noise").some(part, 0.3, seeded(), rank, 2)
        for rank, part in enumerate(images.chunk(2))
    ]
    again = SelfDegradation("noise").some(images, 0.3, seeded())
    assert torch.equal(torch.cat(halves), again)


# What holds for all of them --------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*KINDS, "blur+resolution+noise+jpeg"])
@pytest.mark.parametrize("shape", [(1, 3, 64, 32), (5, 3, 33, 17)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_range_and_type_are_kept(kind: str, shape: tuple, dtype: torch.dtype) -> None:
    images = torch.rand(shape, generator=seeded(1), dtype=dtype)
    before = images.clone()
    degraded = SelfDegradation(kind)(images, seeded())
    assert degraded.shape == images.shape
    assert degraded.dtype == dtype
    assert degraded.min() >= 0
    assert degraded.max() <= 1
    assert torch.equal(images, before), "changed in place"
    assert not torch.equal(degraded, images)


@pytest.mark.parametrize("kind", [*KINDS, "noise+motion_blur"])
def test_the_generator_decides(kind: str) -> None:
    images, degrade = scene(), SelfDegradation(kind)
    assert torch.equal(degrade(images, seeded(3)), degrade(images, seeded(3)))
    assert not torch.equal(degrade(images, seeded(3)), degrade(images, seeded(4)))


@pytest.mark.parametrize(
    "degrade",
    [
        lambda x, s: downsample(x, 1 + 3 * s),
        lambda x, s: gamma(x, 1 + s),
        lambda x, s: gaussian_blur(x, 2 * s),
        lambda x, s: motion_blur(x, 7 * s, 90 * s),
        lambda x, s: jpeg(x, 10 + 80 * s),
        lambda x, s: haze(x, s),
    ],
    ids=["downsample", "gamma", "gaussian_blur", "motion_blur", "jpeg", "haze"],
)
def test_each_image_has_its_own_strength(degrade) -> None:
    """A batch of different strengths is the same as its images one at a time."""
    images, strengths = scene(3, 32, 16), torch.tensor([0.1, 0.5, 0.9])
    together = degrade(images, strengths)
    for i in range(3):
        alone = degrade(images[i : i + 1], strengths[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "harmless",
    [
        lambda x: downsample(x, 1.0),
        lambda x: gamma(x, 1.0),
        lambda x: gaussian_blur(x, 0.0),
        lambda x: motion_blur(x, 0.0, 37.0),
        lambda x: gaussian_noise(x, 0.0, seeded()),
        lambda x: haze(x, 0.0),
    ],
    ids=["downsample", "gamma", "gaussian_blur", "motion_blur", "gaussian_noise", "haze"],
)
def test_strength_without_effect_is_the_identity(harmless) -> None:
    images = noise_images()
    torch.testing.assert_close(harmless(images), images, atol=1e-6, rtol=0)


def test_images_without_a_batch_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\)"):
        downsample(torch.rand(3, 64, 32), 2.0)


# One by one ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [2, 4])
def test_downsample_by_a_whole_ratio_is_torchs_area_then_bilinear(ratio: int) -> None:
    images = noise_images()
    small = F.interpolate(images, scale_factor=1 / ratio, mode="area")
    expected = F.interpolate(small, images.shape[2:], mode="bilinear")
    torch.testing.assert_close(downsample(images, float(ratio)), expected, atol=1e-6, rtol=0)


def test_downsample_by_a_fraction_is_the_naive_loop() -> None:
    """10 pixels by ratio 2.5 -> 4 pixels that average 2.5 pixels each -> linear interpolation."""
    line = torch.rand(10, generator=seeded(), dtype=torch.float64)
    small = []
    for i in range(4):
        area = 0.0
        for j in range(10):
            overlap = min(j + 1, 2.5 * (i + 1)) - max(j, 2.5 * i)
            area += max(overlap, 0.0) * line[j].item()
        small.append(area / 2.5)
    centres = [2.5 * i + 1.25 for i in range(4)]
    expected = np.interp(np.arange(10) + 0.5, centres, small)

    upright = line.view(1, 1, 10, 1).expand(1, 3, 10, 6)  # each row constant: only rows matter
    degraded = downsample(upright.contiguous(), 2.5)
    np.testing.assert_allclose(degraded[0, 0, :, 2], expected, atol=1e-12)
    lying = downsample(upright.transpose(2, 3).contiguous(), 2.5)
    np.testing.assert_allclose(lying[0, 2, 3], expected, atol=1e-12)


def test_downsample_loses_more_detail_the_larger_the_ratio() -> None:
    images = noise_images(16, 64, 32)
    detail = []
    for ratio in (1.0, 1.5, 2.0, 3.0, 4.0, 6.0):
        spectrum = torch.fft.rfft2(downsample(images, ratio)).abs().square()
        detail.append(spectrum[:, :, 16:48, 8:].sum().item())  # the upper half of both axes
    assert all(a > b for a, b in zip(detail, detail[1:], strict=False)), detail


@pytest.mark.parametrize("ratio", [1.7, 2.0, 3.3, 4.0, 100.0])
def test_downsample_keeps_a_constant_image(ratio: float) -> None:
    images = torch.full((2, 3, 30, 14), 0.3)
    torch.testing.assert_close(downsample(images, ratio), images)


def test_gamma_on_known_pixels() -> None:
    images = torch.tensor([0.0, 0.25, 0.5, 1.0]).view(1, 1, 2, 2).repeat(2, 3, 1, 1)
    degraded = gamma(images, torch.tensor([2.0, 3.0]))
    assert degraded[0, 0].flatten().tolist() == [0.0, 0.0625, 0.25, 1.0]
    assert degraded[1, 2].flatten().tolist() == [0.0, 0.015625, 0.125, 1.0]


def test_blur_spreads_a_point_into_a_gaussian() -> None:
    point = torch.zeros(1, 3, 31, 31, dtype=torch.float64)
    point[..., 15, 15] = 1
    spread = gaussian_blur(point, 1.5)[0, 0]
    at = np.arange(31) - 15
    line = np.exp(-0.5 * (at / 1.5) ** 2)
    expected = np.outer(line, line) / line.sum() ** 2
    np.testing.assert_allclose(spread, expected, atol=1e-9)


def test_blur_keeps_a_constant_image_up_to_the_border() -> None:
    images = torch.full((1, 3, 20, 10), 0.7)
    torch.testing.assert_close(gaussian_blur(images, 3.0), images)
    torch.testing.assert_close(motion_blur(images, 7.0, 30.0), images)


@pytest.mark.parametrize(
    ("length", "angle", "expected"),
    [
        (2.0, 0.0, [[0, 0, 0, 0, 0], [0, 1, 2, 1, 0], [0, 0, 0, 0, 0]]),
        (2.0, 90.0, [[0, 0, 1, 0, 0], [0, 0, 2, 0, 0], [0, 0, 1, 0, 0]]),
        (4.0, 180.0, [[0, 0, 0, 0, 0], [1, 2, 2, 2, 1], [0, 0, 0, 0, 0]]),
    ],
)
def test_motion_blur_draws_a_point_out_to_a_segment(
    length: float, angle: float, expected: list
) -> None:
    point = torch.zeros(1, 3, 9, 9, dtype=torch.float64)
    point[..., 4, 4] = 1
    middle = motion_blur(point, length, angle)[0, 1, 3:6, 2:7]  # y points down
    np.testing.assert_allclose(middle, np.array(expected) / np.sum(expected), atol=1e-9)


def test_motion_blur_at_an_angle_smears_along_it() -> None:
    point = torch.zeros(1, 3, 21, 21, dtype=torch.float64)
    point[..., 10, 10] = 1
    spread = motion_blur(point, 12.0, 30.0)[0, 0]
    at = torch.arange(21.0, dtype=torch.float64) - 10
    x, y = at.expand(21, 21), at[:, None].expand(21, 21)
    xx, yy, xy = ((spread * v).sum().item() for v in (x * x, y * y, x * y))
    assert np.degrees(np.arctan2(2 * xy, xx - yy) / 2) == pytest.approx(30, abs=2)
    assert xx + yy == pytest.approx(12**2 / 12 + 0.35, abs=0.15)  # a segment, and interpolation


@pytest.mark.parametrize("sigma", [0.02, 0.08])
def test_noise_has_the_spread_asked_for(sigma: float) -> None:
    grey = torch.full((4, 3, 64, 64), 0.5)
    noise = gaussian_noise(grey, sigma, seeded()) - grey
    assert noise.std().item() == pytest.approx(sigma, rel=0.03)
    assert abs(noise.mean().item()) < sigma / 50
    assert (noise[0] != noise[1]).float().mean() > 0.99, "every image has noise of its own"


def test_jpeg_is_pillows() -> None:
    image = (scene(1, 32, 16) * 255).round() / 255
    coded = io.BytesIO()
    pixels = (image[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    Image.fromarray(pixels).save(coded, "JPEG", quality=20)
    expected = np.asarray(Image.open(coded)) / 255
    np.testing.assert_allclose(jpeg(image, 20)[0].permute(1, 2, 0), expected, atol=1e-6)


def test_jpeg_errs_more_the_lower_the_quality() -> None:
    images = scene()
    errors = [(jpeg(images, q) - images).square().mean().item() for q in (95, 60, 30, 10, 3)]
    assert errors == sorted(errors)
    assert errors[-1] > 4 * errors[0]


def test_haze_by_hand() -> None:
    image = torch.tensor([0.0, 0.2, 0.9, 1.0]).view(1, 1, 2, 2).repeat(1, 3, 1, 1)
    half = haze(image, float(np.log(2)))  # half of the light comes through
    torch.testing.assert_close(half[0, 0].flatten(), torch.tensor([0.45, 0.55, 0.9, 0.95]))


# F_deg -----------------------------------------------------------------------------------------


def test_defaults_are_the_papers() -> None:
    """Section 4.3: U[2, 4] and U[2, 3.5]. On a constant image the exponent can be read back."""
    grey = torch.full((4000, 3, 1, 1), 0.5)
    exponents = SelfDegradation("illumination")(grey, seeded())[:, 0, 0, 0].log2().neg()
    assert 2 <= exponents.min() < 2.02
    assert 3.48 < exponents.max() <= 3.5
    assert exponents.mean().item() == pytest.approx(2.75, abs=0.03)

    images = noise_images(1, 64, 32).expand(16, -1, -1, -1)
    drawn = SelfDegradation()(images, seeded())
    candidates = torch.arange(1.2, 6, 0.01)  # which ratio gives this image? sizes are rounded
    at_ratio = downsample(images[:1].expand(len(candidates), -1, -1, -1), candidates)
    errors = torch.stack([(at_ratio - image).square().mean((1, 2, 3)) for image in drawn])
    assert errors.min(dim=1).values.max() < 1e-10
    ratios = candidates[errors.argmin(dim=1)]
    assert 2 - 0.05 <= ratios.min() < 2.4
    assert 3.6 < ratios.max() <= 4 + 0.05


def test_a_range_of_ones_own() -> None:
    images = scene()
    fixed = SelfDegradation("resolution", low=3.0, high=3.0)
    torch.testing.assert_close(fixed(images, seeded()), downsample(images, 3.0))
    from_low = SelfDegradation("illumination", low=3.5)(torch.full((9, 3, 1, 1), 0.5), seeded())
    torch.testing.assert_close(from_low, torch.full((9, 3, 1, 1), 0.5**3.5))


def test_lengths_scale_with_the_image() -> None:
    """A blur that covers a tenth of a small image covers a tenth of a large one."""
    small, large = scene(2, 64, 32), F.interpolate(scene(2, 64, 32), scale_factor=4.0)
    blur = SelfDegradation("blur", low=6.0, high=6.0)
    torch.testing.assert_close(blur(small, seeded()), gaussian_blur(small, 1.5))
    torch.testing.assert_close(blur(large, seeded()), gaussian_blur(large, 6.0))


def test_a_mixture_applies_its_kinds_in_the_given_order() -> None:
    images = scene()
    first_noise = SelfDegradation("noise+illumination")(images, seeded())
    first_gamma = SelfDegradation("illumination+noise")(images, seeded())
    random = seeded()
    step = SelfDegradation("illumination")(SelfDegradation("noise")(images, random), random)
    assert torch.equal(first_noise, step)
    assert (first_noise - first_gamma).abs().mean() > 0.01


def test_mistakes_are_named() -> None:
    with pytest.raises(DireidError, match=r"'fog' in 'blur\+fog'.*resolution.*haze"):
        SelfDegradation("blur+fog")
    with pytest.raises(DireidError, match="one kind"):
        SelfDegradation("blur+noise", low=1.0)
    with pytest.raises(DireidError, match=r"noise: strength from 0.5 to 0.1"):
        SelfDegradation("noise", low=0.5)
    with pytest.raises(DireidError, match="'haze' of a camera"):
        real_like(scene(1), 0.5, "haze", seeded())


# The drawn benchmark's camera ------------------------------------------------------------------


@pytest.mark.parametrize("kind", CAMERAS)
def test_real_like_keeps_shape_and_range_and_follows_its_generator(kind: str) -> None:
    images, level = scene(), torch.tensor([0.0, 0.3, 0.7, 1.0])
    degraded = real_like(images, level, kind, seeded(1))
    assert degraded.shape == images.shape
    assert degraded.dtype == images.dtype
    assert 0 <= degraded.min() <= degraded.max() <= 1
    assert torch.equal(degraded, real_like(images, level, kind, seeded(1)))
    assert not torch.equal(degraded, real_like(images, level, kind, seeded(2)))


@pytest.mark.parametrize("kind", CAMERAS)
def test_real_like_is_worse_the_higher_the_level(kind: str) -> None:
    images = scene(16)
    errors = []
    for level in (0.0, 0.25, 0.5, 0.75, 1.0):
        degraded = real_like(images, level, kind, seeded())
        errors.append((degraded - images).abs().mean().item())
    assert errors == sorted(errors), errors
    assert errors[-1] > 1.5 * errors[0]
    assert errors[0] > 0.005, "level 0 is a camera too"


def test_real_like_does_what_no_single_self_degradation_does() -> None:
    """Down-sampling leaves a grey wall alone; a real camera adds noise and loses contrast."""
    grey = torch.full((8, 3, 64, 32), 0.8)
    noisy = real_like(grey, 0.5, "resolution", seeded())
    assert noisy.std(dim=(2, 3)).mean() > 0.005
    assert noisy.mean().item() < 0.78
    assert torch.allclose(SelfDegradation("resolution")(grey, seeded()), grey)

    dark = real_like(grey, 0.5, "illumination", seeded())
    colours = dark.mean(dim=(2, 3))  # gamma alone would leave the three channels equal
    assert (colours.max(dim=1).values - colours.min(dim=1).values).mean() > 0.02
    assert dark.std(dim=(2, 3)).mean() > 0.005


@pytest.mark.parametrize("kind", CAMERAS)
def test_real_like_moves_nothing(kind: str) -> None:
    """The centre of a bright square stays where it was, to a third of a pixel."""
    images = torch.full((32, 3, 64, 32), 0.2)
    images[:, :, 22:38, 9:21] = 0.9
    degraded = real_like(images, 0.6, kind, seeded()).mean(dim=(0, 1))
    weight = (degraded - degraded[:8].mean()).clamp_min(0)
    rows, columns = torch.arange(64.0) + 0.5, torch.arange(32.0) + 0.5
    assert (weight.sum(1) @ rows / weight.sum()).item() == pytest.approx(30, abs=0.35)
    assert (weight.sum(0) @ columns / weight.sum()).item() == pytest.approx(15, abs=0.35)


def test_every_knob_of_the_camera_turns() -> None:
    images = scene(2)
    for field in dataclasses.fields(RealLike):
        kind = "illumination" if field.name.startswith("dark") else "resolution"
        turned = dataclasses.replace(RealLike(), **{field.name: (field.default[1],) * 2})
        usual = real_like(images, 0.0, kind, seeded())
        assert not torch.equal(usual, real_like(images, 0.0, kind, seeded(), turned)), field.name
