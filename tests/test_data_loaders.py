"""Batches: pure functions of (seed, step), fair to people and images."""

import multiprocessing
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from direid.data.loaders import (
    UNLABELLED,
    IdentityBatches,
    Images,
    RealPairs,
    flip,
    pad_and_crop,
    stream,
    to_tensor,
)
from direid.data.records import Record
from direid.errors import DireidError

H, W = 8, 4


def records(counts: list[int], cameras: int = 2, size: tuple[int, int] = (H, W)) -> list[Record]:
    """counts[p] images of person 10 * p + 3, red = its number, green = its camera."""
    made = []
    for person, count in enumerate(counts):
        for number in range(count):
            camid = 1 + number % cameras
            pixels = np.empty((*size, 3), np.uint8)
            pixels[:] = (len(made) % 256, camid, 0)
            pixels[..., 2] = 9 * np.arange(size[0])[:, None] + np.arange(size[1])  # so shifts show
            made.append(Record(f"{person}_{number}", pixels, 10 * person + 3, camid))
    return made


def identify(images: torch.Tensor) -> list[int]:
    """Which records a batch of `records` images shows, read off their colour."""
    return (images[:, 0, 0, 0] * 255).round().int().tolist()


def batches(counts, people, images, seed=0, steps=100, augment=False):
    return IdentityBatches(records(counts), people, images, H, W, augment, seed, steps)


def test_to_tensor_is_channels_first_in_zero_to_one():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 3, 3), dtype=np.uint8)
    tensor = to_tensor(pixels)
    assert tensor.shape == (2, 3, 5, 3)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    for b, c, y, x in [(0, 0, 0, 0), (1, 2, 4, 1), (0, 1, 3, 2)]:
        assert tensor[b, c, y, x].item() == pytest.approx(pixels[b, y, x, c] / 255, abs=1e-7)
    assert to_tensor(np.array([[[0, 255, 0]]], np.uint8)).flatten().tolist() == [0.0, 1.0, 0.0]


def test_images_gives_image_label_camera_and_index():
    images = Images(records([2, 3]), H, W)
    image, label, camid, index = images[3]
    assert image.shape == (3, H, W)
    assert (label, camid, index) == (1, 2, 3)
    assert len(images) == 5
    assert images.labels.tolist() == [0, 0, 1, 1, 1]
    assert images.pids.tolist() == [3, 3, 13, 13, 13]
    with pytest.raises(IndexError):
        images[5]


@pytest.mark.parametrize("size", [(64, 48), (5, 3), (H, 2 * W)])
def test_images_are_resized_as_torch_does_it(size):
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    image, *_ = Images([Record("a", pixels, 0, 0)], H, W)[0]
    ours = image * 255
    reference = F.interpolate(
        to_tensor(pixels)[None] * 255, (H, W), mode="bilinear", antialias=True, align_corners=False
    )[0]
    assert (ours - reference).abs().max() <= 1.01  # Pillow rounds to whole grey levels, twice


def test_images_of_the_wanted_size_are_untouched():
    pixels = np.random.default_rng(1).integers(0, 256, (H, W, 3), dtype=np.uint8)
    assert np.array_equal(Images([Record("a", pixels, 0, 0)], H, W).pixels(0), pixels)


def test_a_small_set_is_decoded_once_and_a_large_one_is_not_kept(tmp_path, monkeypatch):
    file = tmp_path / "a.png"
    Image.new("RGB", (W, H), (10, 20, 30)).save(file)
    small = Images([Record("a", file, 0, 0)], H, W)
    monkeypatch.setattr("direid.data.loaders.CACHE_BYTES", H * W * 3 - 1)
    large = Images([Record("a", file, 0, 0)], H, W)
    first = small.pixels(0), large.pixels(0)
    Image.new("RGB", (W, H), (99, 99, 99)).save(file)
    assert np.array_equal(small.pixels(0), first[0])
    assert (large.pixels(0) == 99).all()


