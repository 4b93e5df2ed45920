"""Image records, the three parts of a benchmark, and the hash that names a split.

A re-ID benchmark is three lists of pedestrian images. The networks learn from the `train` people;
each `query` image is then searched for in the `gallery`, among people never seen in training.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from direid.errors import DireidError

PARTS = ("train", "query", "gallery")
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True, eq=False)  # eq=False: comparing two arrays gives an array, not an answer
class Record:
    """One image: its name within the data set, where its pixels are, who is on it, who took it."""

    name: str
    image: Path | np.ndarray  # a file, or uint8 (H, W, 3) RGB
    pid: int
    camid: int
    level: float | None = None  # true degradation in [0, 1], 0 = clean; None where nobody knows it


@dataclass(frozen=True, eq=False)
class Benchmark:
    """The train, query and gallery images of one split of one data set.

    Refuses what no score could be trusted on: an empty part, a person in both training and test, a
    training person with a single image, a query that nothing in the gallery can answer.
    """

    name: str
    train: tuple[Record, ...]
    query: tuple[Record, ...]
    gallery: tuple[Record, ...]
    protocol: str = "single_shot"

    def __post_init__(self) -> None:
        for part in PARTS:
            _check_part(self.name, part, getattr(self, part))
        test = {r.pid for r in self.query} | {r.pid for r in self.gallery}
        if leaked := sorted({r.pid for r in self.train} & test):
            raise DireidError(
                f"{self.name}: {_people(leaked)} in both the training and the test images; "
                "a person must be in one of them only"
            )
        images = Counter(r.pid for r in self.train)
        if lonely := sorted(pid for pid, count in images.items() if count < 2):
            raise DireidError(
                f"{self.name}: {_people(lonely)} with a single training image, at least 2 wanted"
            )
        _check_answerable(self)

    @property
    def people(self) -> int:
        """How many people there are to learn from."""
        return len({r.pid for r in self.train})

    @property
    def split_hash(self) -> str:
        """SHA-256 over (part, name, pid, camid) of every record: the same on every machine.

        It is blind to where the images lie and in which order they were listed, so two runs that
        print the same hash trained and tested on the same people, photographs and cameras.
        """
        lines = sorted(
            f"{part}\t{r.name}\t{int(r.pid)}\t{int(r.camid)}\n"
            for part in PARTS
            for r in getattr(self, part)
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def _check_part(benchmark: str, part: str, records: tuple[Record, ...]) -> None:
    if not records:
        raise DireidError(f"{benchmark}: the {part} part has no image, at least 1 is needed")
    name, count = Counter(r.name for r in records).most_common(1)[0]
    if count > 1:
        raise DireidError(f"{benchmark}: {count} images of the {part} part are named {name}")


def _check_answerable(benchmark: Benchmark) -> None:
    """A query is answered by another camera's image of the same person: see that there is one."""
    people = {r.pid for r in benchmark.query}
    if missing := sorted(people - {r.pid for r in benchmark.gallery}):
        raise DireidError(
            f"{benchmark.name}: {_people(missing)} of the {len(people)} query people without any "
            "gallery image"
        )
    cameras: dict[int, set[int]] = {}
    for record in benchmark.gallery:
        cameras.setdefault(record.pid, set()).add(record.camid)
    if alone := sorted({r.pid for r in benchmark.query if cameras[r.pid] == {r.camid}}):
        seen = sorted({r.camid for r in benchmark.query + benchmark.gallery})
        raise DireidError(
            f"{benchmark.name}: {_people(alone)} of the {len(people)} query people with gallery "
            "images from the query's own camera only, which evaluation leaves out (cameras in the "
            f"test images: {', '.join(map(str, seen))}); give each camera its own number"
        )


def _people(pids: list[int]) -> str:
    """'2 people (7, 9)', '1 person (7)': never a list that outgrows the line."""
    shown = ", ".join(map(str, pids[:5])) + (", ..." if len(pids) > 5 else "")
    return f"{len(pids)} {'person' if len(pids) == 1 else 'people'} ({shown})"


