"""Draw the picture of the method, book/img/method.svg, and the book's logo beside it.

    python scripts/draw_method.py [FOLDER]

Plain Python, the same bytes every time; a test holds the stored pictures to it. They bring their
own light ground, so they read alike on a light and on a dark page, and the picture of the method is
narrow and tall with large words, so it reads on a telephone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from drawing import (
    INK,
    LINE,
    QUIET,
    arrow,
    box,
    chip,
    down_sampled,
    label,
    line,
    panel,
    pedestrian,
    photo,
    poorly_recorded,
    sharp,
)

IMAGES = Path(__file__).resolve().parent.parent / "book" / "img"
WIDTH, HEIGHT = 640, 2004

CONTENT = ("#1d4ed8", "#dbeafe")
DEGRADATION = ("#b45309", "#ffedd5")
IDENTITY = ("#047857", "#d1fae5")
JUDGE = ("#6d28d9", "#ede9fe")
WHOLE = (INK, "#e2e8f0")

LEFT, RIGHT = 16, 328  # two panels of 296 side by side
FIRST, SECOND, THIRD = 16, 224, 432  # or three boxes of 192,
MIDDLES = (112, 320, 528)  # and their middles

PERSON_I = pedestrian("#c2413b", "#fde68a", "#274c77", "#5b3a29", "#e8b48f", "#374151")
PERSON_K = pedestrian("#2f7d5d", "#d9f99d", "#3b3b46", "#20202a", "#b07a56", "#b45309")
PICTURES = {
    "i": sharp(PERSON_I),
    "i-synthetic": down_sampled(PERSON_I),
    "i-poor": poorly_recorded(PERSON_I),
    "k": sharp(PERSON_K),
    "k-poor": poorly_recorded(PERSON_K),
}


def heading(y: float, number: str, name: str, what: str) -> list[str]:
    """A stage's title over its subtitle."""
    return [
        f'<circle cx="38" cy="{y}" r="21" fill="{INK}"/>',
        label(38, y + 9, number, 26, "#ffffff", bold=True),
        label(72, y + 2, name, 28, INK, "start", bold=True),
        label(72, y + 28, what, 20, QUIET, "start"),
    ]


def pair(x: float, y: float, title: str, other: str, picture: str, gap: float) -> list[str]:
    """A panel with the two images of a training pair, x_i and ``other``."""
    first, second = x + 116 - gap / 2, x + 116 + gap / 2
    return [
        panel(x, y, 296, 226),
        label(x + 148, y + 32, title, 22, bold=True),
        photo("i", first, y + 48, 128),
        photo(picture, second, y + 48, 128),
        label(first + 32, y + 208, "$x_i$", 24),
        label(second + 32, y + 208, f"$x_{other}$", 24),
    ]


def swaps(x: float, y: float, other: str, pictures: str, kept: str, notes: list[str]) -> list[str]:
    """The table of a pair's decoded images: a row a content, a column a degradation.

    Args:
        x: of the panel's left upper corner.
        y: likewise.
        other: the letter of the pair's second image.
        pictures: the four to show, row by row.
        kept: the names of those that have a target.
        notes: what the two kinds of frames mean.
    """
    out = [panel(x, y, 296, 434)]
    names = iter(pictures.split())
    for row, a in enumerate(("i", other)):
        out.append(chip(x + 112 + 104 * row, y + 32, f"$f_d^{a}$", DEGRADATION))
        out.append(chip(x + 38, y + 118 + 152 * row, f"$f_c^{a}$", CONTENT, 52))
        for column, b in enumerate(("i", other)):
            left, top = x + 84 + 104 * column, y + 62 + 152 * row
            frame = (IDENTITY[0], "") if a + b in kept.split() else (JUDGE[0], "8 5")
            out.append(photo(next(names), left, top, 112, frame))
            out.append(label(left + 28, top + 136, f"$x_{{{a}{b}}}$", 22))
    out.append(label(x + 148, y + 390, notes[0], 20, IDENTITY[0]))
    out.append(label(x + 148, y + 418, notes[1], 20, JUDGE[0]))
    return out


