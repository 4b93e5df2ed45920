"""MLR-CUHK03: CUHK03 with one camera's images made small (paper 4.1, after SING, Jiao et al. 2018).

CUHK03 (Li et al., CVPR 2014) has 1,467 people, each seen by one of five pairs of cameras, up to
five images in each view; here the 14,097 images that a detector cropped, as in the paper. Which of
the six physical cameras took a view is not published, so `camid` is the view, 1 or 2. Each image of
view 1 is down-sampled as in MLR-VIPeR, and view 1 holds the queries.

The release brings 20 sets of 100 test people: they are the splits 0-19, and the seed decides the
ratios only. A folder of extracted images has no such sets; its test people are drawn from the seed,
among those with images in both views.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from direid.data.cross import cross
from direid.data.files import decoded, elsewhere, hold, image_files, need, split_lines
from direid.data.records import Benchmark, Record, answerable, shuffled, split_key
from direid.errors import DireidError

WHAT = "CUHK03, detected: 1,467 people, 14,097 images, one view of each made small"
WHERE = "from its authors (Li et al., CVPR 2014), on request, for research: cuhk03_release"
LAYOUT = (
    "ROOT/cuhk-03.mat, the release, or ROOT/images_detected/P_NNN_V_II.png, as 1_001_1_01.png: "
    "camera pair 1-5, person of that pair, view 1-2, image 01-10"
)
MAT, FOLDER = "cuhk-03.mat", "images_detected"
FILE_NAME = re.compile(r"([1-5])_(\d{3})_([12])_(\d{2})\.(?:png|jpe?g)", re.IGNORECASE)
LOW_RESOLUTION = 1  # camid
TEST_PEOPLE, TEST_SETS = 100, 20
OFFICIAL = {
    "images": 14_097,
    "people": 1_467,
    **{f"people of camera pair {i + 1}": n for i, n in enumerate((843, 440, 77, 58, 49))},
}
LABELLED = 14_096  # images of the same people, cropped by hand


def load(root: Path, seed: int = 0, split: int = 0) -> Benchmark:
    """1,367 people to train on, 100 to test on: LR queries of view 1, HR gallery of view 2.

    `pid` is 1000 x camera pair + person of the pair. `Record.level` is as in MLR-VIPeR.
    """
    records = _records(root)
    sets = _test_sets(root)
    if sets and split >= len(sets):
        raise DireidError(f"{root / MAT}: has test sets 0 to {len(sets) - 1}, not {split}")
    views = defaultdict(set)
    for record in records:
        views[record.pid].add(record.camid)
    both = [pid for pid, seen in views.items() if len(seen) == 2]
    drawn = shuffled(both, seed, split_key("mlr_cuhk03", split))[:TEST_PEOPLE]
    people = set(sets[split] if sets else drawn)
    images = Counter(r.pid for r in records)
    train = tuple(r for r in records if r.pid not in people and images[r.pid] > 1)
    test = tuple(r for r in records if r.pid in people)
    lonely = sum(count == 1 for pid, count in images.items() if pid not in people)
    notes = (f"left out: {lonely} training people with a single image",) if lonely else ()
    query, unanswered = answerable(test, test)
    cuhk03 = Benchmark("cuhk03", train, query, test, notes=(*notes, *unanswered))
    return cross(cuhk03, "resolution", [LOW_RESOLUTION], seed, name="mlr_cuhk03")


def check(root: Path, seed: int = 0) -> list[str]:
    """Hold the counts against the published ones and decode every image."""
    return [
        decoded(_records(root)),
        "1,467 people of 5 camera pairs, as published",
        f"test people from {f'the {TEST_SETS} sets of {MAT}' if _has_mat(root) else 'the seed'}",
        *split_lines(load(root, seed), seed),
    ]


def splits(root: Path) -> int:
    """How many splits are customary: the release's own 20, or 10 that are drawn."""
    return TEST_SETS if _has_mat(root) else 10


