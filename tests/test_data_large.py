"""Market-1501, MSMT17 and MLR-CUHK03, on trees of the official layout with few people in them."""

import shutil
import sys
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from data_trees import all_bytes, encoded, equal, names, one_line, pids
from PIL import Image

from direid import data
from direid.data import market1501, mlr_cuhk03, msmt17
from direid.data.loaders import IdentityBatches, stream
from direid.data.records import PARTS, read_image
from direid.errors import DireidError

JPEG = encoded(16, 32, "JPEG")


def put(file: Path, content: bytes = JPEG) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


# ---- Market-1501: people 2, 4, 6 train; 1, 3, 5 are tested; 3 distractors, 2 junk images


def make_market(root: Path) -> Path:
    for pid, camera in product((2, 4, 6), (1, 2, 6)):
        put(root / "bounding_box_train" / f"{pid:04d}_c{camera}s1_000451_03.jpg")
    for pid, camera in product((1, 3, 5), (1, 3)):
        put(root / "query" / f"{pid:04d}_c{camera}s1_001051_00.jpg")
        for number in (1, 2):
            put(root / "bounding_box_test" / f"{pid:04d}_c{camera}s2_00105{number}_01.jpg")
    for number in range(3):
        put(root / "bounding_box_test" / f"0000_c{number + 3}s1_000151_0{number}.jpg")
    for number in range(2):
        put(root / "bounding_box_test" / f"-1_c1s1_000401_0{number}.jpg")
    put(root / "bounding_box_test" / "Thumbs.db", b"")
    put(root / "gt_query" / "0001_c1s1_001051_00_good.mat", b"x")
    return root


@pytest.fixture
def market(tmp_path, monkeypatch) -> Path:
    counts = (9, 3, 6, 3, 15, 3, 3, 6)
    monkeypatch.setattr(market1501, "OFFICIAL", dict(zip(market1501.OFFICIAL, counts, strict=True)))
    return make_market(tmp_path / "Market-1501-v15.09.15")


def test_the_official_counts_of_market():
    assert list(market1501.OFFICIAL.values()) == [12936, 751, 3368, 750, 19732 - 3819, 750, 2793, 6]


def test_market_drops_junk_and_keeps_distractors(market):
    benchmark = data.load("market1501", market, seed=5)
    assert (benchmark.name, benchmark.protocol) == ("market1501", "all_shots")
    assert [len(getattr(benchmark, part)) for part in PARTS] == [9, 6, 15]
    assert pids(benchmark.train) == {2, 4, 6}
    assert pids(benchmark.query) == {1, 3, 5}
    assert Counter(r.pid for r in benchmark.gallery) == {0: 3, 1: 4, 3: 4, 5: 4}
    for r in benchmark.train + benchmark.query + benchmark.gallery:
        folder, name = r.name.split("/")
        assert (r.pid, r.camid, r.level) == (int(name[:4]), int(name[6]), None)
        assert r.image == market / folder / name
    assert data.load("market1501", market, seed=6).split_hash == benchmark.split_hash


def test_check_of_market_counts_and_decodes(market):
    lines = data.check("market1501", market)
    assert lines[0] == "30 images, 16-16 px wide and 32-32 px high; every image decodes"
    assert "2 junk images dropped" in lines[1]
    assert "gallery: 15 images of 4 people, cameras 1, 3, 4, 5" in lines
    put(market / "bounding_box_test" / "0000_c3s1_000151_00.jpg", JPEG[:100])
    data.load("market1501", market)
    with pytest.raises(DireidError, match=r"0000_c3s1_000151_00\.jpg: not a readable image"):
        data.check("market1501", market)


def test_a_query_that_nothing_answers_is_left_out_and_told(market):
    for file in (market / "bounding_box_test").glob("0003_c1*"):
        file.rename(file.with_name(file.name.replace("c1s2", "c3s9")))
    benchmark = data.load("market1501", market)
    assert len(benchmark.query) == 5
    assert benchmark.notes[0].startswith("left out: 1 of 6 queries without a gallery image")
    assert benchmark.notes[0] in data.check("market1501", market)


