"""What `data.build` writes: every image once, all splits of a seed, and nothing that can drift."""

import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from data_trees import (
    all_bytes,
    encoded,
    equal,
    make_caviar,
    make_own,
    make_viper,
    names,
    one_line,
    pids,
    real,
)
from PIL import Image

from direid import data
from direid.data import built
from direid.data.records import PARTS, Benchmark, Record, read_image
from direid.errors import DireidError


@pytest.fixture(scope="module")
def trees(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("trees")
    return {
        "caviar": make_caviar(root / "CAVIAR4REID"),
        "mlr_viper": make_viper(root / "VIPeR"),
        "folder": make_own(root / "own"),
    }


def table(root: Path, name: str) -> dict:
    return json.loads((root / name).read_text())


@pytest.mark.parametrize(("name", "count"), [("caviar", 10), ("mlr_viper", 10), ("folder", 1)])
def test_what_is_built_reads_back_the_same_in_every_split(name, count, trees, tmp_path):
    first = data.build(name, trees[name], tmp_path / "out", seed=5)
    equal(first, data.load(name, trees[name], seed=5))
    assert data.splits(name, trees[name]) == data.splits("folder", tmp_path / "out") == count
    for split in {0, 1, 9} & set(range(count)):
        equal(
            data.load("folder", tmp_path / "out", split=split),
            data.load(name, trees[name], seed=5, split=split),
        )
    with pytest.raises(DireidError, match=rf"splits\.json: has splits 0 to {count - 1}, not 10"):
        data.load("folder", tmp_path / "out", split=10)
    lines = data.check("folder", tmp_path / "out")
    assert first.split_hash in lines[-1]
    assert f"written from {name}, {count} split" in lines[1]


def test_every_image_is_written_once_with_its_row(trees, tmp_path):
    out = tmp_path / "out"
    data.build("mlr_viper", trees["mlr_viper"], out, seed=5)
    manifest, splits = table(out, "manifest.json"), table(out, "splits.json")
    assert {f.name for f in out.iterdir()} == {"images", "manifest.json", "splits.json"}
    assert len(list((out / "images").iterdir())) == len(manifest["images"]) == 1264
    heads = [
        {k: v for k, v in t.items() if k not in ("images", "splits")} for t in (manifest, splits)
    ]
    assert heads == [
        {"format": 1, "benchmark": "mlr_viper", "seed": 5, "source": "mlr_viper", "degrade": None},
        {"format": 1, "benchmark": "mlr_viper", "seed": 5, "protocol": "single_shot"},
    ]
    files = [row["file"] for row in manifest["images"]]
    assert files == sorted(files)
    for row in manifest["images"][::97]:
        file = out / "images" / row["file"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == row["sha256"]
        with Image.open(file) as image:
            width, height = image.size
        assert (width, height) == (
            (48, 128)
            if row["camid"] == 2
            else {1 / 3: (24, 64), 2 / 3: (16, 43), 1: (12, 32)}[row["level"]]
        )
        assert (
            row["name"]
            == f"cam_{'ab'[row['camid'] - 1]}/{row['pid']:03d}_{90 * row['camid'] - 90}.bmp"
        )
    rows = {row["name"]: row for row in manifest["images"]}
    for split in splits["splits"]:
        lines = sorted(
            f"{part}\t{name}\t{rows[name]['pid']}\t{rows[name]['camid']}\n"
            for part in PARTS
            for name in split[part]
        )
        assert hashlib.sha256("".join(lines).encode()).hexdigest() == split["hash"]
        people = [{rows[name]["pid"] for name in split[part]} for part in PARTS]
        assert people[1] == people[2] and not people[0] & people[1]
        assert [len(split[part]) for part in PARTS] == [632, 316, 316]


@pytest.mark.parametrize("name", ["caviar", "mlr_viper", "folder"])
def test_building_twice_gives_the_same_bytes(name, trees, tmp_path, monkeypatch):
    data.build(name, trees[name], tmp_path / "a", seed=1)
    moved = shutil.copytree(trees[name], tmp_path / "else where")
    listing = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: reversed(sorted(listing(self))))
    data.build(name, str(moved), tmp_path / "b", seed=1)
    a, b = all_bytes(tmp_path / "a"), all_bytes(tmp_path / "b")
    assert a == b
    for text in (a["manifest.json"], a["splits.json"]):
        assert not any(word in text for word in (b"/tmp", str(tmp_path).encode(), b"where", b"20:"))
    if name != "folder":
        data.build(name, trees[name], tmp_path / "c", seed=2)
        assert all_bytes(tmp_path / "c")["splits.json"] != a["splits.json"]


@pytest.mark.parametrize("root", [real("DIREID_VIPER")])
def test_the_real_set_is_built_reproducibly(root, tmp_path):
    for out in ("a", "b"):
        data.build("mlr_viper", root, tmp_path / out, seed=0)
    assert all_bytes(tmp_path / "a") == all_bytes(tmp_path / "b")
    equal(data.load("folder", tmp_path / "a", split=9), data.load("mlr_viper", root, split=9))


def test_building_from_what_was_built_keeps_everything(trees, tmp_path):
    data.build("caviar", trees["caviar"], tmp_path / "a", seed=1)
    data.build("folder", tmp_path / "a", tmp_path / "b")
    for split in (0, 9):
        equal(
            data.load("folder", tmp_path / "a", split=split),
            data.load("folder", tmp_path / "b", split=split),
        )


def test_several_splits_are_saved_without_images(trees, tmp_path):
    data.save_splits("caviar", trees["caviar"], 4, tmp_path / "ten.json", count=3)
    saved = table(tmp_path, "ten.json")
    assert (saved["benchmark"], saved["protocol"], saved["seed"]) == ("caviar", "single_shot", 4)
    for k, split in enumerate(saved["splits"]):
        benchmark = data.load("caviar", trees["caviar"], 4, split=k)
        assert split["hash"] == benchmark.split_hash
        assert {part: split[part] for part in PARTS} == names(benchmark)
    assert k == 2
    assert [f.name for f in tmp_path.iterdir()] == ["ten.json"]
    with pytest.raises(DireidError, match="folder: split 1 was asked for; its split is fixed"):
        data.save_splits("folder", trees["folder"], 4, tmp_path / "x.json")
    assert [f.name for f in tmp_path.iterdir()] == ["ten.json"]


# ---- one degraded version


def test_a_degraded_version_is_built(trees, tmp_path):
    clean, out = data.load("folder", trees["folder"]), tmp_path / "dark"
    made = data.build("folder", trees["folder"], out, seed=3, degrade="illumination")
    back = data.load("folder", out)
    equal(back, made)
    equal(back, data.cross(clean, "illumination", seed=3))
    assert back.name == "folder_illumination"
    assert back.notes == ("degraded (illumination): cameras 2",)
    assert table(out, "manifest.json")["degrade"] == "illumination"
    assert {r.level for r in back.gallery} == {0.0}
    with pytest.raises(DireidError, match="nothing to degrade: resolution or illumination"):
        data.build("folder", trees["folder"], tmp_path / "x", cameras=[1])
    with pytest.raises(DireidError, match="mlr_viper: cam_a/.* is degraded already"):
        data.build("mlr_viper", trees["mlr_viper"], tmp_path / "x", degrade="resolution")
    assert not (tmp_path / "x").exists()


# ---- what cannot be written


def drawn() -> Benchmark:
    """A benchmark of arrays with known levels and names that no file could have."""

    def record(pid, camid, number, level):
        pixels = np.random.default_rng([pid, camid, number]).integers(0, 256, (6, 4, 3), np.uint8)
        return Record(f"../{pid}/{camid}: {number}", pixels, pid, camid, level)

    return Benchmark(
        "toy",
        train=tuple(record(p, c, n, c / 3) for p in (1, 2) for c in (0, 1) for n in (0, 1)),
        query=tuple(record(p, 1, n, 0.1 * n + 0.03) for p in (3, 4) for n in (0, 1)),
        gallery=tuple(record(p, 0, 0, 0.0) for p in (3, 4)),
        protocol="all_shots",
        notes=("three cats were left out",),
    )


def test_levels_notes_and_awkward_names_survive(tmp_path):
    built.write(drawn(), tmp_path / "out")
    back = data.load("folder", tmp_path / "out")
    equal(back, drawn())
    assert back.notes == drawn().notes
    assert {f.parent for f in tmp_path.rglob("*.png")} == {tmp_path / "out" / "images"}


def test_an_empty_folder_is_filled_and_a_used_one_is_refused(trees, tmp_path):
    (tmp_path / "empty").mkdir()
    built.write(drawn(), tmp_path / "empty")
    before = all_bytes(tmp_path / "empty")
    with pytest.raises(DireidError, match=r"found 0 images, 1 folders .*; expected a new or empty"):
        built.write(drawn(), tmp_path / "empty")
    assert all_bytes(tmp_path / "empty") == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DireidError, match="is a file; expected a new or empty folder"):
        data.build("folder", trees["folder"], tmp_path / "file", seed=0)
    assert (tmp_path / "file").read_text() == "mine"


