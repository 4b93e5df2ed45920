"""The data sets by name: load one, check a folder, write one out as plain images."""

from collections.abc import Collection
from pathlib import Path

from direid.data import (
    built,
    caviar,
    folder,
    market1501,
    mlr_cuhk03,
    mlr_viper,
    msmt17,
    paper_dolls,
)
from direid.data.cross import cross
from direid.data.records import (
    PROTOCOLS,
    Benchmark,
    Record,
    draw,
    read_image,
    save_split,
    splits_table,
    write_json,
)
from direid.errors import DireidError

__all__ = [
    "KINDS",
    "NAMES",
    "PROTOCOLS",
    "Benchmark",
    "Record",
    "build",
    "check",
    "cross",
    "describe",
    "drawing_seed",
    "load",
    "read_image",
    "save_split",
    "save_splits",
    "splits",
]

_DRAWN = {
    "paper_dolls": "drawn figures, one camera of low resolution, true levels known",
    "paper_dolls_dark": "the same figures, one camera in low light, true levels known",
    "paper_dolls_both": "the same figures, one camera with both faults, mean level known",
}
_STORED = {
    "caviar": caviar,
    "mlr_viper": mlr_viper,
    "mlr_cuhk03": mlr_cuhk03,
    "msmt17": msmt17,
    "market1501": market1501,
    "folder": folder,
}
KINDS = {name: kind for kind, name in paper_dolls.NAMES.items()}  # of degradation
NAMES: tuple[str, ...] = (*_DRAWN, *_STORED)


def load(
    name: str,
    root: Path | None = None,
    seed: int = 0,
    height: int = 64,
    width: int = 32,
    split: int = 0,
) -> Benchmark:
    """The benchmark `name`, split by `seed`.

    Args:
        name: one of `NAMES`.
        root: the folder of its images; drawn benchmarks have none.
        seed: decides who trains and who tests. Sets whose split is published or stored keep it.
        height: of the drawn figures; real images stay as they are stored.
        width: as height.
        split: one of several that come from the same seed, 0, 1, ...: other people train and test,
            and the images stay the same. Drawn figures are drawn anew. A fixed split is number 0.

    Raises:
        DireidError: unknown name or split, missing or wrong folder, a split that no score can rest
            on.
    """
    root = _checked(name, root)
    if split < 0:
        raise DireidError(f"{name}: split {split}, expected 0 or more")
    if name in _DRAWN:
        own = drawing_seed(split, seed)
        return paper_dolls.paper_dolls(own, height=height, width=width, degradation=KINDS[name])
    if name == "folder":
        return folder.load(root, split)
    return _STORED[name].load(root, seed, split)


def drawing_seed(split: int, seed: int = 0) -> int:
    """The seed of :func:`~direid.data.paper_dolls.paper_dolls` that draws a split's people."""
    return draw(seed, "paper_dolls split", split) % 2**32 if split else seed


def check(name: str, root: Path | None = None, seed: int = 0) -> list[str]:
    """Decode every image and compare the counts with the published ones; lines to print.

    Raises:
        DireidError: the folder is incomplete or wrong, or an image in it does not decode.
    """
    root = _checked(name, root)
    if name in _DRAWN:
        return ["drawn by direid itself: there is no folder to check"]
    return folder.check(root) if name == "folder" else _STORED[name].check(root, seed)


def splits(name: str, root: Path | None = None) -> int:
    """How many splits of a data set are customary, and `build` writes: 1 where it is fixed."""
    root = _checked(name, root)
    match name:
        case "caviar" | "mlr_viper":
            return 10
        case "mlr_cuhk03" | "folder":
            return _STORED[name].splits(root)
        case _:
            return 1


def build(
    name: str,
    root: Path | None,
    out: Path,
    seed: int = 0,
    height: int = 64,
    width: int = 32,
    degrade: str | None = None,
    cameras: Collection[int] | None = None,
) -> Benchmark:
    """Write a benchmark to `out`, each image once and lossless, with all its `splits`.

    The same files and arguments give the same bytes. `load("folder", out, split=k)` then gives the
    same people, pixels, levels and split hash as `load(name, root, seed, split=k)`.

    Args:
        name: as for `load`, and so root, seed, height, width.
        root: where the original images lie.
        out: a new or empty folder.
        seed: of all splits, and of what is degraded.
        height: of drawn figures.
        width: of drawn figures.
        degrade: "resolution" or "illumination" writes that version of it, as `cross` makes it.
        cameras: to degrade; None draws half of them.

    Returns:
        Split 0, as it was written.

    Raises:
        DireidError: as `load` and `cross`, or `out` holds something already.
    """
    out = Path(out)
    built.refuse_used(out)  # before minutes go into drawing
    if cameras is not None and degrade is None:
        raise DireidError("cameras are given but nothing to degrade: resolution or illumination?")
    made = [load(name, root, seed, height, width, k) for k in range(splits(name, root))]
    if degrade is not None:
        made = [cross(benchmark, degrade, cameras, seed) for benchmark in made]
    built.write(made[0], out, *made[1:], seed=seed, source=name, degrade=degrade)
    return made[0]


def save_splits(name: str, root: Path | None, seed: int, path: Path, count: int = 10) -> None:
    """Write the first `count` splits of a seed as JSON: names of their images, and hashes.

    Raises:
        DireidError: as `load`, the data set has fewer splits, or `path` is there already.
    """
    path = Path(path)
    if path.exists():
        raise DireidError(f"{path}: is there already; expected a new file")
    table = splits_table([load(name, root, seed, split=k) for k in range(count)], seed)
    write_json(table, path)


def describe() -> list[dict[str, str]]:
    """One row for each of `NAMES`: name, what it is, where to get it, the layout that is wanted."""
    drawn = {"where": "drawn by direid, no download", "layout": "none"}
    return [{"name": name, "what": what, **drawn} for name, what in _DRAWN.items()] + [
        {"name": name, "what": it.WHAT, "where": it.WHERE, "layout": it.LAYOUT}
        for name, it in _STORED.items()
    ]


def _checked(name: str, root: Path | None) -> Path | None:
    """Refuse an unknown name, a folder where none is used and none where one is needed."""
    if name not in NAMES:
        raise DireidError(f"unknown data set {name!r}: choose from {', '.join(NAMES)}")
    if name in _DRAWN:
        if root is not None:
            raise DireidError(f"{root}: {name} is drawn by direid and reads no folder")
        return None
    layout = _STORED[name].LAYOUT
    if root is None:
        raise DireidError(f"{name} needs the folder of its images (root): {layout}")
    root = Path(root)
    if not root.is_dir():
        found = "is a file, not a folder" if root.exists() else "no such folder"
        raise DireidError(f"{root}: {found}; expected {layout}")
    return root
