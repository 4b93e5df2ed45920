"""CAVIAR, MLR-VIPeR, one's own folder: splits, refusals, and writing one out to read it back."""

import json
import os
import shutil
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from direid import data
from direid.data import caviar, folder, mlr_viper, paper_dolls
from direid.data.records import PARTS, Benchmark, Record, read_image
from direid.errors import DireidError

ONE_CAMERA = set(range(3, 72, 3)) - {72, 69}  # any 22 of the 72
RATIO_SIZES = {1: (128, 48), 2: (64, 24), 3: (43, 16), 4: (32, 12)}  # (height, width)


def encoded(width: int, height: int, kind: str) -> bytes:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def make_caviar(root: Path) -> Path:
    near, far = encoded(40, 100, "JPEG"), encoded(20, 50, "JPEG")
    root.mkdir()
    for pid in range(1, 73):
        for number in range(1, 11 if pid in ONE_CAMERA else 21):
            (root / f"{pid:04d}{number:03d}.jpg").write_bytes(near if number <= 10 else far)
    return root


def make_viper(root: Path) -> Path:
    image = encoded(48, 128, "BMP")
    for camera, angle in (("cam_a", 0), ("cam_b", 90)):
        (root / camera).mkdir(parents=True)
        for person in range(632):
            # as in the real set, numbers have gaps
            (root / camera / f"{person + person // 100:03d}_{angle}.bmp").write_bytes(image)
    return root


@pytest.fixture(scope="module")
def caviar_root(tmp_path_factory):
    return make_caviar(tmp_path_factory.mktemp("benchmarks") / "CAVIAR4REID")


@pytest.fixture(scope="module")
def viper_root(tmp_path_factory):
    return make_viper(tmp_path_factory.mktemp("benchmarks") / "VIPeR")


def real(variable: str):
    value = os.environ.get(variable)
    return pytest.param(
        value and Path(value),
        marks=pytest.mark.skipif(
            not value, reason=f"{variable} names no folder of the real images"
        ),
        id="real",
    )


def pids(records) -> set[int]:
    return {r.pid for r in records}


def names(benchmark: Benchmark) -> dict[str, list[str]]:
    return {part: [r.name for r in getattr(benchmark, part)] for part in PARTS}


def one_line(error: pytest.ExceptionInfo) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- CAVIAR


@pytest.mark.parametrize("root", ["fake", real("DIREID_CAVIAR")])
def test_caviar_is_split_as_in_the_paper(root, caviar_root):
    benchmark = data.load("caviar", caviar_root if root == "fake" else root, seed=3)
    assert [len(getattr(benchmark, part)) for part in PARTS] == [500, 250, 250]
    assert len(pids(benchmark.train)) == len(pids(benchmark.query)) == 25
    assert pids(benchmark.query) == pids(benchmark.gallery)
    assert not pids(benchmark.train) & pids(benchmark.query)
    assert {r.camid for r in benchmark.query} == {caviar.FAR}
    assert {r.camid for r in benchmark.gallery} == {caviar.NEAR}
    assert set(Counter((r.pid, r.camid) for r in benchmark.train).values()) == {10}
    assert set(Counter(r.pid for r in benchmark.train).values()) == {20}
    for r in benchmark.train + benchmark.query + benchmark.gallery:
        assert r.level is None
        assert r.name == f"{r.pid:04d}{int(r.name[4:7]):03d}.jpg"
        assert (int(r.name[4:7]) > 10) == (r.camid == caviar.FAR)


def test_caviar_drops_the_people_of_one_camera(caviar_root):
    benchmark = data.load("caviar", caviar_root)
    assert pids(benchmark.train) | pids(benchmark.query) == set(range(1, 73)) - ONE_CAMERA


@pytest.mark.parametrize("root", [real("DIREID_CAVIAR")])
def test_caviar_far_images_are_the_smaller_ones(root):
    benchmark = data.load("caviar", root)
    far = np.mean([read_image(r).shape[0] for r in benchmark.query])
    near = np.mean([read_image(r).shape[0] for r in benchmark.gallery])
    assert far < 0.75 * near


