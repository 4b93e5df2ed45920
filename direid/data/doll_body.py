"""The body of a paper doll: who it is and how it stands -> the tubes to paint.

Lengths are shares of the body height; the ground is y = 0. See `doll_canvas` for the axes.
"""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from direid.data.doll_canvas import Colour, Mask, Point, Tube, soft, wave

# What is printed on a garment: all over it (with a period) or once, on chest and back.
PATTERNS = ("stripes", "pinstripes", "checks", "chequers", "dots", "diagonals", "zigzags")
LOGOS = ("disc", "ring", "square", "bar", "triangle", "cross", "two bars", "diamond")
BLOCKS = ("none", "yoke", "sleeves", "hem")  # where the top has its second colour
CUTS = ("t-shirt", "shirt", "hoodie", "jacket", "coat", "dress")
BOTTOMS = ("trousers", "wide trousers", "shorts", "skirt")
HAIRCUTS = ("short", "bob", "long", "ponytail", "bun", "afro", "bald")
HATS = ("none", "cap", "beanie", "sun hat", "headscarf")
BAGS = ("none", "backpack", "satchel", "handbag")


@dataclass(frozen=True)
class Person:
    """Everything that makes a doll that doll."""

    skin: Colour
    hair: Colour
    top: Colour
    accent: Colour  # of the print
    trim: Colour  # of a yoke, sleeves or hem, and of the shirt under an open jacket
    bottom: Colour
    shoes: Colour
    bag_colour: Colour
    hat_colour: Colour
    cut: str
    block: str
    bottom_cut: str
    haircut: str
    hat: str
    bag: str
    print: str  # one of PATTERNS or LOGOS
    period: float  # of a pattern
    build: float  # width over the average width
    legs: float  # hip height over the average
    left_handed: bool  # side of the bag


@dataclass(frozen=True)
class Pose:
    """How it stands or walks in one photograph; angles in radians."""

    stride: float  # how far the legs swing
    phase: float  # where in the step
    elbows: tuple[float, float]  # bend of the left and the right arm
    spread: float  # of the arms, away from the body


def body(person: Person, pose: Pose) -> list[Tube]:
    """The tubes of a doll with its feet around the origin."""
    legs, lowest = _legs(person, pose)
    tubes = [*legs, *_torso(person), *_arms(person, pose), *_head(person), *_bag(person, pose)]
    return [_raised(tube, -lowest) for tube in tubes]


def _raised(tube: Tube, by: float) -> Tube:
    (a, b, c), (d, e, f) = tube.start, tube.end
    changed = dict(tube.__dict__, start=(a, b + by, c), end=(d, e + by, f))
    return Tube(**changed)


def darker(colour: Colour, share: float = 0.7) -> Colour:
    """The colour in the shade."""
    return tuple(share * c for c in colour)


# Prints ------------------------------------------------------------------------------------------


def pattern(name: str, period: float, radius: float) -> Mask:
    """An all-over pattern on a tube of this radius: about half of the cloth is 1, half is 0."""
    a, b = radius / period, 1 / period  # periods per radian, per unit of length
    masks: dict[str, Mask] = {
        "stripes": lambda angle, along: wave(along * b),
        "pinstripes": lambda angle, along: wave(angle * a),
        "checks": lambda angle, along: 0.5 * (wave(angle * a) + wave(along * b)),
        "chequers": lambda angle, along: np.abs(wave(angle * a) - wave(along * b)),
        "dots": lambda angle, along: soft(
            np.cos(2 * pi * angle * a) * np.cos(2 * pi * along * b) - 0.05, 0.3
        ),
        "diagonals": lambda angle, along: wave(0.7 * (angle * a + along * b)),
        "zigzags": lambda angle, along: wave(
            along * b + 0.8 * np.abs(np.mod(0.5 * angle * a, 1) - 0.5)
        ),
    }
    return masks[name]


