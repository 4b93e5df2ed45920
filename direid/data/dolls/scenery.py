"""What is behind, under and in front of a paper doll: places, shadows, things in the way.

Places are functions of a pixel's position: above the horizon a wall, below it a floor seen in
perspective. Positions are shares of the image height, y down, x from the middle of the image.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from direid.data.dolls.canvas import Canvas, Colour, soft, wave

OBSTACLES = ("pole", "bin", "bush", "railing", "box", "pillar")


def _mix(a: Colour, b: Colour, share: np.ndarray) -> np.ndarray:
    """From colour a (share 0) to colour b (share 1): (3, H, W)."""
    first, second = (np.array(c, np.float32)[:, None, None] for c in (a, b))
    return first + share * (second - first)


def _shade(colour: Colour, by: float) -> Colour:
    return tuple(min(max(by * c, 0.0), 1.0) for c in colour)


def _line(x: np.ndarray, width: float) -> np.ndarray:
    """1 on lines at every whole number, `width` of a period wide."""
    return soft(width / 2 - np.abs(np.mod(x + 0.5, 1) - 0.5), width / 2)


def _clouds(rng: np.random.Generator, shape: tuple[int, int], rows: int) -> np.ndarray:
    """Smooth random blotches in [0, 1], about `rows` of them from top to bottom, (H, W)."""
    coarse = Image.fromarray((255 * rng.random((rows, max(rows // 2, 2)))).astype(np.uint8))
    return np.asarray(coarse.resize(shape[::-1], Image.Resampling.BICUBIC), np.float32) / 255


def _pick(rng: np.random.Generator, *colours: Colour) -> Colour:
    """One of the colours, a little lighter or darker than it was."""
    return _shade(colours[rng.integers(len(colours))], rng.uniform(0.85, 1.12))


class _View:
    """Positions of all pixels, and of the floor under them."""

    def __init__(self, canvas: Canvas, rng: np.random.Generator) -> None:
        self.rng = rng
        self.shape = (canvas.height, canvas.width)
        self.y = canvas.y / canvas.height  # (H, 1)
        self.x = canvas.x / canvas.height - 0.5 * canvas.width / canvas.height  # (W,)
        self.horizon = rng.uniform(0.42, 0.62)  # where floor and wall meet
        vanishing = self.horizon - rng.uniform(0.25, 0.4)
        self.far = 0.35 / np.maximum(self.y - vanishing, 0.05)  # distance of the floor, (H, 1)
        self.across = (self.x - rng.uniform(-0.2, 0.2)) * self.far  # (H, W)

    def room(self, wall: np.ndarray, floor: np.ndarray) -> np.ndarray:
        """The wall above the horizon, the floor below it, a shadow where they meet."""
        below = soft(self.y - self.horizon)
        corner = 1 - 0.25 * np.exp(-np.abs(self.y - self.horizon) * 40)
        return (wall + below * (floor - wall)) * corner


def _street(v: _View) -> np.ndarray:
    brick = _pick(v.rng, (0.62, 0.42, 0.34), (0.7, 0.62, 0.5), (0.55, 0.5, 0.48))
    row = v.y * 18
    joint = np.maximum(_line(row, 0.16), _line(v.x * 8 + 0.5 * np.mod(np.floor(row), 2), 0.08))
    stone = _pick(v.rng, (0.66, 0.65, 0.62), (0.6, 0.58, 0.55))
    slabs = np.maximum(_line(v.across * 5, 0.05), _line(v.far * 5, 0.06))
    return v.room(
        _mix(brick, _shade(brick, 1.25), joint) * (0.92 + 0.16 * _clouds(v.rng, v.shape, 6)),
        _mix(stone, _shade(stone, 0.75), slabs),
    )


def _shop(v: _View) -> np.ndarray:
    frame = _pick(v.rng, (0.25, 0.3, 0.35), (0.45, 0.3, 0.22), (0.2, 0.35, 0.3))
    goods = _clouds(v.rng, v.shape, 7)
    glass = _mix((0.45, 0.55, 0.6), (0.86, 0.8, 0.66), goods)
    posts = np.maximum(_line(v.x * 3 + v.rng.random(), 0.1), soft(v.y - v.horizon + 0.06))
    awning_at = v.rng.uniform(0.08, 0.16)
    awning = wave(v.x * 8) * soft(awning_at - v.y)
    wall = glass + posts * (_mix(frame, frame, posts) - glass)
    sign = _pick(v.rng, (0.75, 0.3, 0.28), (0.25, 0.45, 0.6), (0.3, 0.5, 0.35))
    wall = wall + soft(awning_at - v.y) * (_mix((0.92, 0.9, 0.86), sign, awning) - wall)
    stone = _pick(v.rng, (0.62, 0.6, 0.58), (0.7, 0.66, 0.6))
    return v.room(wall, _mix(stone, _shade(stone, 0.8), _line(v.across * 4 + v.far * 4, 0.06)))


def _park(v: _View) -> np.ndarray:
    leaves = _mix((0.2, 0.34, 0.18), (0.5, 0.62, 0.36), _clouds(v.rng, v.shape, 14))
    sky = soft(0.22 + 0.12 * np.sin(9 * v.x + 6 * v.rng.random()) - v.y, 0.1)
    wall = leaves + sky * (_mix((0.75, 0.84, 0.92), (0.9, 0.92, 0.92), v.y * 3) - leaves)
    trunk = _line(v.x * 2 + v.rng.random(), 0.13) * soft(v.y - 0.16)
    wall = wall + trunk * (_mix((0.36, 0.27, 0.2), (0.3, 0.22, 0.16), trunk) - wall)
    grass = _mix((0.4, 0.54, 0.28), (0.56, 0.66, 0.38), _clouds(v.rng, v.shape, 24))
    path = soft(0.2 - np.abs(v.across + v.rng.uniform(-0.25, 0.25)), 0.03)
    return v.room(wall, grass + path * (_mix((0.76, 0.7, 0.58), (0.7, 0.63, 0.5), v.y) - grass))


def _hall(v: _View) -> np.ndarray:
    paint = _pick(v.rng, (0.82, 0.8, 0.74), (0.7, 0.76, 0.78), (0.84, 0.76, 0.66))
    wall = _mix(paint, _shade(paint, 0.8), 1 - v.y / v.horizon + 0 * v.x)
    x, y = v.rng.uniform(-0.15, 0.15), v.rng.uniform(0.15, 0.3)
    poster = soft(0.08 - np.abs(v.x - x)) * soft(0.1 - np.abs(v.y - y))
    picture = _pick(v.rng, (0.7, 0.35, 0.3), (0.3, 0.45, 0.6), (0.85, 0.7, 0.35))
    wall = wall + poster * (_mix(picture, (0.95, 0.93, 0.88), wave(v.y * 16 + 0 * v.x)) - wall)
    skirting = soft(v.y - v.horizon + 0.03)
    wall = wall + skirting * (_mix(_shade(paint, 0.6), _shade(paint, 0.6), skirting) - wall)
    tile = _pick(v.rng, (0.78, 0.76, 0.72), (0.72, 0.66, 0.58))
    check = np.abs(wave(v.across * 2.5) - wave(v.far * 2.5))
    return v.room(wall, _mix(tile, _shade(tile, 0.72), check))


def _crossing(v: _View) -> np.ndarray:
    wall = _mix((0.72, 0.78, 0.84), (0.86, 0.86, 0.84), v.y * 2 + 0 * v.x)
    block = soft(v.y - 0.12 - 0.14 * (np.sin(11 * v.x + 7 * v.rng.random()) > 0))
    house = _pick(v.rng, (0.56, 0.54, 0.55), (0.66, 0.58, 0.5), (0.5, 0.55, 0.6))
    windows = wave(v.x * 14) * wave(v.y * 14)
    wall = wall + block * (_mix(house, _shade(house, 0.65), windows) - wall)
    asphalt = _mix((0.36, 0.36, 0.38), (0.46, 0.46, 0.47), _clouds(v.rng, v.shape, 20))
    zebra = wave(v.across * 2.5 + v.rng.random()) * soft(v.y - v.horizon - 0.08, 0.02)
    return v.room(wall, asphalt + 0.85 * zebra * (0.86 - asphalt))


def _platform(v: _View) -> np.ndarray:
    tile = _pick(v.rng, (0.8, 0.82, 0.8), (0.56, 0.68, 0.7), (0.74, 0.7, 0.62))
    grid = np.maximum(_line(v.x * 12, 0.1), _line(v.y * 12, 0.1))
    wall = _mix(tile, _shade(tile, 0.82), grid)
    band = soft(0.045 - np.abs(v.y - v.rng.uniform(0.2, 0.32)))
    line = _pick(v.rng, (0.75, 0.3, 0.3), (0.25, 0.4, 0.65), (0.35, 0.55, 0.4))
    wall = wall + band * (_mix(line, line, band + 0 * v.x) - wall)
    concrete = _mix((0.54, 0.53, 0.51), (0.62, 0.61, 0.58), _clouds(v.rng, v.shape, 12))
    edge = soft(0.035 - np.abs(v.y - v.horizon - 0.09)) + 0 * v.x
    return v.room(
        wall, concrete + edge * (_mix((0.9, 0.78, 0.3), (0.9, 0.78, 0.3), edge) - concrete)
    )


PLACES: dict[str, Callable[[_View], np.ndarray]] = {
    "street": _street,
    "shop": _shop,
    "park": _park,
    "hall": _hall,
    "crossing": _crossing,
    "platform": _platform,
}


def paint_place(canvas: Canvas, name: str, rng: np.random.Generator) -> None:
    """Fill the canvas with one of `PLACES`, its colours and layout drawn from `rng`."""
    place = PLACES[name](_View(canvas, rng))
    canvas.pixels[:] = np.clip(0.66 + 0.72 * (place - 0.6), 0, 1)  # paler than who stands in it


def paint_shadow(canvas: Canvas, feet: tuple[float, float], unit: float, light: float) -> None:
    """Darken the ground around the feet, longer on the side away from the light."""
    x = (canvas.x - feet[0] + 0.06 * light * unit) * (1 / (0.19 * unit))
    y = (canvas.y - feet[1] + 0.02 * unit) * (1 / (0.045 * unit))
    top = max(int(feet[1] - 0.12 * unit), 0)
    depth = np.exp(-(x * x) - (y * y)[top:])
    canvas.pixels[:, top:] *= 1 - 0.5 * depth


def paint_obstacle(
    canvas: Canvas, name: str, at: float, rng: np.random.Generator, light: float
) -> None:
    """Put one of `OBSTACLES` in front; `at` is its x, from -1 (left border) to 1 (right border)."""
    h = canvas.height
    x = canvas.width / 2 * (1 + at)

    def column(x: float, top: float, bottom: float, radius: float, colour: Colour) -> None:
        canvas.stroke((x, top * h), (x, bottom * h), (radius * h,) * 3, colour, (2, 2), light)

    match name:
        case "pole":
            column(x, -0.1, 1.1, 0.022, _pick(rng, (0.45, 0.47, 0.5), (0.3, 0.38, 0.34)))
        case "pillar":
            column(x, -0.1, 1.1, 0.07, _pick(rng, (0.72, 0.7, 0.66), (0.6, 0.55, 0.5)))
        case "bin":
            colour = _pick(rng, (0.25, 0.36, 0.3), (0.3, 0.32, 0.36), (0.55, 0.3, 0.25))
            column(x, 0.7, 1.0, 0.085, colour)
            column(x, 0.68, 0.71, 0.092, _shade(colour, 0.7))
        case "box":
            colour = _pick(rng, (0.72, 0.56, 0.38), (0.66, 0.5, 0.34))
            for reach, top, side in ((0.13, 0.72, 0.85), (0.13, 0.75, 1.0), (0.015, 0.72, 1.2)):
                left, right = (max(int(x + s * reach * h), 0) for s in (-1, 1))
                canvas.pixels[:, int(top * h) :, left:right] = np.reshape(
                    _shade(colour, side), (3, 1, 1)
                )
        case "railing":
            colour = _pick(rng, (0.3, 0.34, 0.4), (0.5, 0.5, 0.52), (0.55, 0.36, 0.3))
            for y in (0.66, 0.82):
                canvas.stroke((-9, y * h), (canvas.width + 9, y * h), (0.013 * h,) * 3, colour)
            for i in range(-1, 4):
                column(canvas.width * (i + 0.5 + 0.5 * at) / 2, 0.66, 1.1, 0.01, colour)
        case _:
            green = _pick(rng, (0.26, 0.42, 0.22), (0.36, 0.48, 0.24))
            for _ in range(9):
                dx, dy = rng.uniform(-0.17, 0.17), rng.uniform(-0.16, 0.1)
                leaf, radius = _shade(green, rng.uniform(0.75, 1.3)), rng.uniform(0.05, 0.09) * h
                centre = (x + dx * h, (0.95 + dy) * h)
                canvas.stroke(
                    centre, (centre[0], centre[1] + 1), (radius,) * 3, leaf, (radius, radius), light
                )