@pytest.mark.parametrize("root", [real("DIREID_CAVIAR")])
def test_caviar_splits_have_not_moved(root):
    """Scores in the book name this hash: a change here makes them another benchmark's."""
    assert data.load("caviar", root, seed=0).split_hash.startswith("92860557db56")


@pytest.mark.parametrize("root", [real("DIREID_VIPER")])
def test_mlr_viper_splits_have_not_moved(root):
    assert data.load("mlr_viper", root, seed=0).split_hash.startswith("d4908f77ba88")


# ---- both


@pytest.mark.parametrize("name", ["caviar", "mlr_viper"])
def test_the_split_is_a_pure_function_of_files_and_seed(
    name, caviar_root, viper_root, tmp_path, monkeypatch
):
    root = {"caviar": caviar_root, "mlr_viper": viper_root}[name]
    first = data.load(name, root, seed=1)
    assert data.load(name, root, seed=1).split_hash == first.split_hash
    assert data.load(name, root, seed=2).split_hash != first.split_hash
    moved = shutil.copytree(root, tmp_path / "else where")
    listing = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: reversed(sorted(listing(self))))
    again = data.load(name, str(moved), seed=1)
    assert again.split_hash == first.split_hash
    assert names(again) == names(first)


@pytest.mark.parametrize("name", ["caviar", "mlr_viper"])
def test_files_that_are_no_images_do_not_matter(name, caviar_root, viper_root, tmp_path):
    root = shutil.copytree({"caviar": caviar_root, "mlr_viper": viper_root}[name], tmp_path / "r")
    expected = data.load(name, root).split_hash
    for place in (root, *filter(Path.is_dir, root.iterdir())):
        for junk in (".DS_Store", "._0001001.jpg", "Thumbs.db", "readme.txt"):
            (place / junk).write_bytes(b"")
    assert data.load(name, root).split_hash == expected


def remove(name):
    return lambda root: (root / name).unlink()


def add(name):
    return lambda root: (root / name).write_bytes(encoded(48, 128, "BMP"))


def empty(name):
    return lambda root: (root / name).write_bytes(b"")


def nothing_left(root):
    shutil.rmtree(root)
    (root / "images").mkdir(parents=True)


CAVIAR_WRONG = {
    "one image short": (
        remove("0001020.jpg"),
        r"found 1219 images of 72 people \(49 with 001-020, 22 with 001-010, e.g. person 0001 has "
        r"19 images\); expected 1220 images of 72 people .* ROOT/PPPPNNN\.jpg",
    ),
    "one person short": (
        lambda root: [f.unlink() for f in root.glob("0005*.jpg")],
        r"found 1200 images of 71 people \(49 with 001-020, 22 with 001-010\); expected 1220",
    ),
    "one person too many": (add("0073001.jpg"), r"1221 images of 73 people .* 0073 has 1 images"),
    "a foreign name": (add("photo.jpg"), r"photo\.jpg: not a name of CAVIAR4REID; expected ROOT/"),
    "an empty image": (empty("0007013.jpg"), r"0007013\.jpg: empty image file"),
    "another folder": (nothing_left, r"found 0 images, 1 folders \(images\); expected 1220 images"),
    "no folder": (shutil.rmtree, r"no such folder; expected ROOT/PPPPNNN\.jpg"),
}


@pytest.mark.parametrize("case", CAVIAR_WRONG)
def test_a_wrong_caviar_folder_is_refused(case, tmp_path):
    root = make_caviar(tmp_path / "c")
    spoil, message = CAVIAR_WRONG[case]
    spoil(root)
    for use in (data.load, data.check):
        with pytest.raises(DireidError, match=message) as error:
            use("caviar", root)
        assert str(root) in one_line(error)