def test_evaluation_batches_are_all_images_in_order():
    images = Images(records([3, 4]), H, W)
    chunks = list(images.batches(3))
    assert [len(chunk) for chunk in chunks] == [3, 3, 1]
    assert torch.equal(torch.cat(chunks), torch.stack([images[i][0] for i in range(7)]))


@pytest.mark.parametrize("counts", [[4] * 12, [2] * 7, [9, 3, 1, 5, 20], [4] * 5])
def test_a_batch_has_p_people_and_k_images_of_each(counts):
    data = batches(counts, people=5, images=4)
    everything = records(counts)
    for step in range(30):
        batch = data[step]
        labels = batch["labels"].reshape(5, 4)
        assert (labels == labels[:, :1]).all()
        assert len(set(labels[:, 0].tolist())) == 5
        shown = [everything[i] for i in identify(batch["images"])]
        assert [r.pid for r in shown] == [10 * k + 3 for k in batch["labels"].tolist()]
        assert [r.camid for r in shown] == batch["camids"].tolist()
        for row, person in zip(np.reshape(identify(batch["images"]), (5, 4)), labels, strict=True):
            have = counts[int(person[0])]
            repeats = Counter(row.tolist()).values()
            assert len(repeats) == min(have, 4)
            assert max(repeats) - min(repeats) <= 1  # repeated as little as possible


def test_an_epoch_shows_every_person_once_and_fills_its_last_step():
    data = batches([2] * 10, people=4, images=2)
    assert data.steps_per_epoch == 3
    for epoch in range(5):
        shown = Counter()
        for step in range(3 * epoch, 3 * epoch + 3):
            shown.update(data[step]["labels"][::2].tolist())
        assert set(shown) == set(range(10))
        assert sum(shown.values()) == 12
        assert max(shown.values()) == 2


def test_every_image_is_seen_once_before_any_is_seen_twice():
    data = batches([8] * 6, people=3, images=4)  # 2 visits a round, 2 steps an epoch
    for start in (0, 4, 8):
        seen = Counter()
        for step in range(start, start + 4):
            seen.update(identify(data[step]["images"]))
        assert seen == Counter(range(48))


def test_a_round_of_uneven_length_still_shows_every_image():
    data = batches([10, 10], people=2, images=4)  # 3 visits: 4 + 4 + 2, filled up to 4
    seen = Counter()
    for step in range(3):
        seen.update(identify(data[step]["images"]))
    assert set(seen) == set(range(20))
    assert max(seen.values()) == 2


def test_every_image_is_seen_equally_often_in_the_long_run():
    data = batches([4, 8, 4, 8], people=2, images=4, steps=400)
    seen = Counter()
    for step in range(400):
        seen.update(identify(data[step]["images"]))
    by_person = [sum(seen[i] for i in members) for members in data.members]
    assert by_person == [800] * 4
    assert {seen[i] for i in data.members[0]} == {200}
    assert {seen[i] for i in data.members[1]} == {100}


def test_batches_depend_on_seed_and_step_only():
    data = batches([4] * 6, 3, 4, seed=5, augment=True)
    backwards = {step: data[step]["images"] for step in reversed(range(10))}
    again = batches([4] * 6, 3, 4, seed=5, augment=True, steps=10)
    assert all(torch.equal(again[step]["images"], backwards[step]) for step in range(10))
    assert not torch.equal(data[0]["labels"], data[2]["labels"])
    other = batches([4] * 6, 3, 4, seed=6, augment=True)
    assert any(not torch.equal(other[step]["labels"], data[step]["labels"]) for step in range(4))


def test_global_random_state_is_neither_used_nor_moved():
    data = batches([4] * 6, 3, 4, augment=True)
    first = data[0]["images"]
    np.random.seed(1)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert torch.equal(next(stream(data, 0, 0))["images"], first)
    assert torch.equal(torch.get_rng_state(), state)


def test_too_few_people_are_refused():
    with pytest.raises(
        DireidError, match="batch of 4 people was asked for, the training set has 3"
    ):
        batches([2, 2, 2], people=4, images=2)