def logo(name: str, at: float = 0.1, size: float = 0.05, width: float = 0.1) -> Mask:
    """One sign in front, a larger one behind, `at` from the start of a tube of radius `width`."""

    def mask(angle: np.ndarray, along: np.ndarray) -> np.ndarray:
        front = np.cos(angle) > 0
        reach = np.where(front, size, 1.25 * size)
        x = width * np.sin(angle) / reach  # -1 to 1 across the sign, also from behind
        y = (along - at) / reach
        ax, ay = np.abs(x), np.abs(y)
        match name:
            case "disc":
                inside = 1 - np.hypot(x, y)
            case "ring":
                inside = 0.3 - np.abs(np.hypot(x, y) - 0.75)
            case "square":
                inside = 0.85 - np.maximum(ax, ay)
            case "bar":
                inside = np.minimum(1.3 - ax, 0.42 - ay)
            case "triangle":
                inside = np.minimum(0.85 - y, 0.5 * y + 0.55 - ax)
            case "cross":
                inside = np.maximum(np.minimum(0.3 - ax, 1 - ay), np.minimum(0.3 - ay, 1 - ax))
            case "two bars":
                inside = np.minimum(1.2 - ax, 0.25 - np.abs(ay - 0.55))
            case _:
                inside = 1 - ax - 0.8 * ay
        return soft(inside, 0.3)

    return mask


def _cloth(person: Person, radius: float) -> tuple[tuple[Mask, Colour], ...]:
    """What is printed all over the top; nothing when it has a logo instead."""
    if person.print in PATTERNS:
        return ((pattern(person.print, person.period, radius), person.accent),)
    return ()


def _sleeve(person: Person, radius: float) -> tuple[tuple[Mask, Colour], ...]:
    """As `_cloth`, for an upper arm or forearm of the top."""
    if person.block == "sleeves":
        return ((lambda angle, along: np.ones_like(along), person.trim),)
    return _cloth(person, radius)


# Parts -------------------------------------------------------------------------------------------


def _torso(person: Person) -> list[Tube]:
    b, cut = person.build, person.cut
    hip = 0.5 * person.legs
    hem = hip - (0.035 if cut in ("shirt", "t-shirt") else 0.05)
    prints = list(_cloth(person, 0.09 * b))
    if person.block == "yoke":
        prints.append((lambda angle, along: soft(0.075 - along), person.trim))
    if person.block == "hem" and cut not in ("coat", "dress"):
        prints.append((lambda angle, along: soft(along - 0.2), person.trim))
    if cut in ("jacket", "coat"):  # open in front
        opening = 0.34 if cut == "jacket" else 0.22
        if person.print in LOGOS:  # closed, so that the chest shows it
            opening = 0.08
        prints.append((lambda angle, _: soft(np.cos(angle) - cos(opening), 0.02), person.trim))
    if cut == "shirt":
        prints.append((lambda angle, _: soft(np.cos(angle) - cos(0.07), 0.002), darker(person.top)))
    if cut == "hoodie":  # the pouch in front
        prints.append(
            (
                lambda angle, along: (
                    0.6 * soft(np.cos(angle) - 0.72, 0.05) * soft(along - 0.19) * soft(0.27 - along)
                ),
                darker(person.top, 0.6),
            )
        )
    if person.print in LOGOS:
        prints.append((logo(person.print), person.accent))
    if cut not in ("hoodie", "coat"):  # the neckline
        deep = 0.022 if cut == "dress" else 0.008
        prints.append(
            (
                lambda angle, along: soft(
                    np.where(np.cos(angle) > 0, deep, -0.024) - along - 0.2 * np.sin(angle) ** 2
                ),
                person.skin,
            )
        )
    prints.extend(_straps(person))
    torso = Tube(
        (0, 0.785, 0),
        (0, hem, 0),
        (0.098 * b, 0.088 * b, 0.09 * b),
        person.top,
        (0.042, 0.004),
        0.66,
        tuple(prints),
    )
    neck = Tube(
        (0, 0.865, 0),
        (0, 0.812, 0.004),
        (0.028, 0.027, 0.03),
        darker(person.skin, 0.88),
        (0.01, 0.016),
        lift=0.004,
    )
    parts = [torso, neck]
    if cut in ("coat", "dress"):
        wide = (0.088, 0.105, 0.125) if cut == "dress" else (0.09, 0.098, 0.108)
        tail = list(_cloth(person, 0.1 * b))
        if person.block == "hem":
            tail.append((lambda angle, along: soft(along - 0.1), person.trim))
        if cut == "coat":
            tail.append(
                (lambda angle, _: soft(np.cos(angle) - cos(0.2), 0.03), darker(person.bottom, 0.8))
            )
        parts.append(
            Tube(
                (0, hem + 0.03, 0),
                (0, hip - 0.21, 0),
                tuple(b * w for w in wide),
                person.top,
                (0.0, 0.004),
                0.75,
                tuple(tail),
                lift=-0.03,
            )
        )
        if cut == "coat":  # the belt
            parts.append(
                Tube(
                    (0, hem + 0.045, 0),
                    (0, hem + 0.02, 0),
                    (0.093 * b,) * 3,
                    darker(person.top),
                    (0.0, 0.0),
                    0.7,
                    lift=0.005,
                )
            )
    elif person.bottom_cut == "skirt":
        parts.append(
            Tube(
                (0, hip + 0.01, 0),
                (0, hip - 0.19, 0),
                (0.085 * b, 0.105 * b, 0.12 * b),
                person.bottom,
                (0.0, 0.004),
                0.75,
                ((lambda angle, _: 0.25 * wave(angle * 2.2), darker(person.bottom)),),
                lift=-0.03,
            )
        )
    else:  # the seat of the trousers
        parts.append(
            Tube(
                (0, hip + 0.01, 0),
                (0, hip - 0.035, 0),
                (0.085 * b, 0.09 * b, 0.085 * b),
                person.bottom,
                (0.0, 0.03),
                0.7,
                lift=-0.04,
            )
        )
    if cut == "hoodie":
        parts.append(
            Tube(
                (0, 0.835, -0.045),
                (0, 0.80, -0.06),
                (0.06 * b, 0.062 * b, 0.045 * b),
                darker(person.top, 0.9),
                (0.015, 0.025),
                0.6,
                lift=0.01,
            )
        )
        parts.append(
            Tube(
                (0, 0.835, 0.012),
                (0, 0.818, 0.02),
                (0.05, 0.052, 0.045),
                darker(person.top, 0.85),
                (0.008, 0.012),
                0.9,
                lift=0.006,
            )
        )
    if cut in ("shirt", "jacket", "coat"):  # the collar
        parts.append(
            Tube(
                (0, 0.84, 0.0),
                (0, 0.818, 0.006),
                (0.036, 0.042, 0.047),
                darker(person.top, 0.86),
                (0.0, 0.008),
                0.95,
                cover=lambda angle, _: soft(0.93 - np.cos(angle), 0.06),
                lift=0.02,
            )
        )
    return parts