MARKET_WRONG = {
    "an image gone": (
        lambda root: (root / "query" / "0003_c3s1_001051_00.jpg").unlink(),
        r"found 5 query images \(expected 6\); files are missing or added; unpack the release",
    ),
    "a distractor gone": (
        lambda root: (root / "bounding_box_test" / "0000_c3s1_000151_00.jpg").unlink(),
        r"found 14 gallery images \(expected 15\), 2 distractors \(expected 3\)",
    ),
    "a person more": (
        lambda root: put(root / "bounding_box_train" / "0008_c1s1_000451_03.jpg"),
        r"found 10 training images \(expected 9\), 4 training people \(expected 3\)",
    ),
    "a foreign name": (
        lambda root: put(root / "query" / "0002_c2_f0046182.jpg"),  # DukeMTMC-reID
        r"0002_c2_f0046182\.jpg: not a name of Market-1501; expected ROOT/",
    ),
    "a folder gone": (
        lambda root: shutil.rmtree(root / "query"),
        r"found 0 images, 3 folders \(.*\), no query; expected ROOT/",
    ),
}


@pytest.mark.parametrize("case", MARKET_WRONG)
def test_a_wrong_market_folder_is_refused(case, market):
    spoil, message = MARKET_WRONG[case]
    spoil(market)
    for use in (data.load, data.check):
        with pytest.raises(DireidError, match=message) as error:
            use("market1501", market)
        assert str(market) in one_line(error)


@pytest.mark.parametrize("name", ["market1501", "msmt17"])
def test_a_folder_above_or_below_is_pointed_to(name, market, msmt):
    root, part = {"market1501": (market, "query"), "msmt17": (msmt, "train")}[name]
    with pytest.raises(DireidError, match=f"the parent folder was given: try {root}$"):
        data.load(name, root.parent)
    with pytest.raises(DireidError, match=f"a part of it was given: try {root}$"):
        data.load(name, root / part)


@pytest.mark.parametrize("name", ["market1501", "msmt17"])
def test_a_fixed_split_is_the_only_one(name, market, msmt):
    root = {"market1501": market, "msmt17": msmt}[name]
    assert data.splits(name, root) == 1
    with pytest.raises(DireidError, match=f"{name}: split 3 was asked for; its split is fixed"):
        data.load(name, root, split=3)


def test_a_dark_market_is_built(market, tmp_path):
    data.build("market1501", market, tmp_path / "a", 2, degrade="illumination", cameras=[3])
    data.build("market1501", market, tmp_path / "b", 2, degrade="illumination", cameras=[3])
    assert all_bytes(tmp_path / "a") == all_bytes(tmp_path / "b")
    back = data.load("folder", tmp_path / "a")
    equal(back, data.cross(data.load("market1501", market), "illumination", [3], seed=2))
    assert [len(getattr(back, part)) for part in PARTS] == [9, 3, 8]
    assert len(list((tmp_path / "a" / "images").iterdir())) == 20


# ---- MSMT17: people 0, 1 train and people 0, 1, 2 are tested, as the release numbers them


def make_msmt(root: Path, train: str = "train", test: str = "test") -> Path:
    lists: dict[str, list[str]] = {"train": [], "val": [], "query": [], "gallery": []}

    def add(name: str, folder: str, pid: int, number: int, camera: int) -> None:
        stored = f"{pid:04d}/{pid:04d}_{number:03d}_{camera:02d}_0303morning_0015_0.jpg"
        put(root / folder / stored)
        lists[name].append(f"{stored} {pid}\n")

    for pid in (0, 1):
        for number, camera in enumerate((1, 15, 7)):
            add("val" if number == 2 else "train", train, pid, number, camera)
    for pid in (0, 1, 2):
        add("query", test, pid, 0, 2)
        for number in (1, 2):
            add("gallery", test, pid, number, 2 + number)
    for name, lines in lists.items():
        (root / f"list_{name}.txt").write_text("".join(lines))
    return root