@pytest.mark.parametrize("step", [-1, 100])
def test_a_step_that_is_not_there_is_an_index_error(step):
    with pytest.raises(IndexError):
        batches([4] * 6, 3, 4)[step]
    with pytest.raises(IndexError):
        RealPairs(records([2, 2]), 2, H, W, 0, 100)[step]


def pairs(made, batch=8, seed=0, steps=100):
    return RealPairs(made, batch, H, W, seed, steps)


def test_pairs_are_of_different_people_and_cameras():
    made = records([4] * 6)
    data = pairs(made)
    for step in range(50):
        batch = data[step]
        first = [made[i] for i in identify(batch["image_i"])]
        other = [made[i] for i in identify(batch["image_k"])]
        assert [r.pid for r in first] == [10 * k + 3 for k in batch["label_i"].tolist()]
        assert [r.pid for r in other] == [10 * k + 3 for k in batch["label_k"].tolist()]
        assert all(a.pid != b.pid and a.camid != b.camid for a, b in zip(first, other, strict=True))


def test_pairs_of_a_single_camera_are_of_different_people():
    data = pairs(records([4] * 3, cameras=1))
    for step in range(20):
        assert (data[step]["label_i"] != data[step]["label_k"]).all()


def test_one_person_makes_no_pair():
    with pytest.raises(DireidError, match="at least 2 people"):
        pairs(records([4]))


@pytest.mark.parametrize("batch", [8, 5, 40])
def test_first_images_of_the_pairs_go_through_the_training_set(batch):
    data = pairs(records([4] * 6), batch=batch, steps=72)
    anchors = [i for step in range(72) for i in identify(data[step]["image_i"])]
    for start in range(0, 72, 24):
        assert sorted(anchors[start : start + 24]) == list(range(24))
    assert anchors[:24] != anchors[24:48]


def test_second_images_are_drawn_evenly_from_those_allowed():
    data = pairs(records([4, 4, 4]), batch=24, steps=200)
    drawn = Counter(i for step in range(200) for i in identify(data[step]["image_k"]))
    shares = np.array([drawn[i] for i in range(12)]) / 4800
    assert np.abs(shares - 1 / 12).max() < 5 * np.sqrt(1 / 12 / 4800)


def test_pairs_are_flipped_independently():
    made = records([4] * 4)
    for r in made:
        r.image[:, 0, 2] = 255  # a mark on the left
    data = pairs(made, batch=16, steps=100)
    marks = []
    for step in range(60):
        batch = data[step]
        marks.append([batch["image_i"][:, 2, 0, 0] == 1, batch["image_k"][:, 2, 0, 0] == 1])
    left = torch.stack([torch.stack(m) for m in marks]).float()  # (60, 2, 16): 1 = not flipped
    assert left.mean().item() == pytest.approx(0.5, abs=0.06)
    both = (left[:, 0] * left[:, 1]).mean().item()
    assert both == pytest.approx(0.25, abs=0.06)


def test_flip_and_crop_equal_a_loop_over_pixels():
    rng = np.random.default_rng(0)
    pad = 3
    pixels = rng.integers(0, 256, (20, 7, 5, 3), dtype=np.uint8)
    flips = rng.random(20) < 0.5
    tops, lefts = rng.integers(0, 2 * pad + 1, (2, 20))
    ours = pad_and_crop(flip(pixels, flips), tops, lefts, pad)
    assert set(tops) | set(lefts) >= {0, 2 * pad}
    expected = np.empty_like(pixels)
    for b in range(20):
        for y in range(7):
            for x in range(5):
                row = min(max(y + tops[b] - pad, 0), 6)
                column = min(max(x + lefts[b] - pad, 0), 4)
                expected[b, y, x] = pixels[b, row, 4 - column if flips[b] else column]
    assert np.array_equal(ours, expected)


