"""Image records, the three parts of a benchmark, and the hash that names a split.

A re-ID benchmark is three lists of pedestrian images. The networks learn from the `train` people;
each `query` image is then searched for in the `gallery`, among people never seen in training.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from direid.errors import DireidError

PARTS = ("train", "query", "gallery")
PROTOCOLS = ("single_shot", "all_shots")  # paper 4.1: MLR sets and CAVIAR; MSMT17
FORMAT = 1  # of the JSON files that say who trains and who tests


@dataclass(frozen=True, eq=False)  # eq=False: comparing two arrays gives an array, not an answer
class Record:
    """One image: its name within the data set, where its pixels are, who is on it, who took it."""

    name: str
    # a file, uint8 (H, W, 3) RGB, or a function that makes such an array anew at each call
    image: Path | np.ndarray | Callable[[], np.ndarray]
    pid: int
    camid: int
    level: float | None = None  # true degradation in [0, 1], 0 = clean; None where nobody knows it
    labelled: bool = True  # False: a training may see the image, but not who is on it


@dataclass(frozen=True, eq=False)
class Benchmark:
    """The train, query and gallery images of one split of one data set.

    Refuses what no score could be trusted on: an empty part, a person in both training and test, a
    training person with a single image, a query that nothing in the gallery can answer.

    `protocol` is how the benchmark's scores are customarily computed: "single_shot", against one
    random gallery image of each person, or "all_shots", against the whole gallery.
    """

    name: str
    train: tuple[Record, ...]
    query: tuple[Record, ...]
    gallery: tuple[Record, ...]
    protocol: str = "single_shot"
    notes: tuple[str, ...] = ()  # what was left out or changed, for people who read the scores

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise DireidError(
                f"{self.name}: protocol {self.protocol!r}, expected {' or '.join(PROTOCOLS)}"
            )
        for part in PARTS:
            _check_part(self.name, part, getattr(self, part))
        test = {r.pid for r in self.query} | {r.pid for r in self.gallery}
        if leaked := sorted({r.pid for r in self.train} & test):
            raise DireidError(
                f"{self.name}: {_people(leaked)} in both the training and the test images; "
                "a person must be in one of them only"
            )
        if not self.labelled:
            raise DireidError(f"{self.name}: no training image has a label")
        images = Counter(r.pid for r in self.train)
        if lonely := sorted(pid for pid, count in images.items() if count < 2):
            raise DireidError(
                f"{self.name}: {_people(lonely)} with a single training image, at least 2 wanted"
            )
        _check_answerable(self)

    @property
    def labelled(self) -> tuple[Record, ...]:
        """The training images from which identification may learn."""
        return tuple(r for r in self.train if r.labelled)

    @property
    def people(self) -> int:
        """How many people there are to tell apart in training."""
        return len({r.pid for r in self.train if r.labelled})

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


def answerable(
    query: Sequence[Record], gallery: Sequence[Record]
) -> tuple[tuple[Record, ...], tuple[str, ...]]:
    """The queries that have a gallery image by another camera, and a note on those that have none.

    Published protocols skip the others when they compute a score; here they never enter.
    """
    cameras: dict[int, set[int]] = {}
    for record in gallery:
        cameras.setdefault(record.pid, set()).add(record.camid)
    kept = tuple(r for r in query if cameras.get(r.pid, set()) - {r.camid})
    if len(kept) == len(query):
        return kept, ()
    lost = sorted({r.pid for r in query} - {r.pid for r in kept})
    return kept, (
        f"left out: {len(query) - len(kept)} of {len(query)} queries without a gallery image of "
        f"their person by another camera, {_people(lost)} altogether",
    )


def _people(pids: list[int]) -> str:
    """'2 people (7, 9)', '1 person (7)': never a list that outgrows the line."""
    shown = ", ".join(map(str, pids[:5])) + (", ..." if len(pids) > 5 else "")
    return f"{len(pids)} {'person' if len(pids) == 1 else 'people'} ({shown})"


def read_image(record: Record) -> np.ndarray:
    """The record's pixels, uint8 (H, W, 3) RGB, as stored: nothing is resized here."""
    image = record.image() if callable(record.image) else record.image
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise DireidError(
                f"image {record.name}: {image.dtype} array of shape {image.shape}, expected uint8 "
                "(height, width, 3)"
            )
        return image
    try:
        with Image.open(image) as stored:
            return np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    except Exception as error:  # Pillow's decoders raise a dozen kinds on a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DireidError(
            f"{image}: not a readable image ({reason}); replace or remove the file"
        ) from error


def hide_labels(
    benchmark: Benchmark, people: int = 0, cameras: Sequence[int] = (), everywhere: int = 0
) -> Benchmark:
    """The same benchmark, with labels on a part of its training images only.

    Args:
        benchmark: the whole.
        people: how many training people are labelled at all; 0: all.
        cameras: whose images of them are labelled; none named: all.
        everywhere: how many of those people are labelled in all cameras, whatever ``cameras`` says.

    Raises:
        DireidError: more people than there are, or a camera that there is not.
    """
    known = shuffled({r.pid for r in benchmark.train}, 0, benchmark.name)
    for asked in (people, everywhere):
        if asked > (people or len(known)) or asked > len(known):
            raise DireidError(
                f"{benchmark.name}: labels of {asked} people were asked for, there are "
                f"{min(people or len(known), len(known))}"
            )
    there = {r.camid for r in benchmark.train}
    if strange := set(cameras) - there:
        raise DireidError(
            f"{benchmark.name}: labels.cameras names camera {min(strange)}, the training images "
            f"have {', '.join(map(str, sorted(there)))}"
        )
    known = known[: people or None]
    some, whole = set(known), set(known[:everywhere])
    train = tuple(
        replace(r, labelled=r.pid in whole or (r.pid in some and r.camid in (cameras or there)))
        for r in benchmark.train
    )
    return replace(benchmark, train=train)


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


def split_key(name: str, split: int) -> str:
    """The name under which split number `split` of a data set is drawn; `shuffled` wants it."""
    return name if split == 0 else f"{name} split {split}"


def only_split(name: str, split: int) -> None:
    """Refuse any split but 0 of a data set whose split is fixed."""
    if split != 0:
        raise DireidError(f"{name}: split {split} was asked for; its split is fixed, expected 0")


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
    """Write the split as JSON: each part's images with their people, cameras and levels."""
    write_json(split_table(benchmark), path)


def splits_table(benchmarks: Sequence[Benchmark], seed: int | None) -> dict:
    """Several splits of one data set, by the names of their images: what `splits.json` holds."""
    first = benchmarks[0]
    return {
        "format": FORMAT,
        "benchmark": first.name,
        "protocol": first.protocol,
        "seed": seed,
        "splits": [
            {"hash": b.split_hash, "notes": list(b.notes)}
            | {part: [r.name for r in getattr(b, part)] for part in PARTS}
            for b in benchmarks
        ],
    }


def write_json(table: dict, path: Path) -> None:
    """Write JSON, whole or not at all: a reader never sees half a file."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)