def ddgan(y: float) -> list[str]:
    """Stage 1 from its title, at ``y``, down (figure 2 of the paper)."""
    out = heading(y, "1", "DDGAN", "Degradation invariance learning, section 3.3")
    y += 52
    out += pair(LEFT, y, "Self-degraded pair", "j", "i-synthetic", 160)
    out += [
        arrow((LEFT + 106, y + 116), (LEFT + 190, y + 116)),
        label(LEFT + 147, y + 102, "$F_{deg}$", 24),
    ]
    out += pair(RIGHT, y, "Real pair", "k", "k-poor", 124)
    out += [panel(270, y + 184, 100, 38, (LINE, "#ffffff")), label(320, y + 210, "in turn", 21)]
    y += 226
    out += [arrow((x, y), (x, y + 34)) for x in MIDDLES]
    y += 36
    losses = "$L_{invc}$ (1), $L_{id}$ (9)"
    out += [
        box(FIRST, y, ["$E_c$", "content encoder", losses], CONTENT),
        box(SECOND, y, ["$E_d$", "degradation", "encoder, of $x_i$, $x_k$"], DEGRADATION),
        box(
            THIRD,
            y,
            ["$E'_d$", "self-degradation", "encoder, of $x_j$ only"],
            DEGRADATION,
            dash="7 5",
        ),
    ]
    y += 99
    features = (
        ("$f_c$", CONTENT, 64),
        ("$f_d^i$, $f_d^k$", DEGRADATION, 96),
        ("$f_d^j$", DEGRADATION, 64),
    )
    for x, (name, colours, width) in zip(MIDDLES, features, strict=True):
        out += [
            arrow((x, y), (x, y + 62), colour=colours[0]),
            chip(x, y + 24, name, colours, width),
        ]
    y += 64
    out.append(
        box(16, y, ["$G$  decoder", "every content with every degradation (AdaIN)"], WHOLE, 608)
    )
    y += 74
    out += [arrow((164, y), (164, y + 30)), arrow((476, y), (476, y + 30))]
    y += 32
    notes = ["solid: must be $x_i$ (2)", "dashed: must look real (4)"]
    out += swaps(LEFT, y, "j", "i i-poor i i-poor", "ii ji", notes)
    notes = ["solid: must be the input (6)", "dashed: must look real (7)"]
    out += swaps(RIGHT, y, "k", "i i-poor k k-poor", "ii kk", notes)
    y += 434
    out += [arrow((x, y), (x, y + 30)) for x in MIDDLES]
    y += 32
    reality = ["$D_r$", "reality", "discriminator:", "photograph?", "$L_{real}$ (4), (7)"]
    degradation = [
        "$D_d$",
        "degradation",
        "discriminator:",
        "which is worse?",
        "$L_{deg}$ (5), (10)",
    ]
    identity = [
        "$E_{id}$",
        "identity encoder,",
        "pre-trained:",
        "same person?",
        "$L_{pre}$ (3), (8)",
    ]
    out += [
        box(FIRST, y, reality, JUDGE),
        box(SECOND, y, degradation, JUDGE),
        box(THIRD, y, identity, IDENTITY),
        label(320, y + 183, "Sums: $L_{total}^s$ (11) and $L_{total}^c$ (12), in turn", 21, QUIET),
    ]
    return out