def _straps(person: Person) -> list[tuple[Mask, Colour]]:
    if person.bag == "backpack":
        return [
            (
                lambda angle, along: (
                    soft(0.13 - np.abs(np.abs(angle_of(angle)) - 0.72), 0.06) * soft(0.19 - along)
                ),
                darker(person.bag_colour, 0.85),
            )
        ]
    if person.bag == "satchel":
        side = 1 if person.left_handed else -1
        return [
            (
                lambda angle, along: soft(
                    0.013 - np.abs(along - 0.145 - 0.165 * side * np.sin(angle))
                ),
                darker(person.bag_colour, 0.85),
            )
        ]
    return []


def angle_of(angle: np.ndarray) -> np.ndarray:
    """The same angle in [-pi, pi)."""
    return np.mod(angle + pi, 2 * pi) - pi


def _arms(person: Person, pose: Pose) -> list[Tube]:
    parts = []
    for side, bend in ((1, pose.elbows[0]), (-1, pose.elbows[1])):
        swing = -0.75 * pose.stride * sin(pose.phase) * side
        shoulder, elbow, wrist = _arm(person, pose, side, swing, bend)
        long = person.cut not in ("t-shirt", "dress")
        b = 0.75 + 0.25 * person.build
        sleeve = person.top if long else person.skin
        cloth = _sleeve(person, 0.03 * b) if long else ()
        badge = _badge(person, side)
        puff = 1.12 if person.cut in ("hoodie", "jacket", "coat") else 1.0
        upper = tuple(
            r * b * puff for r in ((0.036, 0.033, 0.029) if long else (0.029, 0.027, 0.024))
        )
        lower = tuple(
            r * b * puff for r in ((0.029, 0.027, 0.024) if long else (0.024, 0.023, 0.018))
        )
        parts += [
            Tube(
                shoulder,
                elbow,
                upper,
                sleeve,
                (0.034, 0.025),
                prints=(*cloth, *(badge if long else ())),
            ),
            Tube(elbow, wrist, lower, sleeve, (0.025, 0.008), prints=cloth, lift=0.002),
            Tube(
                wrist,
                _along(elbow, wrist, 1.17),
                (0.019, 0.021, 0.017),
                person.skin,
                (0.015, 0.017),
                lift=0.001,
            ),
        ]
        if not long:
            parts.append(
                Tube(
                    shoulder,
                    _along(shoulder, elbow, 0.6),
                    tuple(r * b for r in (0.037, 0.037, 0.038)),
                    person.top,
                    (0.034, 0.003),
                    prints=(*_sleeve(person, 0.035 * b), *badge),
                    lift=0.02,
                )
            )
    return parts


