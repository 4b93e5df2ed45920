"""The embedded benchmark: drawn people, two cameras, a degradation whose level is known.

Nothing is downloaded and nothing is written. Every image is a pure function of (seed, person,
camera, photograph), so a benchmark of fewer people holds the very first people of a larger one.

What makes it hard is the degradation, by design. People come in families that share all colours,
so colour alone finds the family and not the person; members differ in the pattern or sign on their
clothes, which blur and few pixels wipe out, and often in something coarser: a bag, a hat, a cut.
No family has members in both training and test.
"""

from dataclasses import dataclass
from math import pi

import numpy as np
import torch
from tqdm import tqdm

from direid.data.dolls.body import Pose, body
from direid.data.dolls.canvas import Canvas, Colour
from direid.data.dolls.clothes import (
    BAGS,
    BLOCKS,
    BOTTOMS,
    CUTS,
    HAIRCUTS,
    HATS,
    LOGOS,
    PATTERNS,
    Person,
)
from direid.data.dolls.scenery import (
    OBSTACLES,
    PLACES,
    paint_obstacle,
    paint_place,
    paint_shadow,
)
from direid.data.records import Benchmark, Record
from direid.degradations import RealLike, real_like
from direid.errors import DireidError

NAMES = {  # degradation of the second camera -> name of the benchmark
    "resolution": "paper_dolls",
    "illumination": "paper_dolls_dark",
    "resolution+illumination": "paper_dolls_both",
}
CLEAN, DEGRADED = 1, 2  # camera ids
FIRST_TEST_PERSON = 10_000  # training people are 0, 1, ...; test people count from here

# First words of the key of every random stream.
_FAMILY, _PERSON, _CAMERA, _PHOTOGRAPH, _DEGRADATION = range(5)


@dataclass(frozen=True)
class Difficulty:
    """The knobs that set how hard the benchmark is."""

    # Who looks like whom.
    family: int = 4  # people who share their colours; more = colour tells less
    own_trait: float = 0.6  # chance that a member's cut, hair, hat, bag ... is not its family's
    signs: float = 0.25  # share of families with a sign on the chest in place of a pattern
    periods: tuple[float, ...] = (0.07, 0.11, 0.17)  # of patterns, over body height; small = fine
    build: float = 0.13  # members are up to this much wider or narrower
    # What else changes from one photograph to the next.
    side_views: float = 0.33  # the others are front and back in equal parts
    turn: float = 0.2  # sd of the view around front, back or side, radians
    obstacles: float = 0.12  # share of photographs with something in the way
    zoom: float = 0.05  # of the crop, up to
    shift: float = 0.03  # of the crop, up to, over the height
    camera_cast: float = 0.02  # sd of the log of each channel's gain, the same all through a camera
    cast: float = 0.02  # the same, of one photograph
    exposure: float = 0.05  # sd of the log of the brightness
    # What the second camera does to its images.
    camera: RealLike = RealLike()


SKINS: tuple[Colour, ...] = (
    (0.98, 0.84, 0.73), (0.93, 0.74, 0.60), (0.82, 0.62, 0.46), (0.66, 0.46, 0.33),
    (0.50, 0.34, 0.25), (0.36, 0.24, 0.18),
)  # fmt: skip
HAIR: tuple[Colour, ...] = (
    (0.10, 0.08, 0.08), (0.22, 0.14, 0.10), (0.40, 0.25, 0.15), (0.58, 0.35, 0.20),
    (0.85, 0.68, 0.40), (0.72, 0.70, 0.68), (0.66, 0.28, 0.14),
)  # fmt: skip
CLOTHES: tuple[Colour, ...] = (
    (0.93, 0.92, 0.89), (0.16, 0.17, 0.20), (0.46, 0.48, 0.52), (0.80, 0.22, 0.22),
    (0.93, 0.52, 0.20), (0.95, 0.80, 0.32), (0.46, 0.60, 0.28), (0.14, 0.42, 0.32),
    (0.24, 0.62, 0.64), (0.52, 0.74, 0.90), (0.22, 0.38, 0.70), (0.13, 0.18, 0.36),
    (0.46, 0.28, 0.56), (0.90, 0.58, 0.66), (0.55, 0.16, 0.26), (0.52, 0.36, 0.24),
    (0.84, 0.72, 0.54), (0.72, 0.64, 0.84),
)  # fmt: skip
SHOES: tuple[Colour, ...] = (
    (0.14, 0.13, 0.14), (0.92, 0.91, 0.88), (0.42, 0.27, 0.18), (0.72, 0.20, 0.20),
    (0.30, 0.34, 0.44),
)  # fmt: skip