def dfen(y: float) -> list[str]:
    """Stage 2 from its title, at ``y``, down (figure 3 of the paper)."""
    out = heading(y, "2", "DFEN", "Identity representation learning, section 3.4")
    y += 52
    out += [photo("k-poor", 288, y, 128), label(366, y + 72, "$x_i$", 24, anchor="start")]
    y += 128
    out += [line((320, y), (320, y + 18))]
    out += [arrow((320, y + 18), (x, y + 18), (x, y + 50)) for x in (112, 528)]
    out += [arrow((320, y + 18), (320, y + 50))]
    y += 52
    out += [
        box(FIRST, y, ["$E_c$", "content encoder", "of stage 1"], CONTENT),
        box(SECOND, y, ["$E_{id}$", "identity encoder,", "pre-trained"], IDENTITY),
        box(THIRD, y, ["$D_d$", "degradation", "score of stage 1"], JUDGE),
    ]
    y += 99
    out += [
        arrow((112, y), (112, y + 118), colour=CONTENT[0]),
        arrow((320, y), (320, y + 118), colour=IDENTITY[0]),
        arrow((528, y), (528, y + 76), (340, y + 76), colour=JUDGE[0]),
        chip(112, y + 30, "$f_{inv}$", CONTENT, 76),
        chip(320, y + 30, "$f_{sen}$", IDENTITY, 76),
        chip(528, y + 30, "Att", JUDGE, 76),
        product(320, y + 76),
        label(434, y + 66, "how far to trust it", 20, JUDGE[0]),
    ]
    y += 120
    out += [
        panel(FIRST, y, 200, 50, CONTENT),
        panel(FIRST + 200, y, 208, 50, IDENTITY),
        label(112, y + 33, "$f_{inv}$", 24, CONTENT[0]),
        label(320, y + 33, "$f_{sen}$ ⊙ Att", 24, IDENTITY[0]),
        label(528, y + 33, "=  $f_{id}$ (13)", 24),
    ]
    y += 50
    out += [arrow((x, y), (x, y + 36)) for x in MIDDLES]
    y += 38
    out += [
        box(FIRST, y, ["$L_{inv}$", "who, by $f_{inv}$?"], CONTENT),
        box(SECOND, y, ["$L_{sen}$", "who, by $f_{sen}$?"], IDENTITY),
        box(THIRD, y, ["$L_{both}$", "who, by $f_{id}$?"], WHOLE),
        label(320, y + 108, "Each: cross-entropy and hard triplet loss (14)", 21, QUIET),
    ]
    return out


def product(x: float, y: float) -> str:
    """The sign ⊙, in a circle around (x, y)."""
    at = f'cx="{x:g}" cy="{y:g}"'
    return (
        f'<circle {at} r="16" fill="#ffffff" stroke="{JUDGE[0]}" stroke-width="2.5"/>'
        f'<circle {at} r="4.5" fill="{JUDGE[0]}"/>'
    )


def method() -> str:
    """The whole picture."""
    serif = "'STIX Two Text', Cambria, 'Times New Roman', 'Liberation Serif', serif"
    ground = f'width="{WIDTH - 2}" height="{HEIGHT - 2}" rx="16" fill="#f8fafc" stroke="#cbd5e1"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" font-family="Helvetica, Arial, Liberation Sans, sans-serif">',
        "<title>The two stages of DI-REID</title>",
        f"<style>.m {{ font-family: {serif}; font-style: italic }}</style>",
        "<defs>",
        *(f'<g id="{name}">{drawn}</g>' for name, drawn in PICTURES.items()),
        "</defs>",
        f'<rect x="1" y="1" {ground} stroke-width="2"/>',
        *ddgan(46),
        *dfen(1344),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def logo() -> str:
    """Head and shoulders, half sharp, half degraded."""
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="128" height="128">',
        "<title>direid</title>",
        '<defs><clipPath id="ground"><rect width="32" height="32" rx="6"/></clipPath>',
        '<clipPath id="half"><rect x="16" width="16" height="64"/></clipPath></defs>',
        f'<g clip-path="url(#ground)">{sharp(PERSON_I)}',
        f'<g clip-path="url(#half)">{down_sampled(PERSON_I)}</g></g>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    (folder / "method.svg").write_text(method(), encoding="utf-8")
    (folder / "logo.svg").write_text(logo(), encoding="utf-8")
