"""Market-1501 (Zheng et al., ICCV 2015): six cameras in front of a supermarket.

Of the 19,732 files of bounding_box_test, the 3,819 that begin with -1 are badly cropped images that
the protocol neither rewards nor punishes: they are dropped. The 2,793 that begin with 0000 are
false alarms of the detector; they stay in the gallery, as person 0, whom no query shows.
"""

import re
from collections import Counter
from pathlib import Path

from direid.data.files import decoded, hold, image_files, need, split_lines
from direid.data.records import PARTS, Benchmark, Record, answerable, only_split
from direid.errors import DireidError

WHAT = "Market-1501: 1,501 people, 32,217 images, 6 cameras; fixed split"
WHERE = "from its authors (Zheng et al., ICCV 2015), for research: Market-1501-v15.09.15"
LAYOUT = (
    "ROOT/{bounding_box_train,query,bounding_box_test}/PPPP_cCsS_FFFFFF_NN.jpg, as "
    "0002_c1s1_000451_03.jpg"
)
FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
FILE_NAME = re.compile(r"(-1|\d{4})_c(\d)s\d\w*(\.jpe?g)+", re.IGNORECASE)
JUNK, DISTRACTOR = -1, 0
OFFICIAL = {
    "training images": 12_936,
    "training people": 751,
    "query images": 3_368,
    "query people": 750,
    "gallery images": 15_913,
    "gallery people": 750,
    "distractors": 2_793,
    "cameras": 6,
}


def load(root: Path, seed: int = 0, split: int = 0) -> Benchmark:
    """The official split, whatever the seed: 12,936 training, 3,368 query, 15,913 gallery images.

    Everyone keeps the number and the cameras of the file names.
    """
    only_split("market1501", split)
    parts, _ = _parts(root)
    query, notes = answerable(parts["query"], parts["gallery"])
    return Benchmark("market1501", parts["train"], query, parts["gallery"], "all_shots", notes)


def check(root: Path, seed: int = 0) -> list[str]:
    """Hold the counts against the published ones and decode every image that is used."""
    parts, junk = _parts(root)
    return [
        decoded([record for part in PARTS for record in parts[part]]),
        f"1,501 people, 6 cameras, as published; {OFFICIAL['distractors']:,} distractors in the "
        f"gallery, {junk:,} junk images dropped",
        *split_lines(load(root)),
    ]


def _parts(root: Path) -> tuple[dict[str, tuple[Record, ...]], int]:
    """The records of each part, and how many junk images there were; wrong counts are refused."""
    need(root, list(FOLDERS.values()), LAYOUT)
    parts = {
        part: [_record(f) for f in image_files(root / FOLDERS[part], LAYOUT)] for part in PARTS
    }
    junk = sum(r.pid == JUNK for r in parts["gallery"])
    parts["gallery"] = [r for r in parts["gallery"] if r.pid != JUNK]
    counts = {"cameras": len({r.camid for records in parts.values() for r in records})}
    for part, word in zip(PARTS, ("training", "query", "gallery"), strict=True):
        images = Counter(r.pid for r in parts[part])
        counts[f"{word} images"] = images.total()
        counts[f"{word} people"] = len(images.keys() - {DISTRACTOR})
    counts["distractors"] = sum(r.pid == DISTRACTOR for r in parts["gallery"])
    hold(root, counts, OFFICIAL, "files are missing or added; unpack the release again")
    return {part: tuple(records) for part, records in parts.items()}, junk


def _record(file: Path) -> Record:
    match = FILE_NAME.fullmatch(file.name)
    if not match:
        raise DireidError(f"{file}: not a name of Market-1501; expected {LAYOUT}")
    return Record(f"{file.parent.name}/{file.name}", file, int(match[1]), int(match[2]))