@pytest.fixture
def msmt(tmp_path, monkeypatch) -> Path:
    counts = (4, 2, 3, 6, 2, 3, 3, 6)
    monkeypatch.setattr(msmt17, "OFFICIAL", dict(zip(msmt17.OFFICIAL, counts, strict=True)))
    return make_msmt(tmp_path / "MSMT17_V1")


def test_the_official_counts_of_msmt17():
    train, val, query, gallery, *people, cameras = msmt17.OFFICIAL.values()
    assert (train + val, query + gallery) == (32_621, 93_820)
    assert (train, query) == (30_248, 11_659)
    assert (people, cameras) == ([1041, 3060, 3060], 15)


@pytest.mark.parametrize("release", [("train", "test"), ("mask_train_v2", "mask_test_v2")])
def test_msmt17_trains_on_train_and_val_and_tests_other_people(release, msmt, tmp_path):
    root = make_msmt(tmp_path / "of_this_release", *release)
    benchmark = data.load("msmt17", root)
    assert (benchmark.name, benchmark.protocol) == ("msmt17", "all_shots")
    assert Counter((r.pid, r.camid) for r in benchmark.train) == dict.fromkeys(
        product((0, 1), (1, 7, 15)), 1
    )
    assert [(r.pid, r.camid) for r in benchmark.query] == [(10_000, 2), (10_001, 2), (10_002, 2)]
    assert Counter(r.camid for r in benchmark.gallery) == {3: 3, 4: 3}
    first = benchmark.query[0]
    assert first.name == f"{release[1]}/0000/0000_000_02_0303morning_0015_0.jpg"
    assert first.image == root / first.name
    assert data.check("msmt17", root)[0].startswith("15 images, 16-16 px wide and 32-32 px high")


MSMT_WRONG = {
    "a list gone": (
        lambda root: (root / "list_val.txt").unlink(),
        r"found 0 images, 2 folders \(test, train\), no list_val\.txt; expected ROOT/",
    ),
    "a list cut short": (
        lambda root: (root / "list_query.txt").write_text(
            "0000/0000_000_02_0303morning_0015_0.jpg 0\n"
        ),
        r"found 1 images in list_query\.txt \(expected 3\), 1 query people \(expected 3\); a list",
    ),
    "a list of something else": (
        lambda root: (root / "list_train.txt").write_text("hello\n"),
        r"list_train\.txt: line 'hello'; expected ROOT/",
    ),
    "images gone": (
        lambda root: shutil.rmtree(root / "test" / "0001"),
        r"test/0001/0001_000_02_\S+: no such file; of the 3 images that list_query\.txt list, 1",
    ),
    "a folder gone": (
        lambda root: shutil.rmtree(root / "test"),
        r"found 0 images, 1 folders \(train\), no test; expected ROOT/\{train,test\}/PPPP",
    ),
}


@pytest.mark.parametrize("case", MSMT_WRONG)
def test_a_wrong_msmt17_folder_is_refused(case, msmt):
    spoil, message = MSMT_WRONG[case]
    spoil(msmt)
    for use in (data.load, data.check):
        with pytest.raises(DireidError, match=message) as error:
            use("msmt17", msmt)
        assert str(msmt) in one_line(error)


# ---- CUHK03: person n of each pair has these cells; two people have one view only, one one image

PEOPLE = (6, 3, 2, 1, 1)
CELLS = {(1, 2): (0, 1), (2, 1): (7,), (1, 6): (6, 9)}  # the others have 0, 3, 5 and 8
TEST_SETS = [[(1, 1), (2, 2)], [(1, 2), (3, 1)], [(5, 1), (4, 1)]]


