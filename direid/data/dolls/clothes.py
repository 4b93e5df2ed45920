"""Who a paper doll is, and what is printed on its clothes.

A print is a mask and a colour. Masks see the angle around the body and the length along the tube,
so a print is the same thing from every side: `canvas.Mask`.
"""

from dataclasses import dataclass
from math import cos, pi

import numpy as np

from direid.data.dolls.canvas import Colour, Mask, soft, wave

Print = tuple[Mask, Colour]

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
    accent: Colour  # of the pattern or logo
    trim: Colour  # of a yoke, sleeves or hem, and of the shirt under an open jacket
    bottom: Colour
    shoes: Colour
    bag_colour: Colour
    hat_colour: Colour
    cut: str  # one of CUTS, and so on
    block: str
    bottom_cut: str
    haircut: str
    hat: str
    bag: str
    print: str  # one of PATTERNS (all over) or of LOGOS (on chest, back and arms)
    period: float  # of a pattern, over the body height
    build: float  # width over the average width
    legs: float  # hip height over the average
    left_handed: bool  # the side of the bag

    @property
    def long_sleeved(self) -> bool:
        """Whether the top covers the arms."""
        return self.cut not in ("t-shirt", "dress")

    @property
    def bag_side(self) -> int:
        """1 for the doll's left, -1 for its right."""
        return 1 if self.left_handed else -1


def darker(colour: Colour, share: float = 0.7) -> Colour:
    """The colour in the shade."""
    return tuple(share * c for c in colour)


def pattern(name: str, period: float, radius: float) -> Mask:
    """An all-over pattern on a tube of this radius: about half of the cloth is 1, half is 0.

    The halves are equal on purpose: from far away all patterns are one colour.
    """
    a, b = radius / period, 1 / period  # periods in a radian, in a unit of length
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
        reach = np.where(np.cos(angle) > 0, size, 1.25 * size)
        x = width * np.sin(angle) / reach  # -1 to 1 across the sign
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
            case _:  # the diamond
                inside = 1 - ax - 0.8 * ay
        return soft(inside, 0.3)

    return mask


def slit(half_angle: float, edge: float = 0.02) -> Mask:
    """A strip down the front, this wide to each side: an open jacket, a row of buttons."""
    return lambda angle, _: soft(np.cos(angle) - cos(half_angle), edge)


def above(length: float) -> Mask:
    """The first `length` of the tube."""
    return lambda _, along: soft(length - along)


def below(length: float) -> Mask:
    """All but the first `length` of the tube."""
    return lambda _, along: soft(along - length)


def cloth(person: Person, radius: float) -> list[Print]:
    """What is printed all over the top; nothing when it has a logo instead."""
    if person.print in LOGOS:
        return []
    return [(pattern(person.print, person.period, radius), person.accent)]


def sleeve(person: Person, radius: float) -> list[Print]:
    """As `cloth`, for an arm."""
    if person.block == "sleeves":
        return [(lambda angle, along: np.ones_like(along), person.trim)]
    return cloth(person, radius)


def badge(person: Person, side: int) -> list[Print]:
    """The logo again, small, on the outside of the upper arm: what a side view shows of it."""
    if person.print in PATTERNS:
        return []
    sign = logo(person.print, at=0.045, size=0.03, width=0.034)
    return [(lambda angle, along: sign(angle - side * pi / 2, along), person.accent)]


def torso(person: Person, radius: float) -> list[Print]:
    """Everything printed on the trunk, later over earlier."""
    cut, top = person.cut, person.top
    prints = cloth(person, radius)
    if person.block == "yoke":
        prints.append((above(0.075), person.trim))
    if person.block == "hem" and cut not in ("coat", "dress"):  # those carry it further down
        prints.append((below(0.2), person.trim))
    if cut in ("jacket", "coat"):
        opening = 0.34 if cut == "jacket" else 0.22
        closed = person.print in LOGOS  # so that the chest shows it
        prints.append((slit(0.08 if closed else opening), person.trim))
    if cut == "shirt":
        prints.append((slit(0.07, 0.002), darker(top)))
    if cut == "hoodie":
        prints.append((_pouch, darker(top, 0.72)))
    if person.print in LOGOS:
        prints.append((logo(person.print), person.accent))
    if cut not in ("hoodie", "coat"):
        prints.append((_neckline(0.022 if cut == "dress" else 0.008), person.skin))
    strap = darker(person.bag_colour, 0.85)
    if person.bag == "backpack":
        prints.append((_shoulder_straps, strap))
    if person.bag == "satchel":
        prints.append((_diagonal_strap(person.bag_side), strap))
    return prints


def _pouch(angle: np.ndarray, along: np.ndarray) -> np.ndarray:
    return soft(np.cos(angle) - 0.72, 0.05) * soft(along - 0.19) * soft(0.27 - along)


def _neckline(depth: float) -> Mask:
    """Skin at the neck, `depth` below the shoulders in front, less behind."""
    return lambda angle, along: soft(
        np.where(np.cos(angle) > 0, depth, -0.024) - along - 0.2 * np.sin(angle) ** 2
    )


def _shoulder_straps(angle: np.ndarray, along: np.ndarray) -> np.ndarray:
    half_turn = np.abs(np.mod(angle + pi, 2 * pi) - pi)  # 0 in front, pi behind
    return soft(0.13 - np.abs(half_turn - 0.72), 0.06) * soft(0.19 - along)


def _diagonal_strap(side: int) -> Mask:
    """From one shoulder to the other hip: a plane through the trunk, so a sine around it."""
    return lambda angle, along: soft(0.013 - np.abs(along - 0.145 - 0.165 * side * np.sin(angle)))