def test_two_names_that_become_one_file_are_refused(tmp_path):
    pixels = drawn().query[0].image
    twins = tuple(Record(n, pixels, 3, 1) for n in ("a/b.png", "a/b.jpg"))
    with pytest.raises(DireidError, match=r"two images would be 0003_c1_b\.png"):
        built.write(Benchmark("toy", drawn().train, twins, drawn().gallery), tmp_path / "out")


def test_one_name_for_two_images_is_refused(tmp_path):
    one, *_ = drawn().gallery
    gallery = (*drawn().gallery, Record("3 again", one.image, 3, 2, 0.0))

    def with_query(query: Record) -> Benchmark:
        """The gallery's first image is a query too, and another camera's image answers it."""
        return Benchmark("toy", drawn().train, (query,), gallery)

    same = with_query(Record(one.name, one.image.copy(), 3, 0, 0.0))
    built.write(same, tmp_path / "same")
    equal(data.load("folder", tmp_path / "same"), same)
    for changed in (
        Record(one.name, one.image + 1, 3, 0, 0.0),
        Record(one.name, one.image, 3, 0, 0.5),
    ):
        with pytest.raises(DireidError, match=r"two different images are named \.\./3/0: 0"):
            built.write(with_query(changed), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_build_that_fails_takes_its_files_away(tmp_path):
    own = make_own(tmp_path / "own")
    (own / "gallery" / "0004_c1_x.jpg").write_bytes(b"damaged")
    with pytest.raises(DireidError, match=r"0004_c1_x\.jpg: not a readable image"):
        data.build("folder", own, tmp_path / "out", seed=0)
    assert not (tmp_path / "out").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DireidError):
        data.build("folder", own, tmp_path / "empty", seed=0)
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.parametrize("at", ["manifest.json", "splits.json"])
def test_a_build_that_is_killed_is_recognised(at, tmp_path, monkeypatch):
    write = built.write_json

    def dies(content, path):  # the process is gone: no cleaning up
        if path.name == at:
            raise KeyboardInterrupt
        write(content, path)

    with monkeypatch.context() as m:
        m.setattr(built, "write_json", dies)
        m.setattr(shutil, "rmtree", lambda *_, **__: None)
        m.setattr(Path, "unlink", lambda *_, **__: None)
        m.setattr(Path, "rmdir", lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            built.write(drawn(), tmp_path / "out")
    assert len(list(tmp_path.rglob("*.png"))) == 14
    with pytest.raises(DireidError, match="cut short; delete the folder and build again") as error:
        data.load("folder", tmp_path / "out")
    assert str(tmp_path / "out") in one_line(error)


def test_an_unwritable_place_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DireidError, match="out: cannot be written") as error:
        built.write(drawn(), tmp_path / "file" / "out")
    one_line(error)


