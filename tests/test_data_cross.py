"""Cross-resolution and cross-illumination versions, held against a computation of their own."""

import pickle
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from direid import data
from direid.data.cross import cross, darken, shrink
from direid.data.records import PARTS, Benchmark, Record, read_image
from direid.degradations import gamma
from direid.errors import DireidError

H, W = 24, 12


def record(pid: int, camid: int, number: int = 0) -> Record:
    pixels = np.random.default_rng([pid, camid, number]).integers(0, 256, (H, W, 3), np.uint8)
    return Record(f"{pid}_c{camid}_{number}", pixels, pid, camid)


def market_like(people: int = 30, cameras: int = 6) -> Benchmark:
    """Everyone in every camera, query and gallery; person 0 in the gallery alone."""
    everywhere = range(1, cameras + 1)
    return Benchmark(
        "toy",
        train=tuple(record(p, c, n) for p in range(100, 120) for c in everywhere for n in (0, 1)),
        query=tuple(record(p, c) for p in range(1, people + 1) for c in everywhere),
        gallery=tuple(record(p, c, 1) for p in range(people + 1) for c in everywhere),
        protocol="all_shots",
    )


def everything(benchmark: Benchmark) -> dict[str, Record]:
    return {r.name: r for part in PARTS for r in getattr(benchmark, part)}


@pytest.mark.parametrize("kind", ["resolution", "illumination"])
def test_bad_queries_look_among_good_gallery_images(kind):
    toy = market_like()
    made = cross(toy, kind, camids=[2, 5], seed=1)
    assert made.name == f"toy_{kind}"
    assert made.protocol == "all_shots"
    assert Counter(r.camid for r in made.query) == {2: 30, 5: 30}
    assert Counter(r.camid for r in made.gallery) == {1: 31, 3: 31, 4: 31, 6: 31}
    assert [r.name for r in made.train] == [r.name for r in toy.train]
    for r in everything(made).values():
        was = everything(toy)[r.name]
        assert (r.pid, r.camid) == (was.pid, was.camid)
        if r.camid in (2, 5):
            assert 0 < r.level <= 1
            assert not np.array_equal(read_image(r), was.image)
        else:
            assert r.level == 0
            assert np.array_equal(read_image(r), was.image)
    assert made.notes == (f"degraded ({kind}): cameras 2, 5",)