def _has_mat(root: Path) -> bool:
    return (root / MAT).is_file()


def _records(root: Path) -> list[Record]:
    """The clean images, sorted by name, the same from either source; wrong counts are refused."""
    if _has_mat(root):
        records = _from_mat(root / MAT)
    else:
        need(root, [FOLDER], LAYOUT + elsewhere(root, [MAT]))
        records = [_from_file(file) for file in image_files(root / FOLDER, LAYOUT)]
    pairs = Counter(pid // 1000 for pid in {r.pid for r in records})
    found = {"images": len(records), "people": pairs.total()}
    found |= {f"people of camera pair {pair}": count for pair, count in pairs.items()}
    labelled = found["images"] == LABELLED and found["people"] == OFFICIAL["people"]
    hold(
        root,
        found,
        OFFICIAL,
        "these seem to be the labelled images; the detected ones are wanted"
        if labelled
        else "files are missing or added; extract the release again",
    )
    return sorted(records, key=lambda r: r.name)


def _record(pair: int, person: int, view: int, number: int, image: Any) -> Record:
    name = f"{pair}_{person:03d}_{view}_{number:02d}.png"
    return Record(name, image, 1000 * pair + person, view)


def _from_file(file: Path) -> Record:
    match = FILE_NAME.fullmatch(file.name)
    if not match:
        raise DireidError(f"{file}: not a name of CUHK03; expected {LAYOUT}")
    return _record(*map(int, match.groups()), file)


def _from_mat(file: Path) -> list[Record]:
    """MATLAB's detected{pair}{person, number}, columns 1-5 of view 1, 6-10 of view 2.

    HDF5 has every array the other way round: `detected` is (1, 5), a pair's cells (10, people), an
    image (3, width, height). A cell without image is stored as its two sizes.
    """
    records = []
    with _opened(file) as mat:
        for pair, cells in enumerate(_held(mat, "detected")):
            for column, person in np.ndindex(cells.shape):
                if cells[column, person] and mat[cells[column, person]].ndim == 3:
                    image = partial(_image, file, pair, person, column)
                    view = 1 if column < 5 else 2
                    records.append(_record(pair + 1, person + 1, view, column + 1, image))
    return records


def _image(file: Path, pair: int, person: int, column: int) -> np.ndarray:
    """One image, uint8 (H, W, 3); opens the file anew, for it cannot be shared with processes."""
    with _opened(file) as mat:
        cells = mat[np.ravel(mat["detected"][()])[pair]]
        return np.ascontiguousarray(mat[cells[column, person]][()].T)


def _test_sets(root: Path) -> list[list[int]]:
    """The pids of each test set of the release; none without its .mat."""
    if not _has_mat(root):
        return []
    with _opened(root / MAT) as mat:
        sets = [[int(1000 * pair + person) for pair, person in t.T] for t in _held(mat, "testsets")]
    sizes = sorted({len(set(people)) for people in sets})
    if len(sets) != TEST_SETS or sizes != [TEST_PEOPLE]:
        raise DireidError(
            f"{root / MAT}: found {len(sets)} test sets of {', '.join(map(str, sizes))} people; "
            f"expected {TEST_SETS} of {TEST_PEOPLE}"
        )
    return sets


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """The release's file as an h5py.File; whatever is wrong with it becomes one line."""
    try:
        import h5py
    except ImportError:
        raise DireidError(
            f"{file}: reading it needs h5py: pip install h5py, or extract the images to {FOLDER}"
        ) from None
    try:
        with h5py.File(file, "r") as mat:
            yield mat
    except Exception as error:  # a dozen kinds, as with damaged images
        reason = " ".join(str(error).split())
        raise DireidError(
            f"{file}: damaged, or not the release's MATLAB v7.3 file ({reason}); download it again"
        ) from error


def _held(mat: Any, name: str) -> list[np.ndarray]:
    """The contents of the cell array `name`."""
    return [mat[reference][()] for reference in np.ravel(mat[name][()])]
