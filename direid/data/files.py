"""Looking at a folder of images: what lies in it, and how that differs from what should."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from direid.data.records import PARTS, Benchmark, Record, read_image
from direid.errors import DireidError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".tif", ".tiff", ".webp"})


def image_files(folder: Path, layout: str) -> list[Path]:
    """The visible image files of `folder` by name; a missing folder or an empty file is refused."""
    if not folder.is_dir():
        found = "is a file, not a folder" if folder.exists() else "no such folder"
        raise DireidError(f"{folder}: {found}; expected {layout}")
    try:
        visible = sorted((f for f in folder.iterdir() if f.name[0] != "."), key=lambda f: f.name)
        files = [f for f in visible if f.suffix.lower() in IMAGE_SUFFIXES]
        empty = [f for f in files if f.stat().st_size == 0]
    except OSError as error:
        raise DireidError(f"{folder}: cannot be read ({error.strerror})") from error
    if empty:
        raise DireidError(
            f"{empty[0]}: empty image file ({len(empty)} such in the folder); replace or remove it"
        )
    return files


def contents(folder: Path) -> str:
    """What lies in an existing folder, in a few words for an error message."""
    entries = sorted(entry for entry in folder.iterdir() if entry.name[0] != ".")
    folders = [entry.name for entry in entries if entry.is_dir()]
    images = sum(entry.suffix.lower() in IMAGE_SUFFIXES for entry in entries)
    named = f" ({', '.join(folders[:5])}{', ...' if len(folders) > 5 else ''})" if folders else ""
    return f"{images} images, {len(folders)} folders{named}"


def need(root: Path, wanted: Sequence[str], layout: str) -> None:
    """Refuse a folder that lacks one of the `wanted` files or folders, and say what it holds."""
    if missing := [name for name in wanted if not (root / name).exists()]:
        found = contents(root) if root.is_dir() else "no such folder"
        raise DireidError(
            f"{root}: found {found}, no {missing[0]}; expected {layout}{elsewhere(root, wanted)}"
        )


def elsewhere(root: Path, wanted: Sequence[str]) -> str:
    """The end of an error message, where all that is `wanted` lies a folder deeper or higher."""

    def complete(folder: Path) -> bool:
        return all((folder / name).exists() for name in wanted)

    inner = sorted(root.iterdir()) if root.is_dir() else []
    if found := next((f for f in inner if f.is_dir() and complete(f)), None):
        return f"; the parent folder was given: try {found}"
    parent = root.resolve().parent
    return f"; a part of it was given: try {parent}" if complete(parent) else ""


def hold(root: Path, found: Mapping[str, int], official: Mapping[str, int], cause: str) -> None:
    """Refuse counts that differ from the official ones: each that does, found and expected."""
    wrong = [
        f"{found.get(what, 0):,} {what} (expected {number:,})"
        for what, number in official.items()
        if found.get(what, 0) != number
    ]
    if wrong:
        raise DireidError(f"{root}: found {', '.join(wrong)}; {cause}")


def decoded(records: Sequence[Record]) -> str:
    """Decode every image, and say how many there are and how large; a damaged one is refused."""
    shown = tqdm(records, desc="images", unit="image", delay=2, leave=False)
    heights, widths = zip(*{read_image(record).shape[:2] for record in shown}, strict=True)
    return (
        f"{len(records):,} images, {min(widths)}-{max(widths)} px wide and {min(heights)}-"
        f"{max(heights)} px high; every image decodes"
    )


def split_lines(benchmark: Benchmark, seed: int | None = None) -> list[str]:
    """Images, people and cameras of each part, then the hash: what `direid data check` prints."""
    lines = []
    for part in PARTS:
        records = getattr(benchmark, part)
        people, cameras = {r.pid for r in records}, sorted({r.camid for r in records})
        lines.append(
            f"{part}: {len(records):,} images of {len(people):,} people, "
            f"camera{'s' if len(cameras) > 1 else ''} {', '.join(map(str, cameras))}"
        )
    drawn = "" if seed is None else f" (seed {seed})"
    return [*lines, *benchmark.notes, f"split hash{drawn}: {benchmark.split_hash}"]
