"""CAVIAR4REID (Cheng et al. 2011): genuine low resolution in a shopping centre (paper 4.1).

The files carry no camera. Of the 50 people with 20 images, 001-010 come from the camera that looks
along the corridor and 011-020 from the one that looks across it, which stands farther away: the
other 22 people have 10 images from one camera and are dropped, as in the paper.

What the numbering hides, and what every published score on this split inherits:

- 0029002 and 0029003 are the same picture;
- people 0020 and 0050 walked past the far camera: their images 011-020 are the *larger* ones;
- by their backgrounds 0009019, 0009020, 0062019 and 0062020 are the near camera's and 0062010 is
  the far one's. They stay where their number puts them, since the paper's 250 queries and 250
  gallery images need 10 of each person.
"""

import re
from pathlib import Path

import numpy as np

from direid.data.files import contents, elsewhere, image_files, split_lines
from direid.data.records import Benchmark, Record, read_image, shuffled, split_key
from direid.errors import DireidError

WHAT = "CAVIAR4REID: 50 people, 1,000 images, a near and a far camera"
WHERE = "from its authors (Cheng et al., BMVC 2011), for research"
LAYOUT = "ROOT/PPPPNNN.jpg, as 0003011.jpg: person 0001-0072, image 001-010 or 001-020"
NEAR, FAR = 1, 2  # camids; FAR holds the low-resolution queries
FILE_NAME = re.compile(r"(\d{4})(\d{3})\.jpe?g", re.IGNORECASE)


def load(root: Path, seed: int = 0, split: int = 0) -> Benchmark:
    """25 people to train on (500 images), 25 to test on: 250 LR queries, 250 HR gallery images.

    The split is a pure function of the file names, `seed` and its number `split`. The degradation
    level is unknown.
    """
    people = _two_camera_people(_people(root))
    order = shuffled(people, seed, split_key("caviar", split))
    half = len(order) // 2

    def records(pids: list[int], cameras: tuple[int, ...]) -> tuple[Record, ...]:
        return tuple(
            Record(file.name, file, pid, camid)
            for pid in sorted(pids)
            for number, file in sorted(people[pid].items())
            if (camid := NEAR if number <= 10 else FAR) in cameras
        )

    return Benchmark(
        "caviar",
        train=records(order[:half], (NEAR, FAR)),
        query=records(order[half:], (FAR,)),
        gallery=records(order[half:], (NEAR,)),
    )


def check(root: Path, seed: int = 0) -> list[str]:
    """Decode all 1,220 images and say what was found; anything missing or damaged is refused."""
    people = _people(root)
    heights = {  # of every image, the 22 dropped people's too
        pid: [read_image(Record(file.name, file, pid, 0)).shape[0] for _, file in sorted(p.items())]
        for pid, p in people.items()
    }
    two = [np.mean(np.reshape(heights[pid], (2, 10)), axis=1) for pid in _two_camera_people(people)]
    near, far = np.mean(two, axis=0)
    smaller = sum(f < n for n, f in two)
    return [
        "1,220 images of 72 people, as published; every image decodes",
        "50 people with 20 images (both cameras), 22 with 10 (one camera, dropped)",
        f"mean height {near:.0f} px in images 001-010, {far:.0f} px in 011-020; "
        f"011-020 are the smaller ones for {smaller} of the 50 people",
        *split_lines(load(root, seed), seed),
    ]


def _people(root: Path) -> dict[int, dict[int, Path]]:
    """{pid: {image number: file}} of all 72 people; an incomplete folder is refused."""
    people: dict[int, dict[int, Path]] = {}
    files = image_files(root, LAYOUT)
    for file in files:
        match = FILE_NAME.fullmatch(file.name)
        if not match:
            raise DireidError(f"{file}: not a name of CAVIAR4REID; expected {LAYOUT}")
        people.setdefault(int(match[1]), {})[int(match[2])] = file
    numbers = {pid: sorted(images) for pid, images in people.items()}
    both = sum(n == list(range(1, 21)) for n in numbers.values())
    one = sum(n == list(range(1, 11)) for n in numbers.values())
    if (len(files), len(people), both, one) != (1220, 72, 50, 22):
        odd = sorted(pid for pid, n in numbers.items() if len(n) not in (10, 20) or n[-1] != len(n))
        hint = f", e.g. person {odd[0]:04d} has {len(numbers[odd[0]])} images" if odd else ""
        found = (
            f"{len(files)} images of {len(people)} people ({both} with 001-020, {one} with 001-010"
            f"{hint})"
            if files
            else contents(root)
        )
        raise DireidError(
            f"{root}: found {found}; expected 1220 images of 72 people (50 with 001-020, 22 with "
            f"001-010) laid out as {LAYOUT}{elsewhere(root, ['0001001.jpg'])}"
        )
    return people


def _two_camera_people(people: dict[int, dict[int, Path]]) -> dict[int, dict[int, Path]]:
    return {pid: images for pid, images in people.items() if len(images) == 20}