def pixels(pair: int, person: int, cell: int) -> np.ndarray:
    size = (20 + pair, 10 + person, 3)
    return np.random.default_rng([pair, person, cell]).integers(0, 256, size, np.uint8)


def cells():
    for pair, count in enumerate(PEOPLE, 1):
        for person in range(1, count + 1):
            for cell in CELLS.get((pair, person), (0, 3, 5, 8)):
                yield pair, person, cell


def make_folder(root: Path) -> Path:
    for pair, person, cell in cells():
        file = root / "images_detected" / f"{pair}_{person:03d}_{1 + cell // 5}_{cell + 1:02d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(pair, person, cell)).save(file)
    return root


def make_mat(root: Path, test_sets=TEST_SETS) -> Path:
    """As MATLAB 7.3 writes it: every array transposed, cells as references, none as two zeros."""
    h5py = pytest.importorskip("h5py", reason="h5py, which reads cuhk-03.mat, is not installed")
    root.mkdir(parents=True, exist_ok=True)
    filled = set(cells())
    with h5py.File(root / "cuhk-03.mat", "w", userblock_size=512) as mat:
        stored = mat.create_group("#refs#")

        def store(content: np.ndarray) -> object:
            return stored.create_dataset(str(len(stored)), data=content).ref

        def cell_array(content: list[list[object]]) -> np.ndarray:
            array = np.empty((len(content), len(content[0])), h5py.ref_dtype)
            for at in np.ndindex(array.shape):
                array[at] = content[at[0]][at[1]]
            return array

        for kind in ("detected", "labeled"):
            pairs = []
            for pair, count in enumerate(PEOPLE, 1):
                columns = [
                    [
                        store(pixels(pair, person, cell).T)
                        if (pair, person, cell) in filled and kind == "detected"
                        else store(np.zeros(2, np.uint64))
                        for person in range(1, count + 1)
                    ]
                    for cell in range(10)
                ]
                pairs.append(store_cells(stored, cell_array(columns), h5py))
            mat.create_dataset(kind, data=cell_array([pairs]), dtype=h5py.ref_dtype)
        sets = [store(np.array(people, float).T) for people in test_sets]
        mat.create_dataset("testsets", data=cell_array([sets]), dtype=h5py.ref_dtype)
    return root


def store_cells(group, array: np.ndarray, h5py) -> object:
    return group.create_dataset(str(len(group)), data=array, dtype=h5py.ref_dtype).ref


@pytest.fixture(params=["mat", "folder"])
def cuhk(request, tmp_path, few_people) -> Path:
    return {"mat": make_mat, "folder": make_folder}[request.param](tmp_path / "cuhk03")


@pytest.fixture
def few_people(monkeypatch) -> None:
    images = len(list(cells()))
    counts = dict(zip(mlr_cuhk03.OFFICIAL, (images, 13, *PEOPLE), strict=True))
    monkeypatch.setattr(mlr_cuhk03, "OFFICIAL", counts)
    monkeypatch.setattr(mlr_cuhk03, "LABELLED", images - 1)
    monkeypatch.setattr(mlr_cuhk03, "TEST_PEOPLE", 2)
    monkeypatch.setattr(mlr_cuhk03, "TEST_SETS", 3)


def test_the_official_counts_of_cuhk03():
    assert list(mlr_cuhk03.OFFICIAL.values()) == [14_097, 1_467, 843, 440, 77, 58, 49]
    assert sum((843, 440, 77, 58, 49)) == 1_467
    assert (mlr_cuhk03.TEST_PEOPLE, mlr_cuhk03.TEST_SETS) == (100, 20)