def _badge(person: Person, side: int) -> tuple[tuple[Mask, Colour], ...]:
    """The logo again, small, on the outside of the upper arm: what a side view shows of it."""
    if person.print not in LOGOS:
        return ()
    sign = logo(person.print, at=0.045, size=0.03, width=0.034)
    return ((lambda angle, along: sign(angle - side * pi / 2, along), person.accent),)


def _arm(
    person: Person, pose: Pose, side: int, swing: float, bend: float
) -> tuple[Point, Point, Point]:
    x = 0.094 * person.build
    shoulder = (side * x, 0.775, 0.0)
    out = sin(pose.spread) * side
    elbow = (
        shoulder[0] + 0.15 * out,
        shoulder[1] - 0.15 * cos(swing) * cos(pose.spread),
        0.15 * sin(swing),
    )
    inward = 0.35 * out if bend < 1 else -0.25 * side  # a raised hand comes to the middle
    wrist = (
        elbow[0] + 0.135 * inward,
        elbow[1] - 0.135 * cos(swing + bend),
        elbow[2] + 0.135 * sin(swing + bend),
    )
    return shoulder, elbow, wrist


def _along(a: Point, b: Point, share: float) -> Point:
    return tuple(p + share * (q - p) for p, q in zip(a, b, strict=True))


def _legs(person: Person, pose: Pose) -> tuple[list[Tube], float]:
    """Both legs, and how high the lower foot is."""
    parts, ground = [], []
    b = 0.6 + 0.4 * person.build
    bare = person.cut == "dress" or person.bottom_cut in ("shorts", "skirt")
    hip_height = 0.5 * person.legs
    for side in (1, -1):
        swing = pose.stride * sin(pose.phase) * side
        lifting = pose.stride * cos(pose.phase) * side
        knee_bend = 0.06 + 0.9 * max(0.0, lifting) + 0.3 * max(0.0, -swing)
        hip = (0.045 * person.build * side, hip_height, 0.0)
        thigh, shin = 0.225 * person.legs, 0.215 * person.legs
        knee = (hip[0], hip[1] - thigh * cos(swing), thigh * sin(swing))
        back = swing - knee_bend
        ankle = (hip[0] * 0.95, knee[1] - shin * cos(back), knee[2] + shin * sin(back))
        toe = (ankle[0] * 1.15, ankle[1] - 0.034 - 0.05 * max(0.0, -back), ankle[2] + 0.062)
        ground.append(min(ankle[1], toe[1] + 0.03))
        cloth = person.skin if bare else person.bottom
        hem = 0.052 if person.bottom_cut == "wide trousers" else 0.031
        shin_radii = (0.033, 0.034, 0.021) if bare else (0.042, (0.042 + hem) / 2, hem)
        thigh_radii = (0.046, 0.042, 0.034) if bare else (0.053, 0.05, 0.043)
        parts += [
            Tube(hip, knee, tuple(b * r for r in thigh_radii), cloth, (0.03, 0.034), lift=-0.12),
            Tube(knee, ankle, tuple(b * r for r in shin_radii), cloth, (0.034, 0.006), lift=-0.118),
            Tube(
                (ankle[0], ankle[1] - 0.022, ankle[2] - 0.018),
                toe,
                (0.027, 0.028, 0.02),
                person.shoes,
                (0.018, 0.018),
                lift=-0.125,
            ),
        ]
        if person.bottom_cut == "shorts" and person.cut != "dress":
            parts.append(
                Tube(
                    hip,
                    _along(hip, knee, 0.8),
                    tuple(b * r for r in (0.056, 0.056, 0.058)),
                    person.bottom,
                    (0.03, 0.003),
                    lift=-0.115,
                )
            )
    return parts, min(ground) - 0.05


