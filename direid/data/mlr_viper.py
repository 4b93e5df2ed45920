"""MLR-VIPeR: VIPeR with one camera's images made small (paper 4.1, after SING, Jiao et al. 2018).

VIPeR (Gray et al. 2007) has 632 people, one 48 x 128 image in each of two cameras. The paper says
«each image from one camera is down-sampled with a ratio randomly picked from {1/2, 1/3, 1/4}»; the
small images are the queries. It leaves three things open. Our reading, the same for all people,
training people included:

- which camera: `cam_a`, whose images are VIPeR's customary queries;
- the ratio is drawn for each image from (seed, file name), so it survives any change of the split;
- how: as `cross` does it, so that images are 24 x 64, 16 x 43 or 12 x 32.
"""

import re
from pathlib import Path

from direid.data.cross import RATIOS, cross
from direid.data.files import image_files, need, split_lines
from direid.data.records import Benchmark, Record, read_image, shuffled, split_key
from direid.errors import DireidError

WHAT = "VIPeR: 632 people, 1,264 images, one camera down-sampled by 1/2, 1/3 or 1/4"
WHERE = "from its authors (Gray et al., PETS 2007), for research"
LAYOUT = "ROOT/cam_a/PPP_ANGLE.bmp and ROOT/cam_b/PPP_ANGLE.bmp, as cam_a/000_45.bmp"
CAMERAS = {"cam_a": 1, "cam_b": 2}  # camids
LOW_RESOLUTION = "cam_a"
PEOPLE = 632
FILE_NAME = re.compile(r"(\d{3})_\d{1,3}\.bmp", re.IGNORECASE)


def load(root: Path, seed: int = 0, split: int = 0) -> Benchmark:
    """316 people to train on, 316 to test on: 632 training images, 316 LR queries, 316 HR gallery.

    People are a pure function of (file names, seed, split), ratios of (file names, seed).
    `Record.level` is 0 for the untouched images, then 1/3, 2/3 and 1 for the ratios 1/2, 1/3, 1/4.
    """
    files = _files(root)
    order = shuffled(files[LOW_RESOLUTION], seed, split_key("mlr_viper", split))
    half = len(order) // 2
    train, test = (
        tuple(
            Record(f"{camera}/{files[camera][pid].name}", files[camera][pid], pid, camid)
            for pid in sorted(pids)
            for camera, camid in CAMERAS.items()
        )
        for pids in (order[:half], order[half:])
    )
    viper = Benchmark("viper", train, query=test, gallery=test)
    return cross(viper, "resolution", [CAMERAS[LOW_RESOLUTION]], seed, name="mlr_viper")


def check(root: Path, seed: int = 0) -> list[str]:
    """Decode all 1,264 images and say what was found; anything missing or damaged is refused."""
    for people in _files(root).values():
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


def _files(root: Path) -> dict[str, dict[int, Path]]:
    """{camera: {pid: file}} of all 632 people; an incomplete folder is refused."""
    need(root, list(CAMERAS), LAYOUT)
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