def test_mlr_cuhk03_from_either_source(cuhk):
    for split in range(3):
        benchmark = data.load("mlr_cuhk03", cuhk, seed=1, split=split)
        assert (benchmark.name, benchmark.protocol) == ("mlr_cuhk03", "single_shot")
        assert 1 <= len(pids(benchmark.gallery)) <= 2
        assert not pids(benchmark.train) & pids(benchmark.query + benchmark.gallery)
        assert {r.camid for r in benchmark.query} == {1}
        assert {r.camid for r in benchmark.gallery} == {2}
        assert 2001 not in pids(benchmark.train)  # a single image
        assert "left out: 1 training people with a single image" in benchmark.notes
        for r in benchmark.train + benchmark.query + benchmark.gallery:
            pair, person, view, number = map(int, r.name.removesuffix(".png").split("_"))
            assert (r.pid, r.camid) == (1000 * pair + person, view)
            whole = pixels(pair, person, number - 1)
            ratio = round(1 + 3 * r.level)
            assert (ratio in (2, 3, 4)) == (view == 1)
            small = Image.fromarray(whole).resize(
                (round(whole.shape[1] / ratio), round(whole.shape[0] / ratio)),
                Image.Resampling.BICUBIC,
            )
            assert np.array_equal(read_image(r), np.asarray(small))


def test_the_release_s_test_sets_are_the_splits(tmp_path, few_people):
    root = make_mat(tmp_path / "cuhk03")
    assert data.splits("mlr_cuhk03", root) == 3
    made = [data.load("mlr_cuhk03", root, seed=4, split=k) for k in range(3)]
    assert [pids(b.query) for b in made] == [{1001, 2002}, {3001}, {5001, 4001}]
    assert [pids(b.gallery) for b in made] == [{1001, 2002}, {3001}, {5001, 4001}]
    assert "left out: 2 of 6 queries" in made[1].notes[1]  # 1002 is in one view only
    assert len(pids(made[0].train)) == 13 - 2 - 1
    other = data.load("mlr_cuhk03", root, seed=5)
    assert other.split_hash == made[0].split_hash
    assert [r.level for r in other.train] != [r.level for r in made[0].train]
    with pytest.raises(DireidError, match=r"cuhk-03\.mat: has test sets 0 to 2, not 3"):
        data.load("mlr_cuhk03", root, split=3)


def test_test_people_of_a_folder_are_drawn_among_those_in_both_views(tmp_path, few_people):
    root = make_folder(tmp_path / "cuhk03")
    assert data.splits("mlr_cuhk03", root) == 10
    made = [data.load("mlr_cuhk03", root, seed=4, split=k) for k in range(40)]
    assert len({b.split_hash for b in made}) > 20
    tested = set().union(*(pids(b.query) for b in made))
    both = {1000 * i + n for i, count in enumerate(PEOPLE, 1) for n in range(1, count + 1)}
    assert tested == both - {1002, 1006, 2001}


def test_cuhk03_s_sources_hold_the_same_images(tmp_path, few_people):
    mat, folder = make_mat(tmp_path / "a"), make_folder(tmp_path / "b")
    clean = [mlr_cuhk03._records(root) for root in (mat, folder)]
    assert [[(r.name, r.pid, r.camid) for r in records] for records in clean][0] == [
        (r.name, r.pid, r.camid) for r in clean[1]
    ]
    for a, b in zip(*clean, strict=True):
        assert np.array_equal(read_image(a), read_image(b))


def test_check_and_build_of_cuhk03(cuhk, tmp_path):
    lines = data.check("mlr_cuhk03", cuhk, seed=1)
    assert lines[0].startswith(f"{len(list(cells()))} images, 11-16 px wide and 21-25 px high")
    release = (cuhk / "cuhk-03.mat").exists()
    assert lines[2] == f"test people from the {'3 sets of cuhk-03.mat' if release else 'seed'}"
    data.build("mlr_cuhk03", cuhk, tmp_path / "a", seed=1)
    data.build("mlr_cuhk03", cuhk, tmp_path / "b", seed=1)
    assert all_bytes(tmp_path / "a") == all_bytes(tmp_path / "b")
    assert data.splits("folder", tmp_path / "a") == (3 if release else 10)
    for split in (0, 2):
        equal(
            data.load("folder", tmp_path / "a", split=split),
            data.load("mlr_cuhk03", cuhk, seed=1, split=split),
        )