def paper_dolls(
    seed: int = 0,
    *,
    train_people: int = 200,
    test_people: int = 300,
    images_per_camera: int = 4,
    height: int = 64,
    width: int = 32,
    degradation: str = "resolution",
    degrade_queries: bool = True,
    difficulty: Difficulty | None = None,
) -> Benchmark:
    """Draw the benchmark: 3 to 4 ms an image at 64 x 32; the same arguments, the same bytes.

    Camera 1 is clean (level 0), camera 2 degraded at a level uniform in (0, 1]. Training holds both
    cameras; queries come from camera 2, the gallery from camera 1.

    Args:
        seed: of everything.
        train_people: how many.
        test_people: how many; none of them, and none of their families, is in training.
        images_per_camera: photographs of each person by each camera.
        height: of the images; the drawing has no size of its own, a larger one shows more.
        width: half of the height suits a standing person.
        degradation: "resolution", "illumination", or both at once, "resolution+illumination", each
            at a level of its own.
        degrade_queries: False leaves the queries as drawn, pixel for pixel the same figures, at
            level 0: what a network would reach if the degradation were not there.
        difficulty: the knobs; None means the benchmark's own.
    """
    _check(seed, train_people, test_people, images_per_camera, height, width)
    if degradation not in NAMES:
        raise DireidError(f"degradation {degradation!r}: choose from {', '.join(NAMES)}")
    difficulty = difficulty or Difficulty()

    def photographs(first: int, people: int, camera: int, degraded: bool) -> tuple[Record, ...]:
        records = []
        everybody = range(first, first + people)
        for pid in tqdm(everybody, desc="drawing", unit="person", delay=1, leave=False):
            person = make_person(seed, pid, difficulty)
            for shot in range(images_per_camera):
                key = (seed, pid, camera, shot)
                image, level = photograph(person, key, height, width, difficulty), 0.0
                if degraded:
                    image, level = degrade(image, key, degradation, difficulty.camera)
                name = f"{pid:04d}_c{camera}_seed{seed}_{shot}"
                records.append(Record(name, image, pid, camera, level))
        return tuple(records)

    return Benchmark(
        NAMES[degradation],
        train=photographs(0, train_people, CLEAN, False)
        + photographs(0, train_people, DEGRADED, True),
        query=photographs(FIRST_TEST_PERSON, test_people, DEGRADED, degrade_queries),
        gallery=photographs(FIRST_TEST_PERSON, test_people, CLEAN, False),
    )


def make_person(seed: int, pid: int, difficulty: Difficulty) -> Person:
    """Who person `pid` is: the family's looks, and what sets this member apart."""
    part, number = divmod(pid, FIRST_TEST_PERSON)
    family, member = divmod(number, difficulty.family)
    shared = np.random.default_rng((_FAMILY, seed, part, family))
    own = np.random.default_rng((_PERSON, seed, pid))

    def trait(values: tuple[str, ...], weights: tuple[float, ...] | None = None) -> str:
        """The family's value, or now and then one of the person's own; both are always drawn."""
        common, mine = shared.choice(values, p=weights), own.choice(values, p=weights)
        return str(mine if own.random() < difficulty.own_trait else common)

    clothes = shared.permutation(len(CLOTHES))
    top, bottom, bag, hat, trim = (_dyed(shared, CLOTHES[i]) for i in clothes[:5])
    # The print must show on the cloth: the next colour that is much lighter or darker.
    contrasts = (CLOTHES[i] for i in clothes[5:] if abs(_light(CLOTHES[i]) - _light(top)) > 0.28)
    accent = _dyed(shared, next(contrasts))
    if shared.random() < difficulty.signs:
        prints = [(sign, 0.0) for sign in LOGOS]
    else:
        prints = [(pattern, period) for pattern in PATTERNS for period in difficulty.periods]
    printed, period = [prints[i] for i in shared.permutation(len(prints))][member % len(prints)]
    return Person(
        skin=_dyed(shared, SKINS[shared.integers(len(SKINS))]),
        hair=_dyed(shared, HAIR[shared.integers(len(HAIR))]),
        top=top,
        accent=accent,
        trim=trim,
        bottom=bottom,
        shoes=SHOES[shared.integers(len(SHOES))],
        bag_colour=bag,
        hat_colour=hat,
        cut=trait(CUTS),
        block=trait(BLOCKS),
        bottom_cut=trait(BOTTOMS, (0.45, 0.15, 0.2, 0.2)),
        haircut=trait(HAIRCUTS),
        hat=trait(HATS, (0.6, 0.13, 0.12, 0.07, 0.08)),
        bag=trait(BAGS, (0.4, 0.24, 0.18, 0.18)),
        print=printed,
        period=period,
        build=float(1 + difficulty.build * own.uniform(-1, 1)),
        legs=float(own.uniform(0.96, 1.05)),
        left_handed=bool(own.random() < 0.5),
    )


