"""The body of a paper doll: who it is and how it stands -> the tubes to paint.

Lengths are shares of the body height; the ground is y = 0. The axes are those of `canvas.Point`.
Lifts put near things in front: legs behind the trunk, a skirt before the legs, and so on.
"""

from dataclasses import dataclass, replace
from math import cos, sin

import numpy as np

from direid.data.dolls import clothes
from direid.data.dolls.canvas import Colour, Point, Tube, soft, wave
from direid.data.dolls.clothes import Person, Print, darker
from direid.data.dolls.head import head

HIPS, SHOULDERS = 0.5, 0.785  # heights


@dataclass(frozen=True)
class Pose:
    """How it stands or walks in one photograph; angles in radians."""

    stride: float  # how far the legs swing
    phase: float  # where in the step
    elbows: tuple[float, float]  # bend of the left and of the right arm
    spread: float  # of the arms, away from the body


def body(person: Person, pose: Pose) -> list[Tube]:
    """The tubes of a doll that stands on the origin."""
    legs, lowest = _legs(person, pose)
    tubes = [*legs, *_trunk(person), *_arms(person, pose), *head(person), *_bag(person, pose)]
    return [replace(t, start=_up(t.start, -lowest), end=_up(t.end, -lowest)) for t in tubes]


def _up(point: Point, by: float) -> Point:
    return point[0], point[1] + by, point[2]


def _along(a: Point, b: Point, share: float) -> Point:
    return tuple(p + share * (q - p) for p, q in zip(a, b, strict=True))


def _trunk(person: Person) -> list[Tube]:
    cut, build = person.cut, person.build
    hip = HIPS * person.legs
    hem = hip - (0.035 if cut in ("shirt", "t-shirt") else 0.05)

    def tube(
        top: float,
        bottom: float,
        radii: tuple[float, float, float],
        colour: Colour,
        caps: tuple[float, float],
        flat: float,
        lift: float,
        prints: list[Print] = (),
    ) -> Tube:
        """A piece of clothing around the body's axis."""
        radii = tuple(build * r for r in radii)
        return Tube(
            (0, top, 0), (0, bottom, 0), radii, colour, caps, flat, tuple(prints), lift=lift
        )

    prints = clothes.torso(person, 0.09 * build)
    parts = [
        tube(SHOULDERS, hem, (0.098, 0.088, 0.09), person.top, (0.042, 0.004), 0.66, 0.0, prints),
        Tube(
            (0, 0.865, 0), (0, 0.812, 0.004), (0.028, 0.027, 0.03), darker(person.skin, 0.88),
            (0.01, 0.016), lift=0.004,
        ),
    ]  # fmt: skip
    skirt = clothes.cloth(person, 0.1 * build)
    if person.block == "hem":
        skirt.append((clothes.below(0.1), person.trim))
    pleats = [(lambda angle, _: 0.25 * wave(angle * 2.2), darker(person.bottom))]
    match cut, person.bottom_cut:
        case "dress", _:
            radii = (0.088, 0.105, 0.125)
            parts.append(
                tube(hem + 0.03, hip - 0.21, radii, person.top, (0, 0.004), 0.75, -0.03, skirt)
            )
        case "coat", _:
            radii = (0.09, 0.098, 0.108)
            skirt.append((clothes.slit(0.2, 0.03), darker(person.bottom, 0.8)))
            belt = tube(
                hem + 0.045, hem + 0.02, (0.093,) * 3, darker(person.top), (0, 0), 0.7, 0.005
            )
            parts += [
                tube(hem + 0.03, hip - 0.21, radii, person.top, (0, 0.004), 0.75, -0.03, skirt),
                belt,
            ]
        case _, "skirt":
            radii = (0.085, 0.105, 0.12)
            parts.append(
                tube(hip + 0.01, hip - 0.19, radii, person.bottom, (0, 0.004), 0.75, -0.03, pleats)
            )
        case _:  # the seat of the trousers
            radii = (0.085, 0.09, 0.085)
            parts.append(tube(hip + 0.01, hip - 0.035, radii, person.bottom, (0, 0.03), 0.7, -0.04))
    return parts + _collar(person)


