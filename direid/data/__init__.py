"""The data sets by name: load one, check a folder, write one out as plain images."""

from pathlib import Path

from direid.data import caviar, folder, mlr_viper, paper_dolls
from direid.data.records import Benchmark, Record, read_image, save_split
from direid.errors import DireidError

__all__ = [
    "NAMES",
    "Benchmark",
    "Record",
    "build",
    "check",
    "describe",
    "load",
    "read_image",
    "save_split",
]

NAMES: tuple[str, ...] = ("paper_dolls", "paper_dolls_dark", "caviar", "mlr_viper", "folder")

_LAYOUTS = {"caviar": caviar.LAYOUT, "mlr_viper": mlr_viper.LAYOUT, "folder": folder.LAYOUT}


def load(
    name: str, root: Path | None = None, seed: int = 0, height: int = 64, width: int = 32
) -> Benchmark:
    """The benchmark `name`, split by `seed`.

    Args:
        name: one of `NAMES`.
        root: the folder of its images; drawn benchmarks have none.
        seed: decides who trains and who tests. `folder` is split by its own sub-folders.
        height: of the drawn figures; real images stay as they are stored.
        width: as height.

    Raises:
        DireidError: unknown name, missing or wrong folder, a split that no score can rest on.
    """
    root = _checked(name, root)
    match name:
        case "paper_dolls":
            return paper_dolls.paper_dolls(seed, height=height, width=width)
        case "paper_dolls_dark":
            return paper_dolls.paper_dolls(
                seed, height=height, width=width, degradation="illumination"
            )
        case "caviar":
            return caviar.load(root, seed)
        case "mlr_viper":
            return mlr_viper.load(root, seed)
        case _:
            return folder.load(root)


def check(name: str, root: Path | None = None, seed: int = 0) -> list[str]:
    """Decode every image and compare the counts with the published ones; lines to print.

    Raises:
        DireidError: the folder is incomplete or wrong, or an image in it does not decode.
    """
    root = _checked(name, root)
    match name:
        case "caviar":
            return caviar.check(root, seed)
        case "mlr_viper":
            return mlr_viper.check(root, seed)
        case "folder":
            return folder.check(root)
        case _:
            return ["drawn by direid itself: there is no folder to check"]


def build(
    name: str, root: Path | None, out: Path, seed: int = 0, height: int = 64, width: int = 32
) -> Benchmark:
    """Write a benchmark to `out` in the `folder` layout, lossless, with its split.json.

    The same files and seed give the same bytes. `load("folder", out)` then gives the same people,
    pixels, levels and split hash as the benchmark that is returned.

    Raises:
        DireidError: as `load`, or `out` holds something already.
    """
    out = Path(out)
    folder.refuse_used(out)  # before minutes go into drawing
    benchmark = load(name, root, seed, height, width)
    folder.write(benchmark, out)
    return benchmark


def describe() -> list[dict[str, str]]:
    """One row for each of `NAMES`: name, what it is, where to get it, the layout that is wanted."""
    drawn = {"where": "drawn by direid, no download", "layout": "none"}
    return [
        {
            "name": "paper_dolls",
            "what": "drawn figures, one camera of low resolution, true levels known",
            **drawn,
        },
        {
            "name": "paper_dolls_dark",
            "what": "the same figures, one camera in low light, true levels known",
            **drawn,
        },
        {
            "name": "caviar",
            "what": "CAVIAR4REID: 50 people, 1,000 images, a near and a far camera",
            "where": "from its authors (Cheng et al., BMVC 2011), for research",
            "layout": caviar.LAYOUT,
        },
        {
            "name": "mlr_viper",
            "what": "VIPeR: 632 people, 1,264 images, one camera down-sampled by 1/2, 1/3 or 1/4",
            "where": "from its authors (Gray et al., PETS 2007), for research",
            "layout": mlr_viper.LAYOUT,
        },
        {
            "name": "folder",
            "what": "your own images, or what `direid data build` wrote",
            "where": "your own",
            "layout": folder.LAYOUT,
        },
    ]


def _checked(name: str, root: Path | None) -> Path | None:
    """Refuse an unknown name, a folder where none is used and none where one is needed."""
    if name not in NAMES:
        raise DireidError(f"unknown data set {name!r}: choose from {', '.join(NAMES)}")
    if name not in _LAYOUTS:
        if root is not None:
            raise DireidError(f"{root}: {name} is drawn by direid and reads no folder")
        return None
    if root is None:
        raise DireidError(f"{name} needs the folder of its images (root): {_LAYOUTS[name]}")
    root = Path(root)
    if not root.is_dir():
        found = "is a file, not a folder" if root.exists() else "no such folder"
        raise DireidError(f"{root}: {found}; expected {_LAYOUTS[name]}")
    return root
