"""MSMT17 (Wei et al., CVPR 2018): fifteen cameras on a campus, on four days (paper 4.1).

Both releases have the same images and lists; in the second, faces are masked. Training images are
those of list_train.txt and of list_val.txt, 32,621 together, as the paper counts them. The release
numbers the people of its training and its test images from 0 each: here test people count from
`FIRST_TEST_PERSON`.
"""

import os
import re
from pathlib import Path

from direid.data.files import decoded, elsewhere, hold, need, split_lines
from direid.data.records import PARTS, Benchmark, Record, answerable, only_split
from direid.errors import DireidError

WHAT = "MSMT17: 4,101 people, 126,441 images, 15 cameras; fixed split"
WHERE = "from its authors (Wei et al., CVPR 2018), on request, for research"
LAYOUT = (
    "ROOT/{train,test}/PPPP/*.jpg, or ROOT/{mask_train_v2,mask_test_v2}/PPPP/*.jpg, and "
    "ROOT/list_{train,val,query,gallery}.txt, of lines such as "
    "0000/0000_000_01_0303morning_0015_0.jpg 0"
)
RELEASES = (("train", "test"), ("mask_train_v2", "mask_test_v2"))
LISTS = {
    "train": ("list_train.txt", "list_val.txt"),
    "query": ("list_query.txt",),
    "gallery": ("list_gallery.txt",),
}
LINE = re.compile(r"(\d+/\d+_\d+_(\d+)_\S+) (\d+)")
FIRST_TEST_PERSON = 10_000
OFFICIAL = {
    "images in list_train.txt": 30_248,
    "images in list_val.txt": 2_373,
    "images in list_query.txt": 11_659,
    "images in list_gallery.txt": 82_161,
    "training people": 1_041,
    "query people": 3_060,
    "gallery people": 3_060,
    "cameras": 15,
}


def load(root: Path, seed: int = 0, split: int = 0) -> Benchmark:
    """The official split, whatever the seed: 32,621 training, 11,659 query, 82,161 gallery."""
    only_split("msmt17", split)
    parts = _parts(root)
    query, notes = answerable(parts["query"], parts["gallery"])
    return Benchmark("msmt17", parts["train"], query, parts["gallery"], "all_shots", notes)


def check(root: Path, seed: int = 0) -> list[str]:
    """Hold the counts against the published ones and decode every image."""
    parts = _parts(root)
    return [
        decoded([record for part in PARTS for record in parts[part]]),
        "1,041 people to train on, 3,060 to test on, 15 cameras, as published",
        *split_lines(load(root)),
    ]


def _parts(root: Path) -> dict[str, tuple[Record, ...]]:
    """The records of each part; lists of wrong length and files that are not there are refused."""
    release = next((r for r in RELEASES if all((root / f).is_dir() for f in r)), None)
    if release is None:
        wrong = next((hint for r in RELEASES if (hint := elsewhere(root, r))), "")
        need(root, RELEASES[0], LAYOUT + wrong)
    need(root, [name for names in LISTS.values() for name in names], LAYOUT)
    folders = dict(zip(PARTS, (release[0], release[1], release[1]), strict=True))
    parts: dict[str, tuple[Record, ...]] = {}
    counts: dict[str, int] = {}
    for part, names in LISTS.items():
        first = 0 if part == "train" else FIRST_TEST_PERSON
        lists = {name: _listed(root, name, folders[part], first) for name in names}
        counts |= {f"images in {name}": len(records) for name, records in lists.items()}
        parts[part] = tuple(record for records in lists.values() for record in records)
        word = "training" if part == "train" else part
        counts[f"{word} people"] = len({r.pid for r in parts[part]})
    counts["cameras"] = len({r.camid for records in parts.values() for r in records})
    hold(root, counts, OFFICIAL, "a list file is cut short or changed; unpack the release again")
    for folder in set(release):
        _refuse_missing(root, folder, parts)
    return parts


def _listed(root: Path, name: str, folder: str, first: int) -> list[Record]:
    records = []
    for line in (root / name).read_text(encoding="utf-8").splitlines():
        match = LINE.fullmatch(line.strip())
        if not match:
            raise DireidError(f"{root / name}: line {line[:80]!r}; expected {LAYOUT}")
        stored = f"{folder}/{match[1]}"
        records.append(Record(stored, root / stored, first + int(match[3]), int(match[2])))
    return records


def _refuse_missing(root: Path, folder: str, parts: dict[str, tuple[Record, ...]]) -> None:
    """See that the listed images are there, by a look into each person's folder."""
    there = {
        f"{folder}/{person.name}/{name}"
        for person in (root / folder).iterdir()
        if person.is_dir()
        for name in os.listdir(person)
    }
    for part, records in parts.items():
        listed = [r.name for r in records if r.name.startswith(f"{folder}/")]
        if missing := [name for name in listed if name not in there]:
            raise DireidError(
                f"{root / missing[0]}: no such file; of the {len(listed):,} images that "
                f"{' and '.join(LISTS[part])} list, {len(missing):,} are missing; unpack the "
                "release again"
            )