def photograph(
    person: Person,
    key: tuple[int, int, int, int],
    height: int,
    width: int,
    difficulty: Difficulty,
) -> np.ndarray:
    """One undegraded image, uint8 (height, width, 3).

    `key` is (seed, pid, camera, shot); it decides the pose, the view, the place, the crop, what is
    in the way and the colour cast.
    """
    rng = np.random.default_rng((_PHOTOGRAPH, *key))
    factor = 3 if height < 128 else 2  # supersampling
    canvas = Canvas(factor * height, factor * width)
    views = ((0.0, pi), (pi / 2, -pi / 2))[rng.random() < difficulty.side_views]
    yaw = views[rng.integers(2)] + difficulty.turn * rng.normal()
    walks = rng.random() < 0.7
    pose = Pose(
        stride=rng.uniform(0.3, 0.55) if walks else rng.uniform(0.02, 0.1),
        phase=rng.uniform(0, 2 * pi),
        elbows=tuple(2.1 if rng.random() < 0.07 else rng.uniform(0.1, 0.6) for _ in range(2)),
        spread=rng.uniform(0.06, 0.2),
    )
    unit = canvas.height * 0.86 * (1 + difficulty.zoom * rng.uniform(-1, 1))
    feet = (
        canvas.width / 2 + canvas.height * difficulty.shift * rng.uniform(-1, 1),
        canvas.height * (0.945 + 0.5 * difficulty.shift * rng.uniform(-1, 1)),
    )
    light = rng.uniform(-1, 1)
    blocked, obstacle = rng.random() < difficulty.obstacles, OBSTACLES[rng.integers(len(OBSTACLES))]
    at = (-1, 1)[rng.integers(2)] * rng.uniform(0.3, 0.95)
    cast = difficulty.cast * rng.normal(size=3) + difficulty.exposure * rng.normal()
    seed, _, camera, _ = key
    cast += difficulty.camera_cast * np.random.default_rng((_CAMERA, seed, camera)).normal(size=3)

    # The scenery draws what it needs from here on; nothing above depends on how much that is.
    paint_place(canvas, str(rng.choice(list(PLACES))), rng)
    paint_shadow(canvas, feet, unit, light)
    canvas.doll(body(person, pose), yaw, feet, unit, light)
    if blocked:
        paint_obstacle(canvas, obstacle, at, rng, light)
    canvas.pixels *= np.exp(cast).astype(np.float32)[:, None, None]
    return canvas.image(factor)


def degrade(
    image: np.ndarray, key: tuple[int, int, int, int], kind: str, settings: RealLike
) -> tuple[np.ndarray, float]:
    """The image as the second camera delivers it, and its level in (0, 1].

    Args:
        image: uint8 (H, W, 3).
        key: (seed, pid, camera, shot); decides the level and the noise, whatever the kind.
        kind: "resolution", "illumination" or several joined by '+', applied in that order. Then
            each has a level of its own, the first that which it has alone, and their mean is given.
        settings: of the camera.
    """
    rng = np.random.default_rng((_DEGRADATION, *key))
    first = 1.0 - float(rng.random())
    noise = torch.Generator().manual_seed(int(rng.integers(2**62)))
    seen = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    kinds = kind.split("+")
    levels = [first, *(1.0 - float(rng.random()) for _ in kinds[1:])]
    for one, level in zip(kinds, levels, strict=True):
        seen = real_like(seen, level, one, noise, settings)
    seen = seen[0].permute(1, 2, 0)
    return (seen * 255).round().to(torch.uint8).numpy(), sum(levels) / len(levels)


def _check(
    seed: int, train_people: int, test_people: int, images: int, height: int, width: int
) -> None:
    wanted = {
        "seed": (seed, 0, None),
        "train_people": (train_people, 1, FIRST_TEST_PERSON),
        "test_people": (test_people, 1, None),
        "images_per_camera": (images, 1, None),
        "height": (height, 16, None),
        "width": (width, 8, None),
    }
    for name, (value, low, high) in wanted.items():
        if value < low or (high is not None and value > high):
            limit = f"at least {low}" if high is None else f"{low} to {high}"
            raise DireidError(f"paper_dolls: {name} is {value}, expected {limit}")


def _light(colour: Colour) -> float:
    return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]


def _dyed(rng: np.random.Generator, colour: Colour) -> Colour:
    """The colour, a little off: no two families buy the same cloth."""
    return tuple(float(min(max(c + rng.normal(0, 0.03), 0.0), 1.0)) for c in colour)
