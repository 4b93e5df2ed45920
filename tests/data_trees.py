"""Small trees of images, laid out as the data sets are, and what their tests share."""

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from direid.data.records import PARTS, Benchmark, read_image

ONE_CAMERA = set(range(3, 72, 3)) - {72, 69}  # any 22 of the 72
RATIO_SIZES = {1: (128, 48), 2: (64, 24), 3: (43, 16), 4: (32, 12)}  # (height, width)


def encoded(width: int, height: int, kind: str) -> bytes:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def make_caviar(root: Path) -> Path:
    near, far = encoded(40, 100, "JPEG"), encoded(20, 50, "JPEG")
    root.mkdir()
    for pid in range(1, 73):
        for number in range(1, 11 if pid in ONE_CAMERA else 21):
            (root / f"{pid:04d}{number:03d}.jpg").write_bytes(near if number <= 10 else far)
    return root


def make_viper(root: Path) -> Path:
    image = encoded(48, 128, "BMP")
    for camera, angle in (("cam_a", 0), ("cam_b", 90)):
        (root / camera).mkdir(parents=True)
        for person in range(632):
            # as in the real set, numbers have gaps
            (root / camera / f"{person + person // 100:03d}_{angle}.bmp").write_bytes(image)
    return root


def real(variable: str):
    value = os.environ.get(variable)
    return pytest.param(
        value and Path(value),
        marks=pytest.mark.skipif(
            not value, reason=f"{variable} names no folder of the real images"
        ),
        id="real",
    )


def pids(records) -> set[int]:
    return {r.pid for r in records}


def names(benchmark: Benchmark) -> dict[str, list[str]]:
    return {part: [r.name for r in getattr(benchmark, part)] for part in PARTS}


def one_line(error: pytest.ExceptionInfo) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def equal(a: Benchmark, b: Benchmark) -> None:
    assert (a.name, a.protocol, a.split_hash) == (b.name, b.protocol, b.split_hash)
    assert names(a) == names(b)
    for part in PARTS:
        for r, s in zip(getattr(a, part), getattr(b, part), strict=True):
            assert (r.pid, r.camid, r.level) == (s.pid, s.camid, s.level)
            assert np.array_equal(read_image(r), read_image(s))


def all_bytes(root: Path) -> dict[str, bytes]:
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


OWN = {
    "train": ["0007_c1_a.jpg", "0007_c2_b.jpg", "12_c1.png", "0012_c2s1_000451_03.jpg"],
    "query": ["0003_c2_x.bmp"],
    "gallery": ["0003_c1_x.jpeg", "0004_c1_x.jpg"],
}
KINDS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP"}


def make_own(root: Path) -> Path:
    for part, files in OWN.items():
        (root / part).mkdir(parents=True)
        for i, file in enumerate(files):
            (root / part / file).write_bytes(encoded(20 + i, 50, KINDS[Path(file).suffix]))
    return root