def read_image(record: Record) -> np.ndarray:
    """The record's pixels, uint8 (H, W, 3) RGB, as stored: nothing is resized here."""
    if isinstance(record.image, np.ndarray):
        image = record.image
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise DireidError(
                f"image {record.name}: {image.dtype} array of shape {image.shape}, expected uint8 "
                "(height, width, 3)"
            )
        return image
    try:
        with Image.open(record.image) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except Exception as error:  # Pillow's decoders raise a dozen kinds on a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DireidError(
            f"{record.image}: not a readable image ({reason}); replace or remove the file"
        ) from error


def image_files(folder: Path, layout: str) -> list[Path]:
    """The visible image files of `folder` by name; a missing folder or an empty file is refused."""
    if not folder.is_dir():
        found = "is a file, not a folder" if folder.exists() else "no such folder"
        raise DireidError(f"{folder}: {found}; expected {layout}")
    try:
        visible = sorted((f for f in folder.iterdir() if f.name[0] != "."), key=lambda f: f.name)
        files = [f for f in visible if f.suffix.lower() in IMAGE_SUFFIXES]
        empty = [f for f in files if f.stat().st_size == 0]
    except OSError as error:
        raise DireidError(f"{folder}: cannot be read ({error.strerror})") from error
    if empty:
        raise DireidError(
            f"{empty[0]}: empty image file ({len(empty)} such in the folder); replace or remove it"
        )
    return files


def contents(folder: Path) -> str:
    """What lies in an existing folder, in a few words for an error message."""
    entries = sorted(entry for entry in folder.iterdir() if entry.name[0] != ".")
    folders = [entry.name for entry in entries if entry.is_dir()]
    images = sum(entry.suffix.lower() in IMAGE_SUFFIXES for entry in entries)
    named = f" ({', '.join(folders[:5])}{', ...' if len(folders) > 5 else ''})" if folders else ""
    return f"{images} images, {len(folders)} folders{named}"


def draw(seed: int, *key: Hashable) -> int:
    """A 64-bit number that depends on (seed, key) alone.

    Splits are drawn by hashing and not by a random generator: NumPy's streams may change with its
    version, and a split that changed with it would quietly move test people into training.
    """
    text = "/".join(map(str, (int(seed), *key)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def shuffled(pids: Iterable[int], seed: int, name: str) -> list[int]:
    """The people in an order that depends on (who they are, seed, data set), not on the listing."""
    return sorted(pids, key=lambda pid: (draw(seed, name, pid), pid))


def split_table(benchmark: Benchmark) -> dict:
    """The split as plain values: what `save_split` writes and `split.json` holds."""
    return {
        "benchmark": benchmark.name,
        "protocol": benchmark.protocol,
        "hash": benchmark.split_hash,
    } | {
        part: [
            {
                "name": r.name,
                "pid": int(r.pid),
                "camid": int(r.camid),
                "level": None if r.level is None else float(r.level),
            }
            for r in getattr(benchmark, part)
        ]
        for part in PARTS
    }


def save_split(benchmark: Benchmark, path: Path) -> None:
    """Write the split as JSON, whole or not at all: a reader never sees half a file."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(split_table(benchmark), indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)


def split_lines(benchmark: Benchmark, seed: int | None = None) -> list[str]:
    """Images, people and cameras of each part, then the hash: what `direid data check` prints."""
    lines = []
    for part in PARTS:
        records = getattr(benchmark, part)
        people, cameras = {r.pid for r in records}, sorted({r.camid for r in records})
        lines.append(
            f"{part}: {len(records):,} images of {len(people)} people, "
            f"camera{'s' if len(cameras) > 1 else ''} {', '.join(map(str, cameras))}"
        )
    drawn = "" if seed is None else f" (seed {seed})"
    return [*lines, f"split hash{drawn}: {benchmark.split_hash}"]