VIPER_WRONG = {
    "one image short": (
        remove("cam_b/002_90.bmp"),
        r"found 632 images in cam_a and 631 in cam_b, e.g. person 002 in one camera only; expected "
        r"632 people with one image in each, laid out as ROOT/cam_a/PPP_ANGLE\.bmp",
    ),
    "one person short": (
        lambda root: [f.unlink() for f in root.glob("*/002_*.bmp")],
        r"found 631 images in cam_a and 631 in cam_b; expected 632",
    ),
    "two images of a person": (
        add("cam_a/002_45.bmp"),
        r"002_45\.bmp: a second image of 002_0\.bmp's person",
    ),
    "a foreign name": (add("cam_b/x.bmp"), r"x\.bmp: not a name of VIPeR; expected ROOT/cam_a"),
    "an empty image": (empty("cam_a/011_0.bmp"), r"011_0\.bmp: empty image file"),
    "one camera": (
        lambda root: shutil.rmtree(root / "cam_b"),
        r"found 0 images, 1 folders \(cam_a\); expected ROOT/cam_a/PPP_ANGLE\.bmp and ROOT/cam_b",
    ),
    "no folder": (shutil.rmtree, r"no such folder; expected ROOT/cam_a"),
}


@pytest.mark.parametrize("case", VIPER_WRONG)
def test_a_wrong_viper_folder_is_refused(case, tmp_path):
    root = make_viper(tmp_path / "v")
    spoil, message = VIPER_WRONG[case]
    spoil(root)
    for use in (data.load, data.check):
        with pytest.raises(DireidError, match=message) as error:
            use("mlr_viper", root)
        assert str(root) in one_line(error)


@pytest.mark.parametrize("name", ["caviar", "mlr_viper"])
def test_check_counts_and_decodes_every_image(name, caviar_root, viper_root, tmp_path):
    root = shutil.copytree({"caviar": caviar_root, "mlr_viper": viper_root}[name], tmp_path / "r")
    lines = data.check(name, root, seed=4)
    assert data.load(name, root, seed=4).split_hash in lines[-1]
    assert {"caviar": "1,220", "mlr_viper": "1,264"}[name] in lines[0]
    # a dropped person's image too, and one that load itself never opens
    victim = root / {"caviar": "0003001.jpg", "mlr_viper": "cam_b/000_90.bmp"}[name]
    victim.write_bytes(victim.read_bytes()[:50])
    data.load(name, root, seed=4)
    with pytest.raises(DireidError, match=f"{victim.name}: not a readable image"):
        data.check(name, root, seed=4)


def test_check_refuses_viper_images_of_another_size(viper_root, tmp_path):
    root = shutil.copytree(viper_root, tmp_path / "r")
    (root / "cam_a" / "000_0.bmp").write_bytes(encoded(64, 128, "BMP"))
    with pytest.raises(DireidError, match=r"000_0\.bmp: 64 x 128 px, expected 48 x 128"):
        data.check("mlr_viper", root)


# ---- MLR-VIPeR


@pytest.mark.parametrize("root", ["fake", real("DIREID_VIPER")])
def test_mlr_viper_is_split_as_in_the_paper(root, viper_root):
    benchmark = data.load("mlr_viper", viper_root if root == "fake" else root, seed=3)
    assert [len(getattr(benchmark, part)) for part in PARTS] == [632, 316, 316]
    assert len(pids(benchmark.train)) == len(pids(benchmark.query)) == 316
    assert pids(benchmark.query) == pids(benchmark.gallery)
    assert not pids(benchmark.train) & pids(benchmark.query)
    assert {r.camid for r in benchmark.query} == {1}
    assert {r.camid for r in benchmark.gallery} == {2}
    assert set(Counter(r.pid for r in benchmark.train).values()) == {2}
    ratios = Counter()
    for r in benchmark.train + benchmark.query + benchmark.gallery:
        ratio = round(1 + 3 * r.level)
        ratios[r.camid, ratio] += 1
        assert read_image(r).shape[:2] == RATIO_SIZES[ratio]
        assert r.name.startswith("cam_a/" if r.camid == 1 else "cam_b/")
    assert ratios[2, 1] == 632
    assert all(160 < ratios[1, ratio] < 260 for ratio in (2, 3, 4))  # 632 / 3, give or take 4 sd
    assert sum(ratios.values()) == 1264


def test_a_ratio_belongs_to_the_image_and_the_seed(viper_root):
    def levels(seed):
        benchmark = data.load("mlr_viper", viper_root, seed)
        small = [r for r in benchmark.train + benchmark.query if r.camid == 1]
        return {r.name: r.level for r in small}

    zero, one = levels(0), levels(1)
    assert levels(0) == zero
    assert len(zero) == 632
    changed = sum(zero[name] != level for name, level in one.items())
    assert 0.5 < changed / 632 < 0.8  # a fresh draw differs two times in three