def _collar(person: Person) -> list[Tube]:
    build, top = person.build, person.top
    if person.cut == "hoodie":
        hood = (0.06 * build, 0.062 * build, 0.045 * build)
        return [
            Tube((0, 0.835, -0.045), (0, 0.8, -0.06), hood, darker(top, 0.9), (0.015, 0.025), 0.6,
                 lift=0.01),
            Tube((0, 0.835, 0.012), (0, 0.818, 0.02), (0.05, 0.052, 0.045), darker(top, 0.85),
                 (0.008, 0.012), 0.9, lift=0.006),
        ]  # fmt: skip
    if person.cut in ("shirt", "jacket", "coat"):
        return [
            Tube((0, 0.84, 0), (0, 0.818, 0.006), (0.036, 0.042, 0.047), darker(top, 0.86),
                 (0, 0.008), 0.95, cover=_open_in_front, lift=0.02)
        ]  # fmt: skip
    return []


def _open_in_front(angle: np.ndarray, _: np.ndarray) -> np.ndarray:
    return soft(0.93 - np.cos(angle), 0.06)


def _arm(person: Person, pose: Pose, side: int) -> tuple[Point, Point, Point]:
    """Shoulder, elbow and wrist; arms swing against the legs, one with a handbag hangs down."""
    bend = pose.elbows[0 if side > 0 else 1]
    if person.bag == "handbag" and side == person.bag_side:
        bend = min(bend, 0.3)
    swing = -0.75 * pose.stride * sin(pose.phase) * side
    x, y, z = 0.094 * person.build * side, 0.775, 0.0
    shoulder = (x, y, z)
    out = sin(pose.spread) * side
    x, y, z = x + 0.15 * out, y - 0.15 * cos(swing) * cos(pose.spread), 0.15 * sin(swing)
    elbow = (x, y, z)
    inward = 0.35 * out if bend < 1 else -0.25 * side  # a raised hand comes to the middle
    forearm = 0.135 * inward, -0.135 * cos(swing + bend), 0.135 * sin(swing + bend)
    return shoulder, elbow, (x + forearm[0], y + forearm[1], z + forearm[2])


def _arms(person: Person, pose: Pose) -> list[Tube]:
    parts = []
    width = 0.75 + 0.25 * person.build
    if person.cut in ("hoodie", "jacket", "coat"):
        width *= 1.12
    for side in (1, -1):
        shoulder, elbow, wrist = _arm(person, pose, side)
        badge = clothes.badge(person, side)
        if person.long_sleeved:
            colour, prints = person.top, clothes.sleeve(person, 0.03 * width)
            upper, lower = (0.036, 0.033, 0.029), (0.029, 0.027, 0.024)
        else:
            colour, prints = person.skin, []
            upper, lower = (0.029, 0.027, 0.024), (0.024, 0.023, 0.018)
            short = tuple(width * r for r in (0.037, 0.037, 0.038))
            parts.append(
                Tube(shoulder, _along(shoulder, elbow, 0.6), short, person.top, (0.034, 0.003),
                     prints=(*clothes.sleeve(person, 0.035 * width), *badge), lift=0.02)
            )  # fmt: skip
            badge = []  # it is on the short sleeve
        upper, lower = (tuple(width * r for r in radii) for radii in (upper, lower))
        parts += [
            Tube(shoulder, elbow, upper, colour, (0.034, 0.025), prints=(*prints, *badge)),
            Tube(elbow, wrist, lower, colour, (0.025, 0.008), prints=tuple(prints), lift=0.002),
            Tube(wrist, _along(elbow, wrist, 1.17), (0.019, 0.021, 0.017), person.skin,
                 (0.015, 0.017), lift=0.001),
        ]  # fmt: skip
    return parts


