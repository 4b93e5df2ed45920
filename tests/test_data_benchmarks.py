"""CAVIAR, MLR-VIPeR and one's own folder: who trains, who tests, and what is refused."""

import hashlib
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from data_trees import (
    ONE_CAMERA,
    RATIO_SIZES,
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

from direid import data
from direid.data import caviar, paper_dolls
from direid.data.cross import shrink
from direid.data.records import PARTS, read_image
from direid.errors import DireidError


@pytest.fixture(scope="module")
def caviar_root(tmp_path_factory):
    return make_caviar(tmp_path_factory.mktemp("benchmarks") / "CAVIAR4REID")


@pytest.fixture(scope="module")
def viper_root(tmp_path_factory):
    return make_viper(tmp_path_factory.mktemp("benchmarks") / "VIPeR")


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


@pytest.mark.parametrize("root", [real("DIREID_VIPER")])
def test_mlr_viper_images_have_not_changed(root):
    """Taken from the version whose scores the book shows; Pillow resizes in integers."""
    digest, benchmark = hashlib.sha256(), data.load("mlr_viper", root, seed=0)
    for part in PARTS:
        for r in getattr(benchmark, part):
            digest.update(f"{part}{r.name}{r.pid}{r.camid}{r.level}".encode())
            digest.update(read_image(r).tobytes())
    assert digest.hexdigest()[:16] == "c8ebf125418db9e7"


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
def test_ten_splits_of_one_seed_differ_and_leave_the_images_alone(name, caviar_root, viper_root):
    root = {"caviar": caviar_root, "mlr_viper": viper_root}[name]
    made = [data.load(name, root, seed=2, split=k) for k in range(10)]
    assert made[0].split_hash == data.load(name, root, seed=2).split_hash
    assert len({b.split_hash for b in made}) == 10
    assert data.load(name, root, seed=2, split=7).split_hash == made[7].split_hash
    assert data.load(name, root, seed=3, split=7).split_hash != made[7].split_hash
    everyone = pids(made[0].train) | pids(made[0].query)
    tested = Counter(pid for b in made for pid in pids(b.query))
    for b in made:
        assert not pids(b.train) & (pids(b.query) | pids(b.gallery))
        assert pids(b.train) | pids(b.query) == everyone
        assert len(pids(b.query)) == len(everyone) // 2
    # each person is tested about half of the time, by independent draws
    assert 0.5 * 2.5 < np.var([tested[pid] for pid in everyone]) < 1.5 * 2.5
    levels = [{r.name: r.level for part in PARTS for r in getattr(b, part)} for b in made]
    assert all(mine == levels[0] for mine in levels)


def test_a_fixed_or_a_negative_split_is_refused(own, caviar_root):
    with pytest.raises(DireidError, match="folder: split 1 .* its split is fixed, expected 0"):
        data.load("folder", own, split=1)
    with pytest.raises(DireidError, match="caviar: split -1, expected 0 or more"):
        data.load("caviar", caviar_root, split=-1)


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
        r"found 0 images, 1 folders \(cam_a\), no cam_b; expected ROOT/cam_a/PPP_ANGLE\.bmp",
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
    ours = torch.from_numpy(shrink(pixels, ratio).astype(np.float32)).permute(2, 0, 1)
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
        with pytest.raises(
            DireidError, match=r"unknown data set 'market'.*paper_dolls.*market1501.*folder"
        ):
            call("market")


@pytest.mark.parametrize(
    "name", ["caviar", "mlr_viper", "mlr_cuhk03", "msmt17", "market1501", "folder"]
)
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
    ("name", "kind"),
    [
        ("paper_dolls", "resolution"),
        ("paper_dolls_dark", "illumination"),
        ("paper_dolls_both", "resolution+illumination"),
    ],
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


def test_other_splits_of_drawn_figures_are_other_figures(monkeypatch):
    seeds = []
    monkeypatch.setattr(paper_dolls, "paper_dolls", lambda seed, **_: seeds.append(seed))
    for seed, split in [(3, 0), (3, 1), (3, 1), (3, 2), (4, 1)]:
        data.load("paper_dolls", seed=seed, split=split)
    assert seeds[0] == 3
    assert seeds[1] == seeds[2]
    assert len(set(seeds)) == 4


def test_describe_has_a_row_for_every_name():
    rows = data.describe()
    assert tuple(row["name"] for row in rows) == data.NAMES
    assert all(row.keys() == {"name", "what", "where", "layout"} for row in rows)
    assert all(all(row.values()) for row in rows)


# ---- one's own folder


@pytest.fixture
def own(tmp_path) -> Path:
    return make_own(tmp_path / "own")


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


def one_deeper(root):
    root.rename(root.with_name("it"))
    root.mkdir()
    root.with_name("it").rename(root / "it")


OWN_WRONG = {
    "a part missing": (
        lambda root: shutil.rmtree(root / "query"),
        r"found 0 images, 2 folders \(gallery, train\), no query; expected ROOT/\{train,query,gall",
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
    "a build of former times": (
        add("split.json"),
        r"split\.json: of an earlier direid; build it again, or delete this file",
    ),
    "the parent folder": (
        one_deeper,
        r"the parent folder was given: try .*/own/it$",
    ),
}


@pytest.mark.parametrize("case", OWN_WRONG)
def test_a_wrong_folder_is_refused(case, own):
    spoil, message = OWN_WRONG[case]
    spoil(own)
    with pytest.raises(DireidError, match=message) as error:
        data.load("folder", own)
    assert str(own) in one_line(error)