@pytest.mark.parametrize("ratio", [2, 4])
def test_shrinking_is_antialiased_bicubic(ratio):
    pixels = np.random.default_rng(0).integers(60, 190, (128, 48, 3), dtype=np.uint8)
    ours = torch.from_numpy(mlr_viper.shrink(pixels, ratio).astype(np.float32)).permute(2, 0, 1)
    reference = F.interpolate(
        torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None],
        scale_factor=1 / ratio,
        mode="bicubic",
        antialias=True,
    )[0]
    assert (ours - reference).abs().max() < 1.6  # Pillow rounds after each direction


# ---- names and roots


def test_an_unknown_name_is_refused_with_the_names_there_are():
    for call in (data.load, data.check):
        with pytest.raises(DireidError, match=r"unknown data set 'market'.*paper_dolls.*folder"):
            call("market")


@pytest.mark.parametrize("name", ["caviar", "mlr_viper", "folder"])
def test_a_missing_root_is_refused_with_the_layout(name, tmp_path):
    for call in (data.load, data.check):
        with pytest.raises(DireidError, match=f"{name} needs the folder of its images.*ROOT/") as e:
            call(name)
        one_line(e)
    with pytest.raises(DireidError, match="no such folder; expected ROOT/"):
        data.load(name, tmp_path / "gone")


def test_a_root_for_drawn_figures_is_refused(tmp_path):
    with pytest.raises(DireidError, match="paper_dolls is drawn by direid and reads no folder"):
        data.load("paper_dolls", tmp_path)


@pytest.mark.parametrize(
    ("name", "kind"), [("paper_dolls", "resolution"), ("paper_dolls_dark", "illumination")]
)
def test_drawn_figures_are_loaded_by_name_seed_and_size(name, kind, monkeypatch):
    draw, few = paper_dolls.paper_dolls, {"train_people": 8, "test_people": 8}
    monkeypatch.setattr(
        paper_dolls, "paper_dolls", lambda seed, **asked: draw(seed, **few, **asked)
    )
    loaded = data.load(name, seed=3, height=32, width=16)
    equal(loaded, draw(3, **few, height=32, width=16, degradation=kind))
    assert loaded.name == name
    assert read_image(loaded.query[0]).shape == (32, 16, 3)
    assert data.check(name) == ["drawn by direid itself: there is no folder to check"]


def test_describe_has_a_row_for_every_name():
    rows = data.describe()
    assert tuple(row["name"] for row in rows) == data.NAMES
    assert all(row.keys() == {"name", "what", "where", "layout"} for row in rows)
    assert all(all(row.values()) for row in rows)


# ---- one's own folder


OWN = {
    "train": ["0007_c1_a.jpg", "0007_c2_b.jpg", "12_c1.png", "0012_c2s1_000451_03.jpg"],
    "query": ["0003_c2_x.bmp"],
    "gallery": ["0003_c1_x.jpeg", "0004_c1_x.jpg"],
}
KINDS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP"}


@pytest.fixture
def own(tmp_path) -> Path:
    for part, files in OWN.items():
        (tmp_path / "own" / part).mkdir(parents=True)
        for i, file in enumerate(files):
            pixels = encoded(20 + i, 50, KINDS[Path(file).suffix])
            (tmp_path / "own" / part / file).write_bytes(pixels)
    return tmp_path / "own"


def test_a_folder_s_names_tell_person_and_camera(own):
    benchmark = data.load("folder", own)
    found = {(r.name, r.pid, r.camid) for r in benchmark.train}
    assert found == {
        ("0007_c1_a.jpg", 7, 1),
        ("0007_c2_b.jpg", 7, 2),
        ("12_c1.png", 12, 1),
        ("0012_c2s1_000451_03.jpg", 12, 2),  # as Market-1501 names its files
    }
    assert [len(getattr(benchmark, part)) for part in PARTS] == [4, 1, 2]
    assert {r.level for r in benchmark.train} == {None}


