"""MLR-VIPeR: VIPeR with one camera's images made small (paper 4.1, after SING, Jiao et al. 2018).

VIPeR (Gray et al. 2007) has 632 people, one 48 x 128 image in each of two cameras. The paper says
«each image from one camera is down-sampled with a ratio randomly picked from {1/2, 1/3, 1/4}»; the
small images are the queries. It leaves three things open. Our reading, the same for all people,
training people included:

- which camera: `cam_a`, whose images are VIPeR's customary queries;
- the ratio is drawn for each image from (seed, file name), so it survives any change of the split;
- the down-sampling is bicubic with antialiasing, and the image *stays* small (24 x 64, 16 x 43 or
  12 x 32): enlarging it again is the loader's business, as it is for a truly distant person.
"""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from direid.data.records import (
    Benchmark,
    Record,
    contents,
    draw,
    image_files,
    read_image,
    shuffled,
    split_lines,
)
from direid.errors import DireidError

LAYOUT = "ROOT/cam_a/PPP_ANGLE.bmp and ROOT/cam_b/PPP_ANGLE.bmp, as cam_a/000_45.bmp"
CAMERAS = {"cam_a": 1, "cam_b": 2}  # camids
LOW_RESOLUTION = "cam_a"
RATIOS = (2, 3, 4)
PEOPLE = 632
FILE_NAME = re.compile(r"(\d{3})_\d{1,3}\.bmp", re.IGNORECASE)


def load(root: Path, seed: int = 0) -> Benchmark:
    """316 people to train on, 316 to test on: 632 training images, 316 LR queries, 316 HR gallery.

    People and ratios are pure functions of (file names, seed). `Record.level` is (ratio - 1) / 3:
    0 for the untouched images, then 1/3, 2/3 and 1 for the ratios 1/2, 1/3 and 1/4.
    """
    files = _files(root)
    order = shuffled(files[LOW_RESOLUTION], seed, "mlr_viper")
    half = len(order) // 2

    def records(pids: list[int], *cameras: str) -> tuple[Record, ...]:
        return tuple(
            _record(camera, files[camera][pid], pid, seed)
            for pid in sorted(pids)
            for camera in cameras
        )

    high_resolution = next(camera for camera in CAMERAS if camera != LOW_RESOLUTION)
    return Benchmark(
        "mlr_viper",
        train=records(order[:half], *CAMERAS),
        query=records(order[half:], LOW_RESOLUTION),
        gallery=records(order[half:], high_resolution),
    )


def shrink(image: np.ndarray, ratio: int) -> np.ndarray:
    """Down-sample uint8 (H, W, 3) to (H / ratio, W / ratio, 3), rounded; bicubic, antialiased."""
    height, width = image.shape[:2]
    size = (max(1, round(width / ratio)), max(1, round(height / ratio)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def check(root: Path, seed: int = 0) -> list[str]:
    """Decode all 1,264 images and say what was found; anything missing or damaged is refused."""
    files = _files(root)
    for people in files.values():
        for pid, file in people.items():
            height, width = read_image(Record(file.name, file, pid, 0)).shape[:2]
            if (width, height) != (48, 128):
                raise DireidError(f"{file}: {width} x {height} px, expected 48 x 128")
    benchmark = load(root, seed)
    levels = [r.level for r in benchmark.train + benchmark.query if r.level]
    drawn = ", ".join(f"1/{q} for {levels.count((q - 1) / 3)}" for q in RATIOS)
    return [
        "1,264 images of 632 people, one in each camera, 48 x 128 px, as published; all decode",
        f"{LOW_RESOLUTION} down-sampled by {drawn} images (seed {seed})",
        *split_lines(benchmark, seed),
    ]


def _record(camera: str, file: Path, pid: int, seed: int) -> Record:
    name = f"{camera}/{file.name}"
    record = Record(name, file, pid, CAMERAS[camera], level=0.0)
    if camera != LOW_RESOLUTION:
        return record
    ratio = RATIOS[draw(seed, "mlr_viper ratio", name) % len(RATIOS)]
    small = shrink(read_image(record), ratio)
    return Record(name, small, pid, CAMERAS[camera], level=(ratio - 1) / 3)


def _files(root: Path) -> dict[str, dict[int, Path]]:
    """{camera: {pid: file}} of all 632 people; an incomplete folder is refused."""
    if root.is_dir() and not all((root / camera).is_dir() for camera in CAMERAS):
        raise DireidError(f"{root}: found {contents(root)}; expected {LAYOUT}")
    files: dict[str, dict[int, Path]] = {}
    for camera in CAMERAS:
        files[camera] = {}
        for file in image_files(root / camera, LAYOUT):
            match = FILE_NAME.fullmatch(file.name)
            if not match:
                raise DireidError(f"{file}: not a name of VIPeR; expected {LAYOUT}")
            if other := files[camera].get(int(match[1])):
                raise DireidError(f"{file}: a second image of {other.name}'s person; expected one")
            files[camera][int(match[1])] = file
    a, b = (set(files[camera]) for camera in CAMERAS)
    if a != b or len(a) != PEOPLE:
        lone = f", e.g. person {min(a ^ b):03d} in one camera only" if a ^ b else ""
        raise DireidError(
            f"{root}: found {len(a)} images in cam_a and {len(b)} in cam_b{lone}; expected "
            f"{PEOPLE} people with one image in each, laid out as {LAYOUT}"
        )
    return files