def test_small_images_stay_small_by_the_ratio_that_the_level_tells():
    toy = market_like()
    made = cross(toy, "resolution", camids=[1, 2, 3], seed=1)
    ratios = Counter()
    for r in everything(made).values():
        ratio = round(1 + 3 * r.level)
        assert r.level == (ratio - 1) / 3
        assert read_image(r).shape == (H // ratio, W // ratio, 3)
        ratios[ratio] += r.camid in (1, 2, 3)
    assert ratios.total() == 120 + 90 and ratios[1] == 0
    assert all(40 < ratios[ratio] < 100 for ratio in (2, 3, 4))  # 70, give or take 4 sd


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_shrinking_is_antialiased_bicubic(ratio):
    pixels = np.random.default_rng(0).integers(60, 190, (48, 24, 3), dtype=np.uint8)
    ours = torch.from_numpy(shrink(pixels, ratio).astype(np.float32)).permute(2, 0, 1)
    reference = F.interpolate(
        torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None],
        size=(48 // ratio, 24 // ratio),
        mode="bicubic",
        antialias=True,
    )[0]
    assert (ours - reference).abs().max() < 1.6  # Pillow rounds after each direction


def test_dark_images_are_those_of_the_paper_s_gamma():
    toy = market_like()
    made = cross(toy, "illumination", camids=[4], seed=1)
    exponents = []
    for r in everything(made).values():
        if r.camid != 4:
            continue
        exponent = 1 + 2.5 * r.level
        exponents.append(exponent)
        was = torch.from_numpy(everything(toy)[r.name].image).permute(2, 0, 1)[None] / 255
        reference = 255 * gamma(was, exponent)[0].permute(1, 2, 0)
        assert (torch.from_numpy(read_image(r)) - reference).abs().max() < 0.501
    assert len(exponents) == 40 + 30
    assert 2 <= min(exponents) < 2.2 and 3.3 < max(exponents) <= 3.5
    assert np.mean(exponents) == pytest.approx(2.75, abs=4 * 1.5 / np.sqrt(12 * 70))
    assert len(set(exponents)) == 70


def test_gamma_of_every_grey_by_hand():
    greys = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    assert np.array_equal(darken(greys, 1.0), greys)
    squared = darken(greys, 2.0).reshape(-1, 3)
    assert squared[[0, 16, 128, 255], 0].tolist() == [0, 1, 64, 255]  # x^2 / 255
    assert (squared[:, :1] == squared).all()


def test_the_strength_belongs_to_the_image_and_the_seed():
    toy = market_like()

    def levels(seed: int, benchmark: Benchmark = toy) -> dict[str, float]:
        made = cross(benchmark, "resolution", camids=[1, 2, 3], seed=seed)
        return {name: r.level for name, r in everything(made).items() if r.level}

    zero, one = levels(0), levels(1)
    assert levels(0) == zero
    assert 0.5 < np.mean([zero[name] != one[name] for name in zero]) < 0.8  # 2/3 of fresh draws
    fewer = replace(toy, query=toy.query[::-1][:90], train=toy.train[::-1])
    assert levels(0, fewer).items() <= zero.items()


def test_half_of_the_cameras_are_drawn_from_the_seed():
    toy = market_like(people=3)
    drawn = [{r.camid for r in cross(toy, "resolution", seed=s).query} for s in range(120)]
    assert all(len(cameras) == 3 for cameras in drawn)
    assert drawn[5] == {r.camid for r in cross(toy, "resolution", seed=5).query}
    shares = Counter(camera for cameras in drawn for camera in cameras)
    assert all(60 - 4 * 5.5 < shares[camera] < 60 + 4 * 5.5 for camera in range(1, 7))
    odd = cross(market_like(people=3, cameras=5), "resolution")
    assert len({r.camid for r in odd.query}) == 2


def test_cameras_are_drawn_among_those_that_took_queries():
    toy = market_like(people=3, cameras=2)
    caviar_like = replace(
        toy,
        query=tuple(r for r in toy.query if r.camid == 2),
        gallery=tuple(r for r in toy.gallery if r.camid == 1),
    )
    for seed in range(8):
        assert {r.camid for r in cross(caviar_like, "illumination", seed=seed).query} == {2}


def test_people_without_a_clean_gallery_image_are_not_asked_for():
    toy = market_like(people=4, cameras=3)
    gallery = tuple(r for r in toy.gallery if r.pid != 2 or r.camid == 2)
    made = cross(
        replace(toy, gallery=gallery, query=tuple(r for r in toy.query if r.camid in (1, 3))),
        "resolution",
        camids=[2, 3],
        seed=0,
    )
    assert sorted(r.name for r in made.query) == ["1_c3_0", "3_c3_0", "4_c3_0"]
    assert {r.camid for r in made.gallery} == {1}
    assert {r.pid for r in made.gallery} == {0, 1, 3, 4}
    assert made.notes[-1] == (
        "left out: 1 of 4 queries without a gallery image of their person by another camera, "
        "1 person (2) altogether"
    )


def test_nothing_is_decoded_before_it_is_read_and_records_travel(tmp_path):
    toy = market_like(people=2, cameras=2)
    absent = replace(toy, train=tuple(replace(r, image=tmp_path / r.name) for r in toy.train))
    made = cross(absent, "resolution", camids=[1])
    with pytest.raises(DireidError, match=r"100_c1_0: not a readable image"):
        read_image(made.train[0])
    sent = pickle.loads(pickle.dumps(made.query))
    for a, b in zip(sent, made.query, strict=True):
        assert np.array_equal(read_image(a), read_image(b))


WRONG = {
    "kind": (("blur", None), "unknown degradation 'blur': choose from resolution, illumination"),
    "no camera": (
        ("resolution", []),
        "cameras none to degrade: expected some, not all, of those of toy, 1, 2, 3, 4, 5, 6",
    ),
    "strange camera": (("resolution", [7, 2]), "cameras 2, 7 to degrade: expected some, not all"),
    "all cameras": (("resolution", range(1, 7)), "cameras 1, 2, 3, 4, 5, 6 to degrade: expected"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_degraded_is_refused(case):
    arguments, message = WRONG[case]
    with pytest.raises(DireidError, match=message) as error:
        cross(market_like(people=2), *arguments)
    assert "\n" not in str(error.value)


def test_degraded_images_are_not_degraded_again():
    once = data.cross(market_like(people=2), "resolution", camids=[1, 2, 3])
    with pytest.raises(
        DireidError, match=r"toy_resolution: 100_c1_0 is degraded already \(level [01]\.\d\d\)"
    ):
        data.cross(once, "illumination")


def test_cameras_that_leave_nothing_to_find_are_refused():
    toy = market_like(people=2)
    one_way = replace(
        toy,
        query=tuple(r for r in toy.query if r.camid < 3),
        gallery=tuple(r for r in toy.gallery if r.camid < 3),
    )
    for camids in ([5], [1, 2]):
        with pytest.raises(
            DireidError,
            match=r"no query of cameras .* has a gallery image of another camera; queries are from "
            r"1, 2, gallery images from 1, 2: degrade other cameras",
        ):
            cross(one_way, "resolution", camids)
