"""The renderer of the drawn benchmark: everything on a paper doll is a tube.

A tube is a straight axis with a radius that changes along it, round or flat ends, shaded like a
cylinder. What is printed on it is a function of the angle around the body and of the length along
the axis, so stripes run around a torso, a logo sits on the chest and is hidden from behind, and a
head with hair on its back is bald in front: one description, any view.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]  # RGB in [0, 1]
Point = tuple[float, float, float]  # x to the doll's left, y up, z forward; the doll is 1 high
# (angle around the body: 0 in front, 90 degrees to the doll's left; length along it) -> [0, 1]
Mask = Callable[[np.ndarray, np.ndarray], np.ndarray]

TILT = 0.16  # the camera looks down a little: what is nearer appears lower


@dataclass(frozen=True)
class Tube:
    """One part of a body, in the body's own units and axes."""

    start: Point
    end: Point
    radii: tuple[float, float, float]  # at the start, in the middle, at the end
    colour: Colour
    caps: tuple[float, float] = (0.02, 0.02)  # how far the rounded ends stick out
    flat: float = 1.0  # thickness front to back over width
    prints: tuple[tuple[Mask, Colour], ...] = ()
    cover: Mask | None = None  # where the tube is there at all; None = everywhere
    lift: float = 0.0  # drawn as if this much nearer to the camera


class Canvas:
    """Pixels (3, H, W), float32 RGB in [0, 1], that tubes are painted on."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.pixels = np.zeros((3, height, width), np.float32)
        self.x = np.arange(0.5, width, dtype=np.float32)
        self.y = np.arange(0.5, height, dtype=np.float32)[:, None]

    def stroke(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        radii: tuple[float, float, float],
        colour: Colour,
        caps: tuple[float, float] = (0.0, 0.0),
        light: float = 0.0,
        prints: Iterable[tuple[Mask, Colour]] = (),
        cover: Mask | None = None,
        turn: float = 0.0,
        unit: float = 1.0,
    ) -> None:
        """Paint one tube; positions and lengths in pixels, y down.

        Args:
            start: of the axis.
            end: of the axis.
            radii: at the start, in the middle, at the end.
            colour: of the tube.
            caps: lengths of the rounded ends.
            light: from -1, lit from the left, to 1, from the right.
            prints: what is printed on it, later over earlier.
            cover: where it is there at all.
            turn: angle around the body that faces the camera.
            unit: pixels in one unit of the masks' length.
        """
        reach = max(radii) + max(caps) + 1
        left, right = _span(start[0], end[0], reach, self.width)
        top, bottom = _span(start[1], end[1], reach, self.height)
        if left >= right or top >= bottom:
            return
        dx, dy = end[0] - start[0], end[1] - start[1]
        length = max((dx * dx + dy * dy) ** 0.5, 1e-3)
        dx, dy = (dx / length, dy / length) if length > 1e-3 else (0.0, 1.0)
        x, y = self.x[left:right] - start[0], self.y[top:bottom] - start[1]
        along, across = x * dx + y * dy, x * dy - y * dx
        t = np.clip(along * (1 / length), 0, 1)
        first, middle, last = radii
        radius = first + t * (
            4 * middle - 3 * first - last + t * (2 * first + 2 * last - 4 * middle)
        )
        beyond = np.maximum(along * (-1 / max(caps[0], 0.3)), (along - length) / max(caps[1], 0.3))
        side = across / radius
        inside = np.maximum(beyond, 0) ** 2 + side * side  # 1 on the outline
        alpha = np.clip((1 - np.sqrt(inside)) * radius + 0.5, 0, 1)
        # A cylinder lit from the front, from `light`'s side and from above.
        tone = side * (0.13 * light * dy + 0.08 * dx)
        tone += 0.74 + 0.26 * np.sqrt(np.maximum(1 - side * side, 0))

        paint = np.array(colour, np.float32)[:, None, None]
        if cover is not None or prints:
            angle = np.arcsin(np.clip(side, -1, 1)) + turn
            along = along * (1 / unit)
            for mask, ink in prints:
                paint = paint + mask(angle, along) * (
                    np.array(ink, np.float32)[:, None, None] - paint
                )
            if cover is not None:
                alpha = alpha * cover(angle, along)
        region = self.pixels[:, top:bottom, left:right]
        region += alpha * (paint * tone - region)

    def doll(
        self,
        tubes: Iterable[Tube],
        yaw: float,
        feet: tuple[float, float],
        unit: float,
        light: float,
    ) -> None:
        """Paint a body, far parts first.

        Args:
            tubes: its parts.
            yaw: 0 faces the camera, positive turns the doll's left side to it.
            feet: where it stands, in pixels.
            unit: pixels in one unit of the body.
            light: as in `stroke`.
        """
        cosine, sine = float(np.cos(yaw)), float(np.sin(yaw))

        def nearness(point: Point) -> float:
            return point[2] * cosine + point[0] * sine

        def seen(point: Point) -> tuple[float, float]:
            x = point[0] * cosine - point[2] * sine
            return feet[0] + unit * x, feet[1] - unit * (point[1] - TILT * nearness(point))

        order = [(nearness(t.start) + nearness(t.end)) / 2 + t.lift for t in tubes]
        for _, tube in sorted(zip(order, tubes, strict=True), key=lambda pair: pair[0]):
            scale = unit * float(np.hypot(cosine, tube.flat * sine))
            self.stroke(
                seen(tube.start),
                seen(tube.end),
                tuple(scale * r for r in tube.radii),
                tube.colour,
                (unit * tube.caps[0], unit * tube.caps[1]),
                light,
                tube.prints,
                tube.cover,
                yaw,
                unit,
            )

    def image(self, factor: int) -> np.ndarray:
        """The pixels averaged over factor x factor squares: uint8 (H/factor, W/factor, 3)."""
        rows = self.pixels.reshape(3, -1, factor, self.width).mean(axis=2)
        small = rows.reshape(3, self.height // factor, -1, factor).mean(axis=3).transpose(1, 2, 0)
        return (np.clip(small, 0, 1) * 255 + 0.5).astype(np.uint8)


def _span(a: float, b: float, reach: float, size: int) -> tuple[int, int]:
    """The pixels that something from a to b with this reach can touch."""
    return max(int(min(a, b) - reach), 0), min(int(max(a, b) + reach) + 2, size)


def soft(x: np.ndarray, edge: float = 0.012) -> np.ndarray:
    """0 for x < 0 and 1 for x > 0, with a soft step `edge` wide."""
    return np.clip(x * (1 / edge) + 0.5, 0, 1)


def wave(x: np.ndarray) -> np.ndarray:
    """Bands of period 1, half of them 1 and half 0, with soft edges."""
    return np.clip(0.5 + 2.5 * np.sin(2 * np.pi * x), 0, 1)