def test_augmentation_leaves_the_stored_images_alone():
    made = [
        Record(
            str(i), np.random.default_rng(i).integers(0, 256, (H, W, 3), np.uint8), i // 2, i % 2
        )
        for i in range(8)
    ]
    before = [r.image.copy() for r in made]
    data = IdentityBatches(made, 2, 2, H, W, True, 0, 50)
    plain = IdentityBatches(made, 2, 2, H, W, False, 0, 50)
    assert any(not torch.equal(data[s]["images"], plain[s]["images"]) for s in range(5))
    assert all(torch.equal(data[s]["labels"], plain[s]["labels"]) for s in range(50))
    assert all(np.array_equal(r.image, b) for r, b in zip(made, before, strict=True))


def test_augmented_images_shift_by_at_most_the_paper_s_padding():
    """10 pixels at 256 rows: at 51 rows 2, so a bright row in the middle moves 2 at most."""
    pixels = np.zeros((51, 25, 3), np.uint8)
    pixels[25] = 255
    made = [Record(str(i), pixels, i, 1) for i in range(4)]
    data = IdentityBatches(made, 4, 4, 51, 25, True, 0, 40)
    rows = torch.cat([data[s]["images"][:, 0, :, 12].argmax(1) for s in range(40)])
    assert set(rows.tolist()) == {23, 24, 25, 26, 27}


@pytest.mark.parametrize("kind", ["identity", "pairs"])
def test_stream_is_the_same_for_any_start_and_any_number_of_workers(kind):
    data = batches([4] * 6, 3, 4, steps=7, augment=True)
    if kind == "pairs":
        data = pairs(records([4] * 6), steps=7)
    expected = [data[step] for step in range(7)]
    for start, workers in [(0, 0), (0, 2), (4, 0), (4, 2), (7, 0)]:
        streamed = list(stream(data, start, workers))
        assert len(streamed) == 7 - start
        for batch, reference in zip(streamed, expected[start:], strict=True):
            assert batch.keys() == reference.keys()
            assert all(torch.equal(batch[key], reference[key]) for key in batch)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_is_one_line_from_any_process(tmp_path, workers):
    (tmp_path / "bad.jpg").write_bytes(b"not an image")
    made = [Record(str(i), tmp_path / "bad.jpg", i // 2, 1) for i in range(4)]
    with pytest.raises(DireidError) as caught:
        list(stream(IdentityBatches(made, 2, 2, H, W, False, 0, 9), 0, workers))
    assert str(caught.value).startswith(f"{tmp_path / 'bad.jpg'}: not a readable image")
    assert "\n" not in str(caught.value)
    assert not multiprocessing.active_children()  # the worker is gone at once, not when collected


def test_labels_count_only_people_who_have_one() -> None:
    """The same numbers with the unlabelled images and without them, so that networks fit both."""
    made = records([2, 2, 2, 2])
    hidden = [replace(r, labelled=r.pid != 13 and r.camid == 1) for r in made]
    images = Images(hidden, H, W)
    assert images.labels.tolist() == [0, -100, -100, -100, 1, -100, 2, -100]
    kept = Images([r for r in hidden if r.labelled], H, W)
    assert kept.labels.tolist() == [0, 1, 2]
    assert kept.people.tolist() == images.people.tolist() == [3, 23, 33]


def test_pairs_do_not_use_labels_that_are_hidden() -> None:
    """Who is on an unlabelled image must not matter: other people, the same pairs."""
    made = records([4] * 6)
    hidden = [replace(r, labelled=r.camid == 1) for r in made]
    renamed = [r if r.labelled else replace(r, pid=1000 + n) for n, r in enumerate(hidden)]
    ours, theirs = (RealPairs(x, 4, H, W, seed=3, steps=60) for x in (hidden, renamed))
    met = Counter()
    for step in range(60):
        for key, value in ours[step].items():
            assert torch.equal(value, theirs[step][key]), key
        i, k = (identify(ours[step][f"image_{x}"]) for x in "ik")
        assert all(a != b for a, b in zip(i, k, strict=True))  # never the very same image
        met.update(ours[step]["label_i"].tolist())
    assert met[UNLABELLED] == 60 * 4 // 2  # unlabelled images take part as often as the others
