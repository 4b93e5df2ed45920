"""What `direid data build` writes: each image once, and who trains and who tests in every split.

- OUT/images/0007_c2_000153.png: person 7, camera 2, and the image's own name; lossless;
- OUT/manifest.json: of every image its file, name, person, camera, level and SHA-256, and what the
  whole was built from;
- OUT/splits.json: of every split its hash and the names of its train, query and gallery images.

No path and no date is in any of them: the same source, seed and Pillow give the same bytes.
"""

import hashlib
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from direid.data.files import IMAGE_SUFFIXES, contents, decoded, image_files, split_lines
from direid.data.records import (
    FORMAT,
    PARTS,
    Benchmark,
    Record,
    read_image,
    splits_table,
    write_json,
)
from direid.errors import DireidError

IMAGES, MANIFEST, SPLITS = "images", "manifest.json", "splits.json"
PARTIAL = SPLITS + ".partial"  # there while `write` is at work: a folder that has it is unfinished
LAYOUT = f"ROOT/{IMAGES}, ROOT/{MANIFEST} and ROOT/{SPLITS}, as `direid data build` writes them"


def is_built(root: Path) -> bool:
    """Whether `write` has been at work in the folder."""
    return any((root / name).exists() for name in (SPLITS, PARTIAL, MANIFEST))


def write(
    benchmark: Benchmark, out: Path, *others: Benchmark, seed: int | None = None, **about: object
) -> None:
    """Write split 0, and others of the same data set as splits 1, 2, ..., into a new folder.

    A build that fails takes away what it had written; one that was killed leaves
    splits.json.partial, which `load` refuses.

    Args:
        benchmark: any.
        out: absent or an empty folder.
        others: more splits of the same images; a name stands for the same image in all of them.
        seed: that the splits were drawn from.
        about: what else the manifest should say.

    Raises:
        DireidError: `out` is used or cannot be written, an image does not decode, or two different
            images have one name.
    """
    refuse_used(out)
    existed = out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        try:
            (out / PARTIAL).touch()
            splits = (benchmark, *others)
            head = {"format": FORMAT, "benchmark": benchmark.name, "seed": seed, **about}
            write_json(head | {"images": _write_images(splits, out)}, out / MANIFEST)
            write_json(splits_table(splits, seed), out / SPLITS)  # by way of PARTIAL, renamed
        except BaseException:  # an interrupt too: half a benchmark is worth nothing
            shutil.rmtree(out / IMAGES, ignore_errors=True)
            for name in (MANIFEST, MANIFEST + ".partial", PARTIAL):
                (out / name).unlink(missing_ok=True)
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


def load(root: Path, split: int = 0) -> Benchmark:
    """A split as it was written, once its files and its hash have been found to agree with it."""
    rows, table = _tables(root)
    if not 0 <= split < len(table["splits"]):
        raise DireidError(
            f"{root / SPLITS}: has splits 0 to {len(table['splits']) - 1}, not {split}"
        )
    try:
        stated = table["splits"][split]
        records = {name: _record(root, row) for name, row in rows.items()}
        benchmark = Benchmark(
            str(table["benchmark"]),
            **{part: tuple(records[name] for name in stated[part]) for part in PARTS},
            protocol=str(table["protocol"]),
            notes=tuple(map(str, stated["notes"])),
        )
        told = str(stated["hash"])
    except (ValueError, KeyError, TypeError) as error:
        raise DireidError(
            f"{root}: {SPLITS} and {MANIFEST} do not fit together ({error!r}); build it again"
        ) from None
    except DireidError as error:
        raise DireidError(f"{root}: {error}") from None
    if benchmark.split_hash != told:
        raise DireidError(
            f"{root / SPLITS}: states the hash {told[:12]}... of split {split}, its images give "
            f"{benchmark.split_hash[:12]}...; build it again"
        )
    return benchmark