def test_images_inside_the_mat_are_loaded_by_other_processes(tmp_path, few_people):
    train = data.load("mlr_cuhk03", make_mat(tmp_path / "cuhk03")).train
    batches = IdentityBatches(train, 4, 2, 16, 8, False, 0, 3)
    here, there = (list(stream(batches, 0, workers)) for workers in (0, 1))
    assert all((a["images"] == b["images"]).all() for a, b in zip(here, there, strict=True))


def spoil_mat(root: Path) -> None:
    (root / "cuhk-03.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(2000))


def another_file(root: Path) -> None:
    import h5py

    with h5py.File(root / "cuhk-03.mat", "w") as mat:
        mat["detected"] = np.zeros(3)


CUHK_WRONG = {
    "an image gone": (
        make_folder,
        lambda root: (root / "images_detected" / "1_001_1_01.png").unlink(),
        r"these seem to be the labelled images; the detected ones are wanted",
    ),
    "a person gone": (
        make_folder,
        lambda root: [f.unlink() for f in (root / "images_detected").glob("5_001_*")],
        r"found 41 images \(expected 45\), 12 people \(expected 13\), 0 people of camera pair 5 "
        r"\(expected 1\); files are missing or added",
    ),
    "a foreign name": (
        make_folder,
        lambda root: put(root / "images_detected" / "0001_c1_1.png"),
        r"0001_c1_1\.png: not a name of CUHK03; expected ROOT/cuhk-03\.mat",
    ),
    "labelled images": (
        make_folder,
        lambda root: (root / "images_detected").rename(root / "images_labeled"),
        r"found 0 images, 1 folders \(images_labeled\), no images_detected; expected ROOT/cuhk-03",
    ),
    "an old file": (
        make_mat,
        spoil_mat,
        r"cuhk-03\.mat: damaged, or not the release.s MATLAB v7\.3 file \(",
    ),
    "another file": (
        make_mat,
        another_file,
        r"cuhk-03\.mat: damaged, or not the release.s MATLAB v7\.3 file \(",
    ),
    "other test sets": (
        make_mat,
        lambda root: make_mat(root, TEST_SETS[:2]),
        r"cuhk-03\.mat: found 2 test sets of 2 people; expected 3 of 2",
    ),
}


@pytest.mark.parametrize("case", CUHK_WRONG)
def test_a_wrong_cuhk03_folder_is_refused(case, tmp_path, few_people):
    make, spoil, message = CUHK_WRONG[case]
    root = make(tmp_path / "cuhk03")
    spoil(root)
    for use in (data.load, data.check):
        with pytest.raises(DireidError, match=message) as error:
            use("mlr_cuhk03", root)
        assert str(root) in one_line(error)


def test_the_folder_above_or_below_cuhk03_is_pointed_to(cuhk):
    with pytest.raises(DireidError, match=f"the parent folder was given: try {cuhk}"):
        data.load("mlr_cuhk03", cuhk.parent)
    if (cuhk / "images_detected").exists():
        with pytest.raises(DireidError, match=f"a part of it was given: try {cuhk}"):
            data.load("mlr_cuhk03", cuhk / "images_detected")


def test_without_h5py_the_way_to_it_is_told(tmp_path, monkeypatch, few_people):
    put(tmp_path / "cuhk-03.mat", b"x")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DireidError, match=r"needs h5py: pip install h5py, or ext") as e:
        data.load("mlr_cuhk03", tmp_path)
    one_line(e)


@pytest.mark.parametrize("name", ["market1501", "msmt17"])
def test_the_listing_s_order_does_not_matter(name, market, msmt, monkeypatch):
    root = {"market1501": market, "msmt17": msmt}[name]
    first = names(data.load(name, root))
    listing = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: reversed(sorted(listing(self))))
    assert names(data.load(name, root)) == first
