"""A person's own images, or what `built` wrote.

- ROOT/train/0007_c2_000153.jpg: person 7, camera 2, and anything after that;
- ROOT/query/...: images to search for;
- ROOT/gallery/...: images to search in.
"""

import re
from pathlib import Path

from direid.data import built
from direid.data.built import write as write  # `load` reads it
from direid.data.files import decoded, image_files, need, split_lines
from direid.data.records import PARTS, Benchmark, Record, only_split
from direid.errors import DireidError

WHAT = "your own images, or what `direid data build` wrote"
WHERE = "your own"
LAYOUT = "ROOT/{train,query,gallery}/PID_cCAM_anything.jpg (or .png, .bmp ...), as 0007_c2_153.jpg"
FILE_NAME = re.compile(r"(\d+)_c(\d+)(\D.*)?\.\w+")
FORMER = "split.json"  # which builds of direid 0.1.0 held


def load(root: Path, split: int = 0) -> Benchmark:
    """The images of ROOT/train, ROOT/query and ROOT/gallery; the folders themselves are the split.

    What `direid data build` wrote gives the benchmark that was written: name, splits, levels, hash.
    """
    if built.is_built(root):
        return built.load(root, split)
    need(root, PARTS, LAYOUT)
    if (root / FORMER).exists():
        raise DireidError(
            f"{root / FORMER}: of an earlier direid; build it again, or delete this file to use "
            "the images without it"
        )
    only_split("folder", split)
    files = {part: image_files(root / part, LAYOUT) for part in PARTS}
    records = {part: tuple(map(_record, files[part])) for part in PARTS}
    try:
        return Benchmark("folder", **records)
    except DireidError as error:
        raise DireidError(f"{root}: {error}") from None


def check(root: Path) -> list[str]:
    """Decode every image and say what was found; anything damaged or inconsistent is refused."""
    if built.is_built(root):
        return built.check(root)
    benchmark = load(root)
    return [
        decoded([record for part in PARTS for record in getattr(benchmark, part)]),
        "true degradation levels unknown",
        *split_lines(benchmark),
    ]


def splits(root: Path) -> int:
    """How many there are."""
    return built.splits(root) if built.is_built(root) else 1


def _record(file: Path) -> Record:
    match = FILE_NAME.fullmatch(file.name)
    if not match:
        raise DireidError(f"{file}: the name tells no person and camera; expected {LAYOUT}")
    return Record(file.name, file, int(match[1]), int(match[2]))