def test_check_of_a_folder_counts_and_decodes(own):
    lines = data.check("folder", own)
    assert lines[0].startswith("7 images, 20-23 px wide and 50-50 px high")
    assert "train: 4 images of 2 people, cameras 1, 2" in lines
    (own / "query" / "0003_c2_x.bmp").write_bytes(b"BM no more")
    with pytest.raises(DireidError, match=r"0003_c2_x\.bmp: not a readable image"):
        data.check("folder", own)


def rename(old, new):
    def spoil(root):
        (root / new).parent.mkdir(exist_ok=True)
        (root / old).rename(root / new)

    return spoil


OWN_WRONG = {
    "a part missing": (
        lambda root: shutil.rmtree(root / "query"),
        r"found 0 images, 2 folders \(gallery, train\); expected ROOT/\{train,query,gallery\}/P",
    ),
    "an empty part": (remove("query/0003_c2_x.bmp"), "the query part has no image"),
    "a name without camera": (
        rename("train/0007_c1_a.jpg", "train/0007_a.jpg"),
        r"0007_a\.jpg: the name tells no person and camera; expected ROOT/",
    ),
    "an empty image": (empty("train/0007_c1_a.jpg"), r"0007_c1_a\.jpg: empty image file"),
    "one image of a person": (
        remove("train/0007_c1_a.jpg"),
        r"1 person \(7\) with a single training image",
    ),
    "a person in train and test": (
        rename("train/0007_c1_a.jpg", "gallery/0007_c1_a.jpg"),
        r"1 person \(7\) in both the training and the test images",
    ),
    "a query without answer": (
        remove("gallery/0003_c1_x.jpeg"),
        r"1 person \(3\) of the 1 query people without any gallery image",
    ),
    "one camera": (
        rename("gallery/0003_c1_x.jpeg", "gallery/0003_c2_y.jpeg"),
        r"1 person \(3\) of the 1 query people with gallery images from the query's own camera",
    ),
    "a build cut short": (
        add("split.json.partial"),
        "cut short; delete the folder and build again",
    ),
}


@pytest.mark.parametrize("case", OWN_WRONG)
def test_a_wrong_folder_is_refused(case, own):
    spoil, message = OWN_WRONG[case]
    spoil(own)
    with pytest.raises(DireidError, match=message) as error:
        data.load("folder", own)
    assert str(own) in one_line(error)


# ---- build


def equal(a: Benchmark, b: Benchmark) -> None:
    assert (a.name, a.protocol, a.split_hash) == (b.name, b.protocol, b.split_hash)
    assert names(a) == names(b)
    for part in PARTS:
        for r, s in zip(getattr(a, part), getattr(b, part), strict=True):
            assert (r.pid, r.camid, r.level) == (s.pid, s.camid, s.level)
            assert np.array_equal(read_image(r), read_image(s))


def all_bytes(root: Path) -> dict[str, bytes]:
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


@pytest.mark.parametrize("name", ["caviar", "mlr_viper"])
def test_what_is_built_reads_back_the_same(name, caviar_root, viper_root, tmp_path):
    root = {"caviar": caviar_root, "mlr_viper": viper_root}[name]
    built = data.build(name, root, tmp_path / "out", seed=5)
    equal(built, data.load(name, root, seed=5))
    equal(data.load("folder", tmp_path / "out"), built)
    assert len(list((tmp_path / "out" / "query").iterdir())) == len(built.query)
    assert built.split_hash in data.check("folder", tmp_path / "out")[-1]


def test_building_twice_gives_the_same_bytes(own, tmp_path):
    data.build("folder", own, tmp_path / "a", seed=0)
    data.build("folder", own, tmp_path / "b", seed=0)
    assert all_bytes(tmp_path / "a") == all_bytes(tmp_path / "b")
    assert "train/0007_c1_a.png" in all_bytes(tmp_path / "a")
    equal(data.load("folder", tmp_path / "a"), data.load("folder", own))


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
    )


def test_levels_and_awkward_names_survive(tmp_path):
    folder.write(drawn(), tmp_path / "out")
    equal(data.load("folder", tmp_path / "out"), drawn())
    assert {f.parent.parent for f in tmp_path.rglob("*.png")} == {tmp_path / "out"}