def _head(person: Person) -> list[Tube]:
    centre, half = 0.905, 0.085
    start, end = (0, centre + 0.017, 0.006), (0, centre - 0.017, 0.006)
    parts = [Tube(start, end, (0.065, 0.065, 0.058), person.skin, (0.068, 0.068), 1.06, lift=0.02)]

    def dome(colour: Colour, line: Mask, swell: float, lift: float, flat: float = 1.06) -> Tube:
        """A second skin over the head, there where its height (-1 to 1) is above the line."""

        def cover(angle: np.ndarray, along: np.ndarray) -> np.ndarray:
            height = (0.017 - along) / half
            return soft(height - line(angle, along), 0.12)

        return Tube(
            start,
            end,
            (0.065 * swell, 0.066 * swell, 0.06 * swell),
            colour,
            (0.068 * swell, 0.068 * swell),
            flat,
            (),
            cover,
            lift,
        )

    def face(
        angle: float, height: float, size: float, colour: Colour, length: float, lift: float = 0.0
    ) -> Tube:
        """A spot on the front of the head, `height` from -1 to 1; hidden behind it by depth."""
        x, z = 0.063 * sin(angle), 0.069 * cos(angle)
        y = centre + half * height
        return Tube(
            (x, y + length, z), (x, y - length, z), (size,) * 3, colour, (size, size), lift=lift
        )

    # A spot is drawn over the head while its own depth is beyond the head's lift of 0.02.
    dark = (0.13, 0.09, 0.08)
    white = tuple(0.3 * s + 0.68 for s in person.skin)
    blush = tuple(0.8 * s + 0.2 * c for s, c in zip(person.skin, (0.95, 0.25, 0.25), strict=True))
    parts += [face(0.42 * s, -0.02, 0.0105, white, 0.002) for s in (1, -1)]
    parts += [face(0.41 * s, -0.03, 0.008, dark, 0.003, 0.004) for s in (1, -1)]
    parts += [face(0.62 * s, -0.33, 0.012, blush, 0.0) for s in (1, -1)]
    parts += [
        face(0.0, -0.2, 0.011, darker(person.skin, 0.93), 0.006),
    ]
    for x in (0.018, -0.018):  # a smile
        parts.append(
            Tube(
                (x, centre - 0.043, 0.06),
                (0, centre - 0.05, 0.064),
                (0.004, 0.005, 0.005),
                tuple(0.65 * c for c in blush),
                (0.003, 0.003),
            )
        )
    if person.hat == "headscarf":
        parts += [
            dome(
                person.hat_colour,
                lambda angle, _: np.where(np.cos(angle) > 0.62, 0.45, -1.3),
                1.12,
                0.024,
            ),
            Tube(
                (0, 0.85, 0),
                (0, 0.79, 0),
                (0.05, 0.075, 0.098),
                darker(person.hat_colour, 0.92),
                (0.02, 0.01),
                0.8,
                lift=0.008,
            ),
        ]
        return parts
    parts += _hair(person, dome)
    return parts + _hat(person, dome)


def _hair(person: Person, dome) -> list[Tube]:
    colour, style = person.hair, person.haircut
    if style == "bald":
        return []
    front, back = {"short": (0.48, -0.5), "bun": (0.5, -0.3)}.get(style, (0.42, -0.9))
    middle, slope = (front + back) / 2, (front - back) / 2

    def line(angle: np.ndarray, _: np.ndarray) -> np.ndarray:
        return middle + slope * np.cos(angle)

    def curtain(angle: np.ndarray, _: np.ndarray) -> np.ndarray:
        return np.where(np.cos(angle) > 0.55, front, -0.75 if style == "afro" else -1.3)

    hangs = style in ("bob", "long", "afro")
    bare = person.hat == "none"
    swell = {"afro": 1.42 if bare else 1.2, "bob": 1.2, "long": 1.14}.get(style, 1.09)
    parts = [dome(colour, curtain if hangs else line, swell, 0.022)]
    if style == "long":
        parts.append(
            Tube(
                (0, 0.9, -0.028), (0, 0.735, -0.06), (0.066, 0.07, 0.056), colour, (0.02, 0.03), 0.5
            )
        )
    if style == "ponytail":
        parts.append(
            Tube((0, 0.93, -0.075), (0, 0.79, -0.1), (0.02, 0.028, 0.014), colour, (0.02, 0.02))
        )
    if style == "bun" and bare:
        parts.append(
            Tube(
                (0, 0.985, -0.035), (0, 0.975, -0.04), (0.034,) * 3, colour, (0.03, 0.03), lift=0.04
            )
        )
    return parts


