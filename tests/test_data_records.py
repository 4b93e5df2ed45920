"""Records, benchmarks and the split hash."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from direid.data.files import elsewhere, hold, image_files, need
from direid.data.records import (
    Benchmark,
    Record,
    answerable,
    draw,
    hide_labels,
    read_image,
    save_split,
    shuffled,
    split_key,
)
from direid.errors import DireidError

PIXEL = np.zeros((2, 1, 3), np.uint8)


def record(
    pid: int, camid: int, name: str | None = None, image: Path | np.ndarray = PIXEL
) -> Record:
    return Record(name or f"{pid}_{camid}", image, pid, camid)


def parts() -> dict[str, tuple[Record, ...]]:
    return {
        "train": (record(1, 1), record(1, 2), record(2, 1), record(2, 2)),
        "query": (record(3, 2), record(4, 2)),
        "gallery": (record(3, 1), record(4, 1), record(5, 1)),
    }


def refused(message: str, **changes: tuple[Record, ...]) -> None:
    with pytest.raises(DireidError, match=message) as caught:
        Benchmark("toy", **(parts() | changes))
    assert "\n" not in str(caught.value)


def test_a_sound_benchmark_is_accepted():
    assert Benchmark("toy", **parts()).protocol == "single_shot"


def test_an_unknown_protocol_is_refused():
    assert Benchmark("toy", **parts(), protocol="all_shots").protocol == "all_shots"
    with pytest.raises(
        DireidError, match="toy: protocol 'single-shot', expected single_shot or all_shots"
    ):
        Benchmark("toy", **parts(), protocol="single-shot")


def test_queries_that_nothing_can_answer_are_set_aside_and_counted():
    gallery = (record(1, 1), record(2, 2), record(3, 1), record(3, 2, "3_2b"))
    query = (record(1, 2), record(2, 2), record(3, 2), record(4, 1), record(1, 1, "1_1b"))
    kept, notes = answerable(query, gallery)
    assert [r.name for r in kept] == ["1_2", "3_2"]
    assert notes == (
        "left out: 3 of 5 queries without a gallery image of their person by another camera, "
        "2 people (2, 4) altogether",
    )
    assert answerable(kept, gallery) == (kept, ())


@pytest.mark.parametrize("part", ["train", "query", "gallery"])
def test_an_empty_part_is_refused(part):
    refused(f"toy: the {part} part has no image", **{part: ()})


@pytest.mark.parametrize("part", ["query", "gallery"])
def test_a_person_in_both_train_and_test_is_refused(part):
    refused(
        r"1 person \(2\) in both the training and the test",
        **{part: parts()[part] + (record(2, 3),)},
    )


def test_a_training_person_with_one_image_is_refused():
    refused(
        r"2 people \(8, 9\) with a single training image",
        train=parts()["train"] + (record(9, 1), record(8, 1)),
    )


def test_queries_without_gallery_images_are_refused_with_their_number():
    refused(
        r"2 people \(3, 4\) of the 2 query people without any gallery image",
        gallery=(record(5, 1), record(6, 1)),
    )
    refused(
        r"1 person \(4\) of the 2 query people without any gallery",
        gallery=(record(3, 1), record(5, 1)),
    )


def test_one_camera_for_all_is_refused_and_the_message_names_the_cameras():
    refused(
        r"2 people \(3, 4\) of the 2 query people with gallery images from the query's own camera "
        r"only.*cameras in the test images: 7\)",
        query=(record(3, 7), record(4, 7)),
        gallery=(record(3, 7, "a"), record(4, 7, "b")),
    )


def test_two_images_of_one_name_in_a_part_are_refused():
    refused(
        "2 images of the query part are named 3_2", query=parts()["query"] + (record(4, 2, "3_2"),)
    )


def test_a_long_list_of_people_stays_short():
    lonely = tuple(record(pid, 1) for pid in range(100, 200))
    refused(r"100 people \(100, 101, 102, 103, 104, \.\.\.\)", train=parts()["train"] + lonely)


def test_split_hash_is_the_sha256_of_the_sorted_rows():
    rows = [
        "gallery\t3_1\t3\t1\n", "gallery\t4_1\t4\t1\n", "gallery\t5_1\t5\t1\n",
        "query\t3_2\t3\t2\n", "query\t4_2\t4\t2\n",
        "train\t1_1\t1\t1\n", "train\t1_2\t1\t2\n", "train\t2_1\t2\t1\n", "train\t2_2\t2\t2\n",
    ]  # fmt: skip
    expected = hashlib.sha256("".join(rows).encode()).hexdigest()
    assert Benchmark("toy", **parts()).split_hash == expected


def test_split_hash_is_blind_to_order_place_and_integer_type():
    reference = Benchmark("toy", **parts()).split_hash
    moved = {
        part: tuple(
            replace(r, image=Path("elsewhere") / r.name, pid=np.int64(r.pid)) for r in records[::-1]
        )
        for part, records in parts().items()
    }
    assert Benchmark("other", **moved).split_hash == reference


@pytest.mark.parametrize("change", [{"name": "x"}, {"pid": 9}, {"camid": 5}])
def test_split_hash_sees_every_field(change):
    reference = Benchmark("toy", **parts()).split_hash
    *rest, last = parts()["gallery"]
    changed = Benchmark("toy", **(parts() | {"gallery": (*rest, replace(last, **change))}))
    assert changed.split_hash != reference


def test_split_hash_sees_the_part():
    wide = parts() | {"query": (*parts()["query"], record(3, 4))}
    swapped = parts() | {"gallery": (*parts()["gallery"], record(3, 4))}
    assert Benchmark("toy", **wide).split_hash != Benchmark("toy", **swapped).split_hash


def test_save_split_writes_every_record_and_the_hash(tmp_path):
    query = (replace(record(3, 2), level=np.float32(0.25), pid=np.int64(3)), record(4, 2))
    benchmark = Benchmark("toy", **(parts() | {"query": query}))
    save_split(benchmark, tmp_path / "split.json")
    saved = json.loads((tmp_path / "split.json").read_text())
    assert saved["hash"] == benchmark.split_hash
    assert saved["benchmark"] == "toy"
    assert saved["query"] == [
        {"name": "3_2", "pid": 3, "camid": 2, "level": 0.25},
        {"name": "4_2", "pid": 4, "camid": 2, "level": None},
    ]
    assert len(saved["train"]) == 4
    assert [p.name for p in tmp_path.iterdir()] == ["split.json"]


def test_read_image_gives_rgb_as_stored(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read_image(record(1, 1, image=tmp_path / "a.png")), pixels)
    assert read_image(record(1, 1, image=pixels)) is pixels


def test_read_image_asks_a_function_each_time_and_looks_at_what_it_gives():
    calls = []
    made = record(1, 1, "made", lambda: calls.append(1) or PIXEL)
    assert read_image(made) is PIXEL and read_image(made) is PIXEL
    assert len(calls) == 2
    with pytest.raises(DireidError, match=r"image odd: .*expected uint8 \(height, width, 3\)"):
        read_image(record(1, 1, "odd", lambda: np.zeros((2, 2), np.uint8)))


def test_read_image_turns_grey_into_rgb_and_heeds_the_camera_orientation(tmp_path):
    Image.fromarray(np.full((4, 2), 200, np.uint8)).save(tmp_path / "grey.png")
    assert (read_image(record(1, 1, image=tmp_path / "grey.png")) == np.full((4, 2, 3), 200)).all()
    sideways = Image.new("RGB", (8, 16))
    exif = sideways.getexif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    sideways.save(tmp_path / "phone.jpg", exif=exif)
    assert read_image(record(1, 1, image=tmp_path / "phone.jpg")).shape == (8, 16, 3)


def damaged(tmp_path: Path, kind: str) -> Path:
    file = tmp_path / "0001.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 20, 3), np.uint8)).save(file)
    whole = file.read_bytes()
    damage = {
        "empty": b"",
        "text": b"no image at all\n" * 9,
        "truncated": whole[: len(whole) // 2],
        "flipped": whole[:60] + bytes(b ^ 255 for b in whole[60:120]) + whole[120:],
    }
    if kind != "missing":
        file.write_bytes(damage[kind])
        return file
    return tmp_path / "absent.png"


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "flipped", "missing"])
def test_an_unreadable_image_is_refused_with_its_path_on_one_line(tmp_path, kind):
    file = damaged(tmp_path, kind)
    with pytest.raises(DireidError, match="not a readable image") as caught:
        read_image(record(1, 1, image=file))
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 2, 3), np.float32), np.zeros((3, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)],
)
def test_an_array_that_is_no_image_is_refused(array):
    with pytest.raises(DireidError, match=r"image odd: .*expected uint8 \(height, width, 3\)"):
        read_image(record(1, 1, "odd", array))


def test_image_files_are_the_visible_images_by_name(tmp_path):
    for name in ("b.JPG", "a.png", ".c.png", "notes.txt", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"x")
    assert [f.name for f in image_files(tmp_path, "layout")] == ["a.png", "b.JPG"]


def test_image_files_refuses_no_folder_and_an_empty_file(tmp_path):
    with pytest.raises(DireidError, match=r"gone: no such folder; expected ROOT/x"):
        image_files(tmp_path / "gone", "ROOT/x")
    (tmp_path / "a.png").touch()
    with pytest.raises(DireidError, match=r"a\.png: is a file, not a folder"):
        image_files(tmp_path / "a.png", "ROOT/x")
    with pytest.raises(DireidError, match=r"a\.png: empty image file"):
        image_files(tmp_path, "ROOT/x")


def test_what_lacks_is_named_and_where_it_may_be(tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    (tmp_path / "set" / "b.txt").write_text("x")
    wanted = ["a", "b.txt"]
    need(tmp_path / "set", wanted, "ROOT/a")
    with pytest.raises(
        DireidError,
        match=r"found 0 images, 1 folders \(set\), no a; expected ROOT/a; the parent folder was "
        r"given: try .*/set$",
    ):
        need(tmp_path, wanted, "ROOT/a")
    assert elsewhere(tmp_path / "set" / "a", wanted).endswith(
        f"; a part of it was given: try {tmp_path / 'set'}"
    )
    (tmp_path / "set" / "b.txt").unlink()
    assert elsewhere(tmp_path, wanted) == ""


def test_each_count_that_is_off_is_told():
    hold(Path("r"), {"images": 3, "people": 2}, {"images": 3}, "why")
    with pytest.raises(DireidError) as caught:
        hold(
            Path("r"),
            {"images": 1234, "people": 2},
            {"images": 3, "people": 2, "cameras": 6},
            "why",
        )
    assert str(caught.value) == "r: found 1,234 images (expected 3), 0 cameras (expected 6); why"


def test_split_0_keeps_the_name_that_it_was_always_drawn_under():
    assert split_key("caviar", 0) == "caviar"
    assert len({split_key("caviar", k) for k in range(100)}) == 100


def test_draw_is_the_head_of_a_sha256():
    digest = hashlib.sha256(b"7/caviar/12").hexdigest()
    assert draw(7, "caviar", 12) == int(digest[:16], 16)


def test_shuffled_depends_on_the_people_and_the_seed_only():
    people = range(50)
    order = shuffled(people, 3, "toy")
    assert sorted(order) == list(people)
    assert shuffled(reversed(people), 3, "toy") == order
    assert shuffled(people, 4, "toy") != order
    assert shuffled(people, 3, "other") != order


def test_shuffled_puts_everyone_in_the_first_half_half_of_the_time():
    first = np.zeros(20)
    for seed in range(400):
        first[shuffled(range(20), seed, "toy")[:10]] += 1
    assert np.abs(first / 400 - 0.5).max() < 4 * 0.5 / 20  # 4 standard errors of 400 coins


def whole() -> Benchmark:
    """Six training people before two cameras, two images each."""
    train = tuple(record(p, c, f"{p}_{c}_{n}") for p in range(10, 16) for c in (1, 2) for n in "ab")
    return Benchmark("toy", **(parts() | {"train": train}))


@pytest.mark.parametrize(
    ("people", "cameras", "everywhere", "expected"),
    [
        (0, (), 0, 24),
        (4, (), 0, 16),  # 4 people x 4 images
        (0, (1,), 0, 12),  # 6 people x 2 images
        (0, (1,), 2, 16),  # and the other 2 images of 2 of them
        (3, (2,), 1, 8),
        (0, (1, 2), 5, 24),
    ],
)
def test_labels_are_hidden_as_asked(people, cameras, everywhere, expected) -> None:
    full = whole()
    hidden = hide_labels(full, people, cameras, everywhere)
    assert len(hidden.labelled) == expected
    assert hidden.people == (people or 6)
    assert hidden.split_hash == full.split_hash  # who trains and who tests is as before
    assert [r.name for r in hidden.train] == [r.name for r in full.train]
    seen = {p: {r.camid for r in hidden.labelled if r.pid == p} for p in range(10, 16)}
    complete = [p for p, found in seen.items() if found == {1, 2}]
    if cameras and len(cameras) < 2:
        assert len(complete) == everywhere
        assert all(not found or found == set(cameras) for p, found in seen.items()
                   if p not in complete)  # fmt: skip


def test_more_labels_keep_those_that_there_were() -> None:
    few, more = (
        {r.name for r in hide_labels(whole(), people=n, cameras=(1,), everywhere=n - 1).labelled}
        for n in (2, 5)
    )
    assert few < more


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"people": 7}, "toy: labels of 7 people were asked for, there are 6"),
        ({"people": 3, "everywhere": 4}, "labels of 4 people were asked for, there are 3"),
        ({"cameras": (1, 9)}, "labels.cameras names camera 9, the training images have 1, 2"),
    ],
)
def test_labels_that_there_are_not(asked: dict, said: str) -> None:
    with pytest.raises(DireidError, match=said):
        hide_labels(whole(), **asked)


def test_a_training_without_any_label_is_refused() -> None:
    train = tuple(replace(r, labelled=False) for r in parts()["train"])
    refused("no training image has a label", train=train)
