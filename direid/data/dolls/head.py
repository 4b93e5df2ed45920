"""The head of a paper doll: a face, hair, a hat.

Hair and hats are second, slightly larger skins over the head, present above some line: a fringe in
front and the nape behind, the rim of a cap.
"""

from collections.abc import Callable
from math import cos, sin

import numpy as np

from direid.data.dolls.canvas import Colour, Tube, soft
from direid.data.dolls.clothes import Person, darker

Line = Callable[[np.ndarray], np.ndarray]  # angle around the head -> height, -1 chin to 1 crown

CENTRE, HALF = 0.905, 0.085  # height of the head's middle, half of its height
HALF_AXIS = 0.017
START, END = (0, CENTRE + HALF_AXIS, 0.006), (0, CENTRE - HALF_AXIS, 0.006)
FLAT = 1.06  # longer than wide
EYES, DARK, PINK = 0.42, (0.13, 0.09, 0.08), (0.95, 0.25, 0.25)


def head(person: Person) -> list[Tube]:
    """Head, face, and what is on it."""
    # Spots on the face have no lift: the head covers them unless they are on its near side.
    skull = Tube(
        START, END, (0.065, 0.065, 0.058), person.skin, (0.068, 0.068), FLAT, lift=0.02
    )  # fmt: skip
    parts = [skull, *_face(person)]
    if person.hat != "headscarf":
        parts += _hair(person)
    return parts + _hat(person)


def _face(person: Person) -> list[Tube]:
    white = tuple(0.3 * s + 0.68 for s in person.skin)
    blush = tuple(0.8 * s + 0.2 * p for s, p in zip(person.skin, PINK, strict=True))
    smile, lips = (0.004, 0.005, 0.005), darker(blush, 0.65)
    parts = [_spot(0.0, -0.2, 0.011, darker(person.skin, 0.93), 0.006)]  # the nose
    for side in (1, -1):
        corner = (0.018 * side, CENTRE - 0.043, 0.06)
        parts += [
            _spot(EYES * side, -0.02, 0.0105, white, 0.002),
            _spot(EYES * side, -0.03, 0.008, DARK, 0.003, lift=0.004),
            _spot(0.62 * side, -0.33, 0.012, blush, 0.0),
            Tube(corner, (0, CENTRE - 0.05, 0.064), smile, lips, (0.003, 0.003)),
        ]
    return parts


def _spot(
    angle: float, height: float, size: float, colour: Colour, length: float, lift: float = 0.0
) -> Tube:
    """A spot on the head: `angle` from the front, `height` from -1 (chin) to 1 (crown)."""
    x, y, z = 0.063 * sin(angle), CENTRE + HALF * height, 0.069 * cos(angle)
    ends = (x, y + length, z), (x, y - length, z)
    return Tube(*ends, (size,) * 3, colour, (size, size), lift=lift)


def _dome(colour: Colour, line: Line, swell: float, lift: float) -> Tube:
    """A second skin, `swell` times the head, there where the height (-1 to 1) is above the line."""

    def cover(angle: np.ndarray, along: np.ndarray) -> np.ndarray:
        return soft((HALF_AXIS - along) / HALF - line(angle), 0.12)

    radii, caps = (0.065 * swell, 0.066 * swell, 0.06 * swell), (0.068 * swell,) * 2
    return Tube(START, END, radii, colour, caps, FLAT, cover=cover, lift=lift)


def _opening(front: float, back: float, cosine: float) -> Line:
    """A line at `front` over the face, whose width `cosine` sets, and at `back` all around it."""
    return lambda angle: np.where(np.cos(angle) > cosine, front, back)


def _slope(front: float, back: float) -> Line:
    """A line that falls from `front` to `back` around the head."""
    return lambda angle: (front + back) / 2 + (front - back) / 2 * np.cos(angle)


def _hair(person: Person) -> list[Tube]:
    colour, bare = person.hair, person.hat == "none"  # a hat presses the hair down
    match person.haircut:
        case "short":
            return [_dome(colour, _slope(0.48, -0.5), 1.09, 0.022)]
        case "bob":
            return [_dome(colour, _opening(0.42, -1.3, 0.55), 1.2, 0.022)]
        case "afro":
            return [_dome(colour, _opening(0.42, -0.75, 0.55), 1.42 if bare else 1.2, 0.022)]
        case "long":
            falling = Tube(
                (0, 0.9, -0.028), (0, 0.735, -0.06), (0.066, 0.07, 0.056), colour, (0.02, 0.03), 0.5
            )  # fmt: skip
            return [_dome(colour, _opening(0.42, -1.3, 0.55), 1.14, 0.022), falling]
        case "ponytail":
            tail = Tube((0, 0.93, -0.075), (0, 0.79, -0.1), (0.02, 0.028, 0.014), colour)
            return [_dome(colour, _slope(0.42, -0.9), 1.09, 0.022), tail]
        case "bun":
            knot = Tube(
                (0, 0.985, -0.035), (0, 0.975, -0.04), (0.034,) * 3, colour, (0.03, 0.03), lift=0.04
            )  # fmt: skip
            crop = _dome(colour, _slope(0.5, -0.3), 1.09, 0.022)
            return [crop, knot] if bare else [crop]
        case _:
            return []


def _hat(person: Person) -> list[Tube]:
    colour, shade = person.hat_colour, darker(person.hat_colour, 0.8)

    def ring(
        top: float, bottom: float, radius: float, colour: Colour, cap: float, lift: float
    ) -> Tube:
        ends = (0, top, 0.006), (0, bottom, 0.006)
        return Tube(*ends, (radius,) * 3, colour, (cap, cap), lift=lift)

    match person.hat:
        case "cap":
            across = (-0.045, 0.938, 0.078), (0.045, 0.938, 0.078)
            ahead = (0, 0.944, 0.05), (0, 0.934, 0.115)
            return [
                _dome(colour, _slope(0.34, 0.1), 1.16, 0.026),
                Tube(*across, (0.012, 0.016, 0.012), shade, (0.015, 0.015)),
                Tube(*ahead, (0.014, 0.014, 0.01), shade, (0.01, 0.01)),
            ]
        case "beanie":
            return [
                _dome(colour, _slope(0.18, 0.18), 1.18, 0.026),
                ring(0.935, 0.915, 0.071, shade, 0.004, 0.027),
                ring(1.005, 1.0, 0.022, shade, 0.02, 0.03),
            ]
        case "sun hat":
            return [
                _dome(colour, _slope(0.3, 0.3), 1.12, 0.026),
                ring(0.94, 0.93, 0.115, darker(colour, 0.9), 0.012, 0.027),
                ring(0.952, 0.942, 0.066, darker(colour, 0.55), 0.003, 0.028),
            ]
        case "headscarf":
            shoulders = Tube(
                (0, 0.85, 0), (0, 0.79, 0), (0.05, 0.075, 0.098), darker(colour, 0.92),
                (0.02, 0.01), 0.8, lift=0.008,
            )  # fmt: skip
            return [_dome(colour, _opening(0.45, -1.3, 0.62), 1.12, 0.024), shoulders]
        case _:
            return []