def test_an_empty_folder_is_filled_and_a_used_one_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    folder.write(drawn(), tmp_path / "empty")
    before = all_bytes(tmp_path / "empty")
    with pytest.raises(DireidError, match=r"found 0 images, 3 folders .*; expected a new or empty"):
        folder.write(drawn(), tmp_path / "empty")
    assert all_bytes(tmp_path / "empty") == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DireidError, match="is a file; expected a new or empty folder"):
        data.build("folder", tmp_path / "empty", tmp_path / "file", seed=0)
    assert (tmp_path / "file").read_text() == "mine"


def test_two_names_that_become_one_file_are_refused(tmp_path):
    toy = drawn()
    twins = tuple(Record(n, toy.query[0].image, 3, 1) for n in ("a/b.png", "a/b.jpg"))
    toy = Benchmark("toy", toy.train, twins, toy.gallery)
    with pytest.raises(DireidError, match=r"two images of the query part would be 0003_c1_b\.png"):
        folder.write(toy, tmp_path / "out")


def test_a_build_that_fails_takes_its_files_away(own, tmp_path):
    (own / "gallery" / "0004_c1_x.jpg").write_bytes(b"damaged")
    with pytest.raises(DireidError, match=r"0004_c1_x\.jpg: not a readable image"):
        data.build("folder", own, tmp_path / "out", seed=0)
    assert not (tmp_path / "out").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DireidError):
        data.build("folder", own, tmp_path / "empty", seed=0)
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_build_that_is_killed_is_recognised(tmp_path, monkeypatch):
    with monkeypatch.context() as m:  # the process dies after the last image: no cleaning up
        m.setattr(folder, "save_split", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        m.setattr(shutil, "rmtree", lambda *_, **__: None)
        m.setattr(Path, "unlink", lambda *_, **__: None)
        m.setattr(Path, "rmdir", lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            folder.write(drawn(), tmp_path / "out")
    assert len(list(tmp_path.rglob("*.png"))) == 14
    with pytest.raises(DireidError, match="cut short"):
        data.load("folder", tmp_path / "out")


def test_an_unwritable_place_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DireidError, match="out: cannot be written") as error:
        folder.write(drawn(), tmp_path / "file" / "out")
    one_line(error)


def edit(change):
    def spoil(root):
        table = json.loads((root / "split.json").read_text())
        change(table)
        (root / "split.json").write_text(json.dumps(table))

    return spoil


def first_image(root: Path, part: str) -> Path:
    return sorted((root / part).iterdir())[0]


BUILT_WRONG = {
    "an image gone": (
        lambda root: first_image(root, "gallery").unlink(),
        r"1 images in gallery, 2 in split\.json, 1 differ, e\.g\. 0003_c0_0--0\.png",
    ),
    "an image more": (
        lambda root: shutil.copy(first_image(root, "train"), root / "train" / "0001_c0_new.png"),
        r"9 images in train, 8 in split\.json, 1 differ, e\.g\. 0001_c0_new\.png",
    ),
    "another hash": (
        edit(lambda table: table.update(hash="0" * 64)),
        r"split\.json: states the hash 000000000000\.\.\., its rows give [0-9a-f]{12}",
    ),
    "no JSON": (
        lambda root: (root / "split.json").write_text("{"),
        r"split\.json: not a split file",
    ),
    "not a split": (
        lambda root: (root / "split.json").write_text('{"hash": 1}'),
        r"split\.json: not a split file \(KeyError\('train'\)\)",
    ),
    "a row that is no record": (
        edit(lambda table: table["query"].__setitem__(0, {"name": "x", "pid": "one"})),
        r"split\.json: not a split file",
    ),
}


@pytest.mark.parametrize("case", BUILT_WRONG)
def test_a_built_folder_that_was_changed_is_refused(case, tmp_path):
    folder.write(drawn(), tmp_path / "out")
    spoil, message = BUILT_WRONG[case]
    spoil(tmp_path / "out")
    with pytest.raises(DireidError, match=message) as error:
        data.load("folder", tmp_path / "out")
    assert str(tmp_path / "out") in one_line(error)