# ---- what was changed afterwards


def edit(name, change):
    def spoil(root):
        content = table(root, name)
        change(content)
        (root / name).write_text(json.dumps(content))

    return spoil


def first_image(root: Path) -> Path:
    return sorted((root / "images").iterdir())[0]


BUILT_WRONG = {
    "an image gone": (
        lambda root: first_image(root).unlink(),
        r"13 images in images, 14 in manifest\.json, 1 differ, e\.g\. 0001_c0_0--0\.png; build",
    ),
    "an image more": (
        lambda root: shutil.copy(first_image(root), root / "images" / "0001_c0_new.png"),
        r"15 images in images, 14 in manifest\.json, 1 differ, e\.g\. 0001_c0_new\.png",
    ),
    "no images": (
        lambda root: shutil.rmtree(root / "images"),
        r"images: no such folder; expected ROOT/images, ROOT/manifest\.json and ROOT/splits\.json",
    ),
    "an image elsewhere": (
        edit("manifest.json", lambda t: t["images"][0].update(file="../0001_c0_0--0.png")),
        r"14 images in images, 14 in manifest\.json, 2 differ",
    ),
    "another hash": (
        edit("splits.json", lambda t: t["splits"][0].update(hash="0" * 64)),
        r"splits\.json: states the hash 000000000000\.\.\. of split 0, its images give [0-9a-f]",
    ),
    "another person": (
        edit("manifest.json", lambda t: t["images"][0].update(pid=2)),
        r"splits\.json: states the hash [0-9a-f]{12}\.\.\. of split 0, its images give [0-9a-f]",
    ),
    "someone moved into the test": (
        edit("splits.json", lambda t: t["splits"][0]["gallery"].append(t["splits"][0]["train"][0])),
        r"1 person \(1\) in both the training and the test images",
    ),
    "a name that is nowhere": (
        edit("splits.json", lambda t: t["splits"][0]["query"].append("x")),
        r"splits\.json and manifest\.json do not fit together \(KeyError\('x'\)\)",
    ),
    "no manifest": (
        lambda root: (root / "manifest.json").unlink(),
        r"manifest\.json: not as `direid data build` writes it \(FileNotFoundError",
    ),
    "no splits": (
        lambda root: (root / "splits.json").unlink(),
        r"splits\.json: not as `direid data build` writes it \(FileNotFoundError",
    ),
    "no JSON": (
        lambda root: (root / "splits.json").write_text("{"),
        r"splits\.json: not as `direid data build` writes it",
    ),
    "not a manifest": (
        lambda root: (root / "manifest.json").write_text('{"format": 1}'),
        r"manifest\.json and splits\.json are not as they were written \(KeyError\('images'\)\)",
    ),
    "another format": (
        edit("splits.json", lambda t: t.update(format=2)),
        r"splits\.json: format 2, this direid reads 1; build it again",
    ),
    "a row that is no record": (
        edit("manifest.json", lambda t: t["images"][0].update(pid="one")),
        r"splits\.json and manifest\.json do not fit together",
    ),
}