def _legs(person: Person, pose: Pose) -> tuple[list[Tube], float]:
    """Both legs, and the height of the ground under the lower foot."""
    parts, ground = [], []
    width = 0.6 + 0.4 * person.build
    thigh, shin = 0.225 * person.legs, 0.215 * person.legs
    if person.cut == "dress" or person.bottom_cut in ("shorts", "skirt"):
        colour, upper, lower = person.skin, (0.046, 0.042, 0.034), (0.033, 0.034, 0.021)
    else:
        hem = 0.052 if person.bottom_cut == "wide trousers" else 0.031
        colour, upper, lower = person.bottom, (0.053, 0.05, 0.043), (0.042, 0.021 + hem / 2, hem)
    upper, lower, short = (
        tuple(width * r for r in radii) for radii in (upper, lower, (0.056, 0.056, 0.058))
    )
    for side in (1, -1):
        swing = pose.stride * sin(pose.phase) * side
        forward = pose.stride * cos(pose.phase) * side  # the leg that moves forward bends its knee
        back = swing - (0.06 + 0.9 * max(0.0, forward) + 0.3 * max(0.0, -swing))
        x, y, z = 0.045 * person.build * side, HIPS * person.legs, 0.0
        hip = (x, y, z)
        y, z = y - thigh * cos(swing), thigh * sin(swing)
        knee = (x, y, z)
        x, y, z = 0.95 * x, y - shin * cos(back), z + shin * sin(back)
        ankle, heel = (x, y, z), (x, y - 0.022, z - 0.018)
        toe = (1.15 * x, y - 0.034 - 0.05 * max(0.0, -back), z + 0.062)
        ground.append(min(ankle[1], toe[1] + 0.03) - 0.05)
        parts += [
            Tube(hip, knee, upper, colour, (0.03, 0.034), lift=-0.12),
            Tube(knee, ankle, lower, colour, (0.034, 0.006), lift=-0.118),
            Tube(heel, toe, (0.027, 0.028, 0.02), person.shoes, (0.018, 0.018), lift=-0.125),
        ]
        if person.bottom_cut == "shorts" and person.cut != "dress":
            hem = _along(hip, knee, 0.8)
            parts.append(Tube(hip, hem, short, person.bottom, (0.03, 0.003), lift=-0.115))
    return parts, min(ground)


def _bag(person: Person, pose: Pose) -> list[Tube]:
    colour, side, build = person.bag_colour, person.bag_side, person.build
    match person.bag:
        case "backpack":
            top, bottom = (0, 0.775, -0.062 * build - 0.04), (0, 0.57, -0.062 * build - 0.045)
            return [
                Tube(top, bottom, (0.07, 0.08, 0.078), colour, (0.025, 0.015), 0.62,
                     ((_pocket, darker(colour, 0.75)),))
            ]  # fmt: skip
        case "satchel":
            x = side * (0.098 * build + 0.02)
            flap = ((clothes.above(0.045), darker(colour, 0.8)),)
            return [
                Tube((x, 0.525, 0), (x, 0.43, 0), (0.032, 0.034, 0.034), colour, (0.006, 0.008),
                     1.9, flap, lift=0.03)
            ]  # fmt: skip
        case "handbag":
            _, elbow, wrist = _arm(person, pose, side)
            x, y, z = _along(elbow, wrist, 1.15)
            handle, bag = (x, y - 0.005, z), (x, y - 0.05, z)
            return [
                Tube(handle, bag, (0.022, 0.03, 0.03), darker(colour, 0.75), (0.01, 0), 1.2,
                     cover=lambda angle, _: soft(np.abs(np.sin(angle)) - 0.6, 0.2)),
                Tube(bag, (x, y - 0.125, z), (0.034, 0.042, 0.044), colour, (0.006, 0.008), 1.4,
                     lift=0.004),
            ]  # fmt: skip
        case _:
            return []


def _pocket(_: np.ndarray, along: np.ndarray) -> np.ndarray:
    return soft(along - 0.11) * soft(0.19 - along)
