"""A person's own images, and the layout into which every other data set can be written.

- ROOT/train/0007_c2_000153.jpg: person 7, camera 2, and anything after that;
- ROOT/query/...: images to search for;
- ROOT/gallery/...: images to search in;
- ROOT/split.json: written by `build`; the names, true levels and hash of the split.
"""

import json
import re
import shutil
from pathlib import Path

from PIL import Image

from direid.data.records import (
    IMAGE_SUFFIXES,
    PARTS,
    Benchmark,
    Record,
    contents,
    image_files,
    read_image,
    save_split,
    split_lines,
)
from direid.errors import DireidError

LAYOUT = "ROOT/{train,query,gallery}/PID_cCAM_anything.jpg (or .png, .bmp ...), as 0007_c2_153.jpg"
SPLIT = "split.json"
PARTIAL = SPLIT + ".partial"  # there while `write` is at work: a folder that has it is unfinished
FILE_NAME = re.compile(r"(\d+)_c(\d+)(\D.*)?\.\w+")


def load(root: Path) -> Benchmark:
    """The images of ROOT/train, ROOT/query and ROOT/gallery; the folders themselves are the split.

    With a split.json the images must be exactly those it lists and give the hash it states; the
    benchmark then has the name, the levels and the hash of the one that was written.
    """
    if (root / PARTIAL).exists():
        raise DireidError(
            f"{root}: its {PARTIAL} is left from a build that was cut short; delete the folder and "
            "build again"
        )
    if root.is_dir() and not all((root / part).is_dir() for part in PARTS):
        raise DireidError(f"{root}: found {contents(root)}; expected {LAYOUT}")
    files = {part: image_files(root / part, LAYOUT) for part in PARTS}
    try:
        if (root / SPLIT).exists():
            return _from_split(root, files)
        return Benchmark("folder", **{p: tuple(map(_record, files[p])) for p in PARTS})
    except DireidError as error:
        raise (
            error if str(error).startswith(f"{root}") else DireidError(f"{root}: {error}")
        ) from None


def check(root: Path) -> list[str]:
    """Decode every image and say what was found; anything damaged or inconsistent is refused."""
    benchmark = load(root)
    sizes = [read_image(r).shape[:2] for part in PARTS for r in getattr(benchmark, part)]
    heights, widths = zip(*sizes, strict=True)
    return [
        f"{len(sizes):,} images, {min(widths)}-{max(widths)} px wide and {min(heights)}-"
        f"{max(heights)} px high; every image decodes",
        f"{SPLIT} agrees: written from {benchmark.name}"
        if (root / SPLIT).exists()
        else f"no {SPLIT}: true degradation levels unknown",
        *split_lines(benchmark),
    ]


def write(benchmark: Benchmark, out: Path) -> None:
    """Write any benchmark in this layout: pixels as PNG, then split.json as the very last thing.

    A build that fails takes away what it had written; one that was killed leaves
    split.json.partial, which `load` refuses.
    """
    refuse_used(out)
    existed = out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        try:
            _fill(out, benchmark)
        except BaseException:  # an interrupt too: half a benchmark is worth nothing
            for part in PARTS:
                shutil.rmtree(out / part, ignore_errors=True)
            (out / PARTIAL).unlink(missing_ok=True)
            if not existed:
                out.rmdir()
            raise
    except OSError as error:
        raise DireidError(f"{out}: cannot be written ({error.strerror})") from error


def refuse_used(out: Path) -> None:
    """Nothing is ever written over: `out` must be absent or an empty folder."""
    if out.exists() and not out.is_dir():
        raise DireidError(f"{out}: is a file; expected a new or empty folder")
    if out.is_dir() and any(out.iterdir()):
        raise DireidError(f"{out}: found {contents(out)}; expected a new or empty folder")


def _fill(out: Path, benchmark: Benchmark) -> None:
    (out / PARTIAL).touch()
    for part in PARTS:
        (out / part).mkdir()
        for record in getattr(benchmark, part):
            file = out / part / _file_name(record.name, record.pid, record.camid)
            if file.exists():
                raise DireidError(f"{out}: two images of the {part} part would be {file.name}")
            Image.fromarray(read_image(record)).save(file, compress_level=6)
    save_split(benchmark, out / SPLIT)  # by way of PARTIAL, renamed


def _record(file: Path) -> Record:
    match = FILE_NAME.fullmatch(file.name)
    if not match:
        raise DireidError(f"{file}: the name tells no person and camera; expected {LAYOUT}")
    return Record(file.name, file, int(match[1]), int(match[2]))


def _file_name(name: str, pid: int, camid: int) -> str:
    """Where an image called `name` is written: cam_a/000_45.bmp -> 0000_c1_000_45.png."""
    path = Path(name)
    stem = path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name
    start = f"{pid:04d}_c{camid}_"
    return start + re.sub(r"[^\w.-]", "-", stem.removeprefix(start)) + ".png"


def _from_split(root: Path, files: dict[str, list[Path]]) -> Benchmark:
    """The benchmark that split.json describes, once the files have been found to agree with it."""
    try:
        table = json.loads((root / SPLIT).read_text(encoding="utf-8"))
        parts = {part: tuple(_listed(root / part, row) for row in table[part]) for part in PARTS}
        name, protocol, stated = str(table["benchmark"]), str(table["protocol"]), str(table["hash"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DireidError(f"{root / SPLIT}: not a split file ({error!r}); build it again") from None
    for part, records in parts.items():
        if strange := set(files[part]) ^ {r.image for r in records}:
            raise DireidError(
                f"{root}: {len(files[part])} images in {part}, {len(records)} in {SPLIT}, "
                f"{len(strange)} differ, e.g. {min(strange).name}; build it again, or delete "
                f"{SPLIT} if you changed the images on purpose"
            )
    benchmark = Benchmark(name, protocol=protocol, **parts)
    if benchmark.split_hash != stated:
        raise DireidError(
            f"{root / SPLIT}: states the hash {stated[:12]}..., its rows give "
            f"{benchmark.split_hash[:12]}...; build it again"
        )
    return benchmark


def _listed(folder: Path, row: dict) -> Record:
    """One row of split.json, its image where `write` put it."""
    name, pid, camid, level = str(row["name"]), int(row["pid"]), int(row["camid"]), row["level"]
    file = folder / _file_name(name, pid, camid)
    return Record(name, file, pid, camid, None if level is None else float(level))