@pytest.mark.parametrize("case", BUILT_WRONG)
def test_a_built_folder_that_was_changed_is_refused(case, tmp_path):
    built.write(drawn(), tmp_path / "out")
    spoil, message = BUILT_WRONG[case]
    spoil(tmp_path / "out")
    for use in (data.load, data.check):
        with pytest.raises(DireidError, match=message) as error:
            use("folder", tmp_path / "out")
        assert str(tmp_path / "out") in one_line(error)


def test_check_names_the_file_whose_bytes_changed(tmp_path):
    built.write(drawn(), tmp_path / "out")
    file = sorted((tmp_path / "out" / "images").iterdir())[3]
    was = hashlib.sha256(file.read_bytes()).hexdigest()
    file.write_bytes(encoded(4, 6, "PNG"))
    now = hashlib.sha256(file.read_bytes()).hexdigest()
    data.load("folder", tmp_path / "out")
    with pytest.raises(DireidError) as error:
        data.check("folder", tmp_path / "out")
    assert one_line(error) == (
        f"{file}: was changed, its SHA-256 is {now[:12]}..., manifest.json has {was[:12]}...; "
        "build it again"
    )


def test_a_split_that_was_changed_is_found_by_check_whichever_it_is(trees, tmp_path):
    data.build("caviar", trees["caviar"], tmp_path / "out", seed=0)
    edit("splits.json", lambda t: t["splits"][7]["train"].pop())(tmp_path / "out")
    equal(data.load("folder", tmp_path / "out"), data.load("caviar", trees["caviar"]))
    with pytest.raises(DireidError, match="of split 7, its images give"):
        data.check("folder", tmp_path / "out")


def test_images_of_a_built_set_are_lossless(trees, tmp_path):
    data.build("caviar", trees["caviar"], tmp_path / "out", seed=0)
    sizes = Counter()
    for part in PARTS:
        for r in getattr(data.load("folder", tmp_path / "out"), part):
            with Image.open(trees["caviar"] / r.name) as image:
                assert np.array_equal(read_image(r), np.asarray(image))
                sizes[image.size] += 1
    assert sizes == {(40, 100): 500, (20, 50): 500}
    assert len(pids(data.load("folder", tmp_path / "out").train)) == 25