def check(root: Path) -> list[str]:
    """Hold every file against its SHA-256, decode it, and load every split."""
    rows, table = _tables(root)
    for row in rows.values():
        found = hashlib.sha256((root / IMAGES / row["file"]).read_bytes()).hexdigest()
        if found != row["sha256"]:
            raise DireidError(
                f"{root / IMAGES / row['file']}: was changed, its SHA-256 is {found[:12]}..., "
                f"{MANIFEST} has {str(row['sha256'])[:12]}...; build it again"
            )
    splits = [load(root, k) for k in range(len(table["splits"]))]
    others = [f"split {k}: {b.split_hash}" for k, b in enumerate(splits) if k]
    return [
        decoded([_record(root, row) for row in rows.values()]),
        f"written from {splits[0].name}, {len(splits)} split{'s' if others else ''}; every file "
        f"has the SHA-256 of {MANIFEST}",
        *others,
        *split_lines(splits[0]),
    ]


def splits(root: Path) -> int:
    """How many splits were written."""
    return len(_tables(root)[1]["splits"])


def _write_images(splits: tuple[Benchmark, ...], out: Path) -> list[dict]:
    """Write each image once; the manifest's rows, by file."""
    rows: dict[str, dict] = {}
    files: set[str] = set()
    (out / IMAGES).mkdir()
    for benchmark in splits:
        mine: dict[str, Record] = {}
        records = [record for part in PARTS for record in getattr(benchmark, part)]
        for record in tqdm(records, desc="writing", unit="image", delay=2, leave=False):
            row, known = _row(record), rows.get(record.name)
            twin = mine.setdefault(record.name, record)  # in the query and the gallery, perhaps
            if known is None:
                if row["file"] in files:
                    raise DireidError(f"{out}: two images would be {row['file']}")
                content = _png(read_image(record))
                (out / IMAGES / row["file"]).write_bytes(content)
                rows[record.name] = row | {"sha256": hashlib.sha256(content).hexdigest()}
                files.add(row["file"])
            elif row != {key: known[key] for key in row} or (
                twin is not record and not np.array_equal(read_image(twin), read_image(record))
            ):
                raise DireidError(f"{out}: two different images are named {record.name}")
    return sorted(rows.values(), key=lambda row: row["file"])


def _row(record: Record) -> dict:
    return {
        "file": _file_name(record.name, record.pid, record.camid),
        "name": record.name,
        "pid": int(record.pid),
        "camid": int(record.camid),
        "level": None if record.level is None else float(record.level),
    }


def _record(root: Path, row: dict) -> Record:
    level = None if row["level"] is None else float(row["level"])
    file = root / IMAGES / row["file"]
    return Record(str(row["name"]), file, int(row["pid"]), int(row["camid"]), level)


def _png(image: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG", compress_level=6)
    return content.getvalue()


def _file_name(name: str, pid: int, camid: int) -> str:
    """Where an image called `name` is written: cam_a/000_45.bmp -> 0000_c1_000_45.png."""
    path = Path(name)
    stem = path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name
    start = f"{pid:04d}_c{camid}_"
    return start + re.sub(r"[^\w.-]", "-", stem.removeprefix(start)) + ".png"


def _tables(root: Path) -> tuple[dict[str, dict], dict]:
    """{name: row} of the manifest, and the table of splits; files not listed are refused."""
    if (root / PARTIAL).exists():
        raise DireidError(
            f"{root}: its {PARTIAL} is left from a build that was cut short; delete the folder and "
            "build again"
        )
    manifest, table = (_read(root / name) for name in (MANIFEST, SPLITS))
    try:
        rows = {str(row["name"]): row for row in manifest["images"]}
        files = {row["file"]: row["sha256"] for row in rows.values()}
        table["splits"][0]["hash"]
    except (KeyError, TypeError, IndexError) as error:
        raise DireidError(
            f"{root}: {MANIFEST} and {SPLITS} are not as they were written ({error!r}); build it "
            "again"
        ) from None
    there = {file.name for file in image_files(root / IMAGES, LAYOUT)}
    if strange := sorted(there ^ files.keys(), key=str):
        raise DireidError(
            f"{root}: {len(there):,} images in {IMAGES}, {len(files):,} in {MANIFEST}, "
            f"{len(strange):,} differ, e.g. {strange[0]}; build it again"
        )
    return rows, table


def _read(file: Path) -> dict:
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
        found = table["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DireidError(
            f"{file}: not as `direid data build` writes it ({error!r}); build it again"
        ) from None
    if found != FORMAT:
        raise DireidError(f"{file}: format {found!r}, this direid reads {FORMAT}; build it again")
    return table