def _hat(person: Person, dome) -> list[Tube]:
    colour = person.hat_colour
    match person.hat:
        case "cap":
            return [
                dome(colour, lambda angle, _: 0.22 + 0.12 * np.cos(angle), 1.16, 0.026),
                Tube(
                    (-0.045, 0.938, 0.078),
                    (0.045, 0.938, 0.078),
                    (0.012, 0.016, 0.012),
                    darker(colour, 0.8),
                    (0.015, 0.015),
                ),
                Tube(
                    (0, 0.944, 0.05),
                    (0, 0.934, 0.115),
                    (0.014, 0.014, 0.01),
                    darker(colour, 0.8),
                    (0.01, 0.01),
                ),
            ]
        case "beanie":
            return [
                dome(colour, lambda angle, _: 0.18 + 0 * angle, 1.18, 0.026),
                Tube(
                    (0, 0.935, 0.006),
                    (0, 0.915, 0.006),
                    (0.071,) * 3,
                    darker(colour, 0.8),
                    (0.004, 0.004),
                    1.06,
                    lift=0.027,
                ),
                Tube(
                    (0, 1.005, 0),
                    (0, 1.0, 0),
                    (0.022,) * 3,
                    darker(colour, 0.85),
                    (0.02, 0.02),
                    lift=0.03,
                ),
            ]
        case "sun hat":
            return [
                dome(colour, lambda angle, _: 0.3 + 0 * angle, 1.12, 0.026),
                Tube(
                    (0, 0.94, 0.006),
                    (0, 0.93, 0.006),
                    (0.115,) * 3,
                    darker(colour, 0.9),
                    (0.012, 0.012),
                    lift=0.027,
                ),
                Tube(
                    (0, 0.952, 0.006),
                    (0, 0.942, 0.006),
                    (0.066,) * 3,
                    darker(colour, 0.55),
                    (0.003, 0.003),
                    lift=0.028,
                ),
            ]
        case _:
            return []


def _bag(person: Person, pose: Pose) -> list[Tube]:
    colour, side = person.bag_colour, 1 if person.left_handed else -1
    b = person.build
    match person.bag:
        case "backpack":
            pocket = (
                (
                    lambda angle, along: 0.8 * soft(along - 0.11) * soft(0.19 - along),
                    darker(colour),
                ),
            )
            return [
                Tube(
                    (0, 0.775, -0.062 * b - 0.04),
                    (0, 0.57, -0.062 * b - 0.045),
                    (0.07, 0.08, 0.078),
                    colour,
                    (0.025, 0.015),
                    0.62,
                    pocket,
                )
            ]
        case "satchel":
            x = side * (0.098 * b + 0.02)
            flap = ((lambda angle, along: soft(0.045 - along), darker(colour, 0.8)),)
            return [
                Tube(
                    (x, 0.525, 0.0),
                    (x, 0.43, 0.0),
                    (0.032, 0.034, 0.034),
                    colour,
                    (0.006, 0.008),
                    1.9,
                    flap,
                    lift=0.03 if side else 0,
                )
            ]
        case "handbag":
            swing = -0.75 * pose.stride * sin(pose.phase) * side
            _, elbow, wrist = _arm(
                person, pose, side, swing, min(pose.elbows[0 if side > 0 else 1], 0.3)
            )
            x, y, z = _along(elbow, wrist, 1.15)
            return [
                Tube(
                    (x, y - 0.005, z),
                    (x, y - 0.05, z),
                    (0.022, 0.03, 0.03),
                    darker(colour, 0.75),
                    (0.01, 0.0),
                    1.2,
                    cover=lambda angle, along: soft(np.abs(np.sin(angle)) - 0.6, 0.2),
                ),
                Tube(
                    (x, y - 0.05, z),
                    (x, y - 0.125, z),
                    (0.034, 0.042, 0.044),
                    colour,
                    (0.006, 0.008),
                    1.4,
                    lift=0.004,
                ),
            ]
        case _:
            return []
