"""Pieces of a drawing in SVG, as strings: words with mathematics, boxes, arrows, pedestrians."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from html import escape

Colours = tuple[str, str]  # stroke and fill
Shape = tuple[str, str, tuple[float, ...]]  # kind, colour, numbers, on a ground of 32 x 64
Colour = tuple[float, ...]  # red, green, blue in [0, 255]

INK, QUIET, LINE = "#1f2937", "#475569", "#64748b"
PLAIN: Colours = ("#94a3b8", "#ffffff")


# Words


def label(
    x: float,
    y: float,
    words: str,
    size: int = 20,
    colour: str = INK,
    anchor: str = "middle",
    bold: bool = False,
) -> str:
    """A line of text; what stands between dollars is set as mathematics, as in ``$f_c^i$``."""
    spans = [
        _mathematics(part, size) if number % 2 else escape(part)
        for number, part in enumerate(words.split("$"))
    ]
    weight = ' font-weight="bold"' if bold else ""
    style = f'font-size="{size}" fill="{colour}" text-anchor="{anchor}"{weight}'
    return f'<text x="{x:g}" y="{y:g}" {style}>{"".join(spans)}</text>'


def _mathematics(formula: str, size: int) -> str:
    """Letters with sub- and superscripts, moved by ``dy``, which every browser knows."""
    spans, shift = [], 0.0
    for mark, group, letter in re.findall(r"([_^]?)(?:\{([^{}]*)\}|(.))", formula):
        wanted = {"_": 0.22, "^": -0.38, "": 0.0}[mark] * size
        small = f' font-size="{round(size * 0.74)}"' if mark else ""
        move = f' dy="{wanted - shift:g}"' if wanted != shift else ""
        spans.append(f'<tspan class="m"{small}{move}>{escape(group or letter)}</tspan>')
        shift = wanted
    if shift:
        spans.append(f'<tspan dy="{-shift:g}">\u200b</tspan>')  # back to the line
    return "".join(spans)


# Boxes and arrows


def panel(
    x: float, y: float, width: float, height: float, colours: Colours = PLAIN, dash: str = ""
) -> str:
    """A rounded box."""
    where = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="10"'
    return (
        f'<rect {where} fill="{colours[1]}" stroke="{colours[0]}" stroke-width="2"{_dashed(dash)}/>'
    )


def box(
    x: float, y: float, lines: list[str], colours: Colours, width: float = 192, dash: str = ""
) -> str:
    """A box, 24 + 25 a line high, with a bold first line and the others below it."""
    middle = x + width / 2
    words = [label(middle, y + 31, lines[0], 24, colours[0], bold=True)]
    words += [label(middle, y + 33 + 25 * n, line) for n, line in enumerate(lines[1:], 1)]
    return panel(x, y, width, 24 + 25 * len(lines), colours, dash) + "".join(words)


def chip(x: float, y: float, words: str, colours: Colours, width: float = 64) -> str:
    """A feature: a small filled pill around (x, y)."""
    where = f'x="{x - width / 2:g}" y="{y - 17:g}" width="{width:g}" height="34" rx="17"'
    return f'<rect {where} fill="{colours[0]}"/>' + label(x, y + 7, words, 21, "#ffffff")


def line(*points: tuple[float, float], colour: str = LINE) -> str:
    """A line through the points."""
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'


def arrow(*points: tuple[float, float], colour: str = LINE) -> str:
    """A line through the points with a head at the last."""
    (x0, y0), (x1, y1) = points[-2:]
    length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    x, y = x1 - 11 * dx, y1 - 11 * dy  # where the head begins
    head = f"{x1:g},{y1:g} {x - 6 * dy:g},{y + 6 * dx:g} {x + 6 * dy:g},{y - 6 * dx:g}"
    return line(*points[:-1], (x, y), colour=colour) + f'<polygon points="{head}" fill="{colour}"/>'


# Pedestrians


def pedestrian(
    coat: str, stripe: str, trousers: str, hair: str, skin: str, bag: str
) -> list[Shape]:
    """A person before a wall, from back to front."""
    return [
        ("rect", "#dfe6ee", (0, 0, 32, 50)),
        ("rect", "#c3ccd6", (0, 50, 32, 14)),
        ("ellipse", hair, (16, 8.8, 5.2, 5.6)),
        ("polygon", skin, (14, 12, 18, 12, 18, 19, 14, 19)),
        ("polygon", bag, (21, 22, 27, 22, 28, 36, 21, 36)),
        ("polygon", coat, (9.5, 18, 6, 34, 8.6, 36, 13, 22)),
        ("polygon", coat, (22.5, 18, 26, 34, 23.4, 36, 19, 22)),
        ("ellipse", skin, (7.2, 36.2, 1.7, 1.9)),
        ("ellipse", skin, (24.8, 36.2, 1.7, 1.9)),
        ("polygon", trousers, (10, 35, 16, 35, 15.4, 57, 10.8, 57)),
        ("polygon", trousers, (16, 35, 22, 35, 21.2, 57, 16.6, 57)),
        ("ellipse", "#273043", (12.6, 58, 3.2, 1.8)),
        ("ellipse", "#273043", (19.4, 58, 3.2, 1.8)),
        ("polygon", coat, (9.5, 18, 22.5, 18, 22.8, 38, 9.2, 38)),
        ("polygon", stripe, (9.4, 24, 22.6, 24, 22.7, 27, 9.3, 27)),
        ("polygon", stripe, (9.4, 30, 22.6, 30, 22.7, 33, 9.3, 33)),
        ("ellipse", skin, (16, 10, 3.9, 4.7)),
        ("polygon", hair, (11.6, 9, 12.6, 4.2, 19.4, 4.2, 20.4, 9, 16, 7)),
    ]


def sharp(shapes: list[Shape]) -> str:
    """A person as a good camera records one."""
    names = {"rect": ("x", "y", "width", "height"), "ellipse": ("cx", "cy", "rx", "ry")}
    drawn = []
    for kind, colour, numbers in shapes:
        if kind == "polygon":
            where = 'points="' + " ".join(f"{number:g}" for number in numbers) + '"'
        else:
            pairs = zip(names[kind], numbers, strict=True)
            where = " ".join(f'{name}="{number:g}"' for name, number in pairs)
        drawn.append(f'<{kind} {where} fill="{colour}"/>')
    return "".join(drawn)


def down_sampled(shapes: list[Shape]) -> str:
    """What a synthetic degradation makes of one: clean blocks, the colours untouched."""
    return _mosaic(shapes, 8, lambda colour: colour)


def poorly_recorded(shapes: list[Shape]) -> str:
    """What a poor camera makes of one: blocks, and dullness, a cast and noise besides."""
    rng = random.Random(4)
    cast = (92, 92, 104)

    def spoil(colour: Colour) -> Colour:
        noise = rng.gauss(0, 9)
        return tuple(0.62 * c + 0.38 * g + noise for c, g in zip(colour, cast, strict=True))

    return _mosaic(shapes, 10, spoil)


def _mosaic(shapes: list[Shape], columns: int, change: Callable[[Colour], Colour]) -> str:
    size = 32 / columns
    blocks = []
    for row in range(2 * columns):
        for column in range(columns):
            seen = [
                _colour(shapes, (column + (a + 0.5) / 5) * size, (row + (b + 0.5) / 5) * size)
                for a in range(5)
                for b in range(5)
            ]
            mean = change(tuple(sum(parts) / 25 for parts in zip(*seen, strict=True)))
            red, green, blue = (min(255, max(0, round(part))) for part in mean)
            where = f'x="{column * size:g}" y="{row * size:g}" width="{size:g}" height="{size:g}"'
            blocks.append(f'<rect {where} fill="#{red:02x}{green:02x}{blue:02x}"/>')
    return f'<g shape-rendering="crispEdges">{"".join(blocks)}</g>'


def _colour(shapes: list[Shape], x: float, y: float) -> tuple[int, ...]:
    top = next(colour for kind, colour, n in reversed(shapes) if _inside(kind, n, x, y))
    return tuple(int(top[i : i + 2], 16) for i in (1, 3, 5))


def _inside(kind: str, n: tuple[float, ...], x: float, y: float) -> bool:
    if kind == "rect":
        return n[0] <= x <= n[0] + n[2] and n[1] <= y <= n[1] + n[3]
    if kind == "ellipse":
        return ((x - n[0]) / n[2]) ** 2 + ((y - n[1]) / n[3]) ** 2 <= 1
    corners = list(zip(n[::2], n[1::2], strict=True))
    crossings = 0  # of the polygon's sides with the ray to the left
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        crossings += (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0)
    return crossings % 2 == 1


def _dashed(dash: str) -> str:
    return f' stroke-dasharray="{dash}"' if dash else ""


def photo(name: str, x: float, y: float, height: float, frame: Colours = (LINE, "")) -> str:
    """The picture defined as ``name``, framed; a frame is a colour and its dashes' lengths."""
    colour, dash = frame
    where = f'x="{x:g}" y="{y:g}" width="{height / 2:g}" height="{height:g}" fill="none"'
    thick = 1.5 if colour == LINE else 4
    return (
        f'<use href="#{name}" transform="translate({x:g} {y:g}) scale({height / 64:g})"/>'
        f'<rect {where} stroke="{colour}" stroke-width="{thick}"{_dashed(dash)}/>'
    )
