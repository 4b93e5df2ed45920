"""Ranks against slow truths: every gallery enumerated, galleries drawn, loops, hand values."""

import itertools
import time
import tracemalloc

import numpy as np
import pytest
import torch
from scipy.stats import binom

from direid.errors import DireidError
from direid.evaluation import ranks, single_shot
from direid.evaluation.matching import match
from direid.evaluation.ranks import TIE, evaluate, from_distance


def problem(seed, people=4, queries=5, gallery=9, cameras=2, distances=6):
    """A random small problem with tied distances, junk and people of unequal size."""
    rng = np.random.default_rng(seed)
    gallery_pids = np.concatenate([np.arange(people), rng.integers(0, people, gallery - people)])
    query_pids = rng.integers(0, people, queries)
    query_camids = np.zeros(queries, int)
    # The first image of each person is in camera 1, so that every query has something to find.
    gallery_camids = np.concatenate(
        [np.ones(people, int), rng.integers(0, cameras, gallery - people)]
    )
    shuffle = rng.permutation(gallery)
    distance = rng.integers(0, distances, (queries, gallery)) / distances
    return distance, query_pids, gallery_pids[shuffle], query_camids, gallery_camids[shuffle]


def kept(query, query_pids, gallery_pids, query_camids, gallery_camids):
    """Gallery columns of each person that this query may meet."""
    columns = {}
    for column, (pid, camid) in enumerate(zip(gallery_pids, gallery_camids, strict=True)):
        if not (pid == query_pids[query] and camid == query_camids[query]):
            columns.setdefault(pid, []).append(column)
    return columns


def place(row, right, others):
    """Place of column `right`, every wrong image at the same distance put before it."""
    return 1 + sum(row[other] <= row[right] for other in others)


def enumerated_cmc(distance, *ids, max_rank):
    """CMC per query, by looking at every gallery that could be drawn."""
    cmc = np.zeros((len(distance), max_rank))
    for q, row in enumerate(distance):
        columns = kept(q, *ids)
        own = ids[0][q]
        galleries = list(itertools.product(*columns.values()))
        for gallery in galleries:
            drawn = dict(zip(columns, gallery, strict=True))
            rank = place(row, drawn.pop(own), drawn.values())
            cmc[q, rank - 1 :] += 1 / len(galleries)
    return cmc


def slow_scores(distance, *ids, max_rank=20, keep=False, tie=0.0):
    """All-shots CMC, AP and INP per query from a sorted list, the wrong images first among equals.

    Equal is what differs by no more than `tie`: a right image goes behind every such wrong one.
    """
    query_pids, gallery_pids, query_camids, gallery_camids = (np.asarray(each) for each in ids)
    cmc, ap, inp = np.zeros((len(distance), max_rank)), [], []
    for q, row in enumerate(distance):
        ranking = []
        for value, pid, camid in zip(row, gallery_pids, gallery_camids, strict=True):
            right = bool(pid == query_pids[q])
            if keep or not right or camid != query_camids[q]:
                ranking.append((value + tie if right else value, right))
        precisions = []
        for rank, (_, right) in enumerate(sorted(ranking), start=1):
            if right:
                precisions.append((len(precisions) + 1) / rank)
                if len(precisions) == 1:
                    cmc[q, rank - 1 :] = 1
        ap.append(np.mean(precisions))
        inp.append(precisions[-1])
    return cmc, np.array(ap), np.array(inp)


def assert_equal(scores, expected):
    for found, truth in zip(
        (scores.cmc_per_query, scores.ap_per_query, scores.inp_per_query), expected, strict=True
    ):
        np.testing.assert_allclose(found, truth, rtol=0, atol=1e-12)


def cosine(query, gallery):
    """Cosine distances in double precision, one at a time."""
    query, gallery = np.asarray(query, float), np.asarray(gallery, float)
    return np.array([[1 - q @ g / np.sqrt((q @ q) * (g @ g)) for g in gallery] for q in query])


@pytest.mark.parametrize("seed", range(12))
def test_single_shot_is_the_average_over_every_gallery(seed):
    case = problem(seed)
    scores = from_distance(*case, max_rank=10)
    np.testing.assert_allclose(scores.cmc_per_query, enumerated_cmc(*case, max_rank=10), atol=1e-12)


KINDS = {
    "float64": lambda x: x,
    "float32": lambda x: x.astype(np.float32),
    "float16": lambda x: x.astype(np.float16),
    "integers": lambda x: (60 * x).round().astype(np.int64),
    "tensor": torch.tensor,
    "float32 tensor": lambda x: torch.tensor(x, dtype=torch.float32, requires_grad=True),
    "bfloat16 tensor": lambda x: torch.tensor(x, dtype=torch.bfloat16),
}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", KINDS)
def test_every_score_matches_a_sorted_list(kind, seed):
    """Ties, junk, uneven people; every third gallery is shorter than the curve."""
    case = problem(seed, people=5, queries=8, gallery=(30, 60, 9)[seed % 3], distances=6 + seed)
    distance = KINDS[kind](case[0])
    exact = distance.detach().float().numpy() if kind.endswith("16 tensor") else distance
    exact = exact.detach().numpy() if isinstance(exact, torch.Tensor) else exact
    scores = from_distance(distance, *case[1:], protocol="all_shots")
    cmc, ap, inp = slow_scores(exact.astype(float), *case[1:])
    assert_equal(scores, (cmc, ap, inp))
    assert scores.map == pytest.approx(ap.mean()) and scores.minp == pytest.approx(inp.mean())
    drawn = from_distance(distance, *case[1:])  # AP and INP are the same under both protocols
    np.testing.assert_array_equal(drawn.ap_per_query, scores.ap_per_query)
    np.testing.assert_array_equal(drawn.inp_per_query, scores.inp_per_query)


@pytest.mark.parametrize("distances", [5, 10_000])
def test_people_with_very_many_images(distances):
    """From some number of positives on, a row is sorted after all."""
    case = problem(1, people=3, queries=12, gallery=900, distances=distances)
    assert np.bincount(case[2]).min() > 250 > 2 * ranks.SORTED_FROM
    assert_equal(from_distance(*case, protocol="all_shots"), slow_scores(*case))


def test_one_image_per_person():
    """Nothing is drawn, so both protocols are one."""
    rng = np.random.default_rng(0)
    pids = rng.permutation(40)
    case = rng.integers(0, 9, (40, 40)), np.arange(40), pids, np.zeros(40), np.ones(40)
    expected = slow_scores(*case)
    assert_equal(from_distance(*case), expected)
    assert_equal(from_distance(*case, draws=3), expected)
    assert_equal(from_distance(*case, protocol="all_shots"), expected)


def test_all_shots_is_no_worse_than_single_shot_with_one_camera_of_distractors():
    """Hand values. Person 7 at 0.1 and 0.5; person 8 at 0.2; the own view at 0.0 is ignored."""
    case = [[0.0, 0.1, 0.5, 0.2]], [7], [7, 7, 7, 8], [0], [0, 1, 1, 1]
    scores = from_distance(*case, protocol="all_shots")
    assert scores.rank1 == 1 and scores.map == pytest.approx((1 + 2 / 3) / 2)
    assert from_distance(*case).rank1 == pytest.approx(1 / 2)


def test_same_camera_images_can_be_kept():
    """A folder with one camera number: everything counts, the same picture too if it is there."""
    case = problem(4, people=6, queries=10, gallery=50)
    one = case[0], case[1], case[2], np.zeros(10, int), np.zeros(50, int)
    for protocol in ("all_shots", "single_shot"):
        scores = from_distance(*one, protocol=protocol, same_camera="keep")
        _, *expected = slow_scores(*one, keep=True)
        np.testing.assert_allclose(scores.ap_per_query, expected[0], atol=1e-12)
    assert_equal(
        from_distance(*one, protocol="all_shots", same_camera="keep"), slow_scores(*one, keep=True)
    )
    # With cameras that all differ from the query's, nothing is removed either way.
    apart = *case[:3], np.zeros(10, int), np.ones(50, int)
    removed, kept_too = from_distance(*apart), from_distance(*apart, same_camera="keep")
    np.testing.assert_array_equal(removed.cmc_per_query, kept_too.cmc_per_query)


def test_single_shot_agrees_with_drawn_galleries():
    """The usual protocol: draw a gallery, rank, average. Ours is what it converges to."""
    distance, *ids = problem(3, people=30, queries=20, gallery=150, distances=1000)
    exact = from_distance(distance, *ids).cmc
    rng, draws = np.random.default_rng(0), 4000
    ranks_drawn = np.empty((draws, len(distance)), int)
    for q, row in enumerate(distance):
        columns = kept(q, *ids)
        right = row[rng.choice(columns.pop(ids[0][q]), draws)]
        wrong = np.stack([row[rng.choice(all_of, draws)] for all_of in columns.values()])
        ranks_drawn[:, q] = 1 + (wrong <= right).sum(axis=0)
    for k in (1, 2, 5, 10, 20):
        found = (ranks_drawn <= k).mean(axis=1)  # one score per draw
        error = max(found.std(ddof=1) / np.sqrt(draws), 1e-9)
        assert abs(found.mean() - exact[k - 1]) < 3 * error, k


def test_drawn_galleries_average_to_the_exact_score():
    case = problem(3, people=30, queries=20, gallery=150, distances=1000)
    exact = from_distance(*case).cmc
    each = np.array([from_distance(*case, draws=1, seed=seed).cmc for seed in range(200)])
    error = np.maximum(each.std(axis=0, ddof=1), 1e-9)  # of one gallery; all queries share it
    many = from_distance(*case, draws=10_000, seed=1).cmc
    for k in (1, 2, 5, 10, 20):
        assert abs(many[k - 1] - exact[k - 1]) < 3 * error[k - 1] / 100, k
    assert error[0] > 0.01  # there was something to average away


def test_one_drawn_gallery_is_ranked_like_a_plain_gallery():
    """Zeros and ones per query, and the rank of a gallery that holds the drawn images alone."""
    case = problem(6, people=8, queries=15, gallery=60, distances=10)
    matches = match(*case[1:])
    _, chosen = single_shot.draw_galleries(matches, 1, seed=5)
    scores = from_distance(*case, draws=1, seed=5)
    for q, row in enumerate(case[0]):
        people = [p for p in range(8) if p != case[1][q]]
        assert [case[2][chosen[0, p]] for p in people] == people
        wrong = [row[chosen[0, p]] for p in people]
        rank = 20 - int(scores.cmc_per_query[q].sum()) + 1
        own = [row[c] for c in kept(q, *case[1:])[case[1][q]]]
        assert rank in {1 + sum(w <= d for w in wrong) for d in own}


def test_draws_are_a_function_of_their_seed_and_of_no_chunk(monkeypatch):
    case = problem(3, people=30, queries=20, gallery=150)
    once = from_distance(*case, draws=7, seed=2).cmc_per_query
    assert (from_distance(*case, draws=7, seed=3).cmc_per_query != once).any()
    monkeypatch.setattr(ranks, "BATCH", 3)
    monkeypatch.setattr(single_shot, "CELLS", 60)
    np.testing.assert_array_equal(from_distance(*case, draws=7, seed=2).cmc_per_query, once)


def test_chances_that_are_left_out_cannot_be_seen():
    """The exact law stops at 1e-17: here against binomial laws of every spread."""
    mean, most = np.arange(5.0, 400.0), 19
    left_out = single_shot._is_negligible(mean, most + 1)
    assert not left_out[: int(50 - 5)].any() and left_out[-250:].all()
    for coins in (20, 50, 400, 100_000):
        chance = binom.cdf(most, coins, np.minimum(mean / coins, 1))
        assert (chance[left_out & (mean <= coins)] < 1e-17).all()


def test_many_people_at_every_distance():
    """Positives from the first to the last place, against the law of every one, worked out here."""
    rng = np.random.default_rng(2)
    people, images = 400, 3
    pids = np.repeat(np.arange(people), images)
    distance = rng.uniform(size=(6, len(pids)))
    scores = from_distance(distance, np.arange(6), pids, np.zeros(6), np.ones(len(pids)))
    for q, row in enumerate(distance):
        expected = np.zeros(20)
        for own in row[pids == q]:
            law = np.ones(1)
            for person in range(people):
                if person != q:
                    chance = np.mean(row[pids == person] <= own)
                    law = np.convolve(law, [1 - chance, chance])
            expected += np.cumsum(law)[:20] / images
        np.testing.assert_allclose(scores.cmc_per_query[q], expected, atol=1e-13)


def test_hand_computed_ranking():
    """Person 7 at places 1 and 3; person 8 has two images, one of them near; person 9 has one.

    AP = (1/1 + 2/3) / 2 = 5/6; INP = 2/3. Single-shot: the near positive is always first; the far
    one is behind person 8 with chance 1/2. Rank-1 = (1 + 1/2) / 2 = 3/4; Rank-2 = 1.
    """
    scores = from_distance([[0.1, 0.2, 0.3, 0.4, 0.9]], [7], [7, 8, 7, 9, 8], [0], [1, 1, 1, 1, 1])
    assert scores.map == pytest.approx(5 / 6)
    assert scores.minp == pytest.approx(2 / 3)
    np.testing.assert_allclose(scores.cmc[:3], [3 / 4, 1, 1])
    assert scores.rank1 == pytest.approx(3 / 4) and scores.rank5 == scores.rank10 == 1


def test_ties_count_against_us_whatever_the_order_of_the_gallery():
    for gallery in ([1, 2, 2], [2, 2, 1], [2, 1, 2]):
        scores = from_distance(np.zeros((1, 3)), [1], gallery, [0], [1, 1, 1])
        assert scores.rank1 == 0
        assert scores.cmc[1] == 1
        assert scores.map == pytest.approx(1 / 3)


def test_collapsed_features_score_nothing():
    people = np.arange(40)
    feature = np.random.default_rng(0).normal(size=64)
    features = (
        np.tile(feature, (40, 1)) * np.linspace(1, 9, 40)[:, None]
    )  # one direction, any length
    cameras = np.zeros(40, int)
    scores = evaluate(features, features, people, people, cameras, cameras + 1)
    assert scores.rank10 == 0
    assert scores.map == pytest.approx(1 / 40)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [3, 64, 2048])
@pytest.mark.parametrize("kind", ["constant", "normal", "uneven"])
def test_a_network_that_gives_one_feature_scores_the_worst_there_is(kind, width, dtype):
    """Also with rounding noise in it, and at gallery sizes that end a product's blocks unevenly."""
    rng = np.random.default_rng(0)
    feature = {
        "constant": np.ones(width),
        "normal": rng.normal(size=width),
        "uneven": np.where(rng.uniform(size=width) < 0.02, rng.normal(size=width), 1e-3),
    }[kind]
    people = 37
    pids, images = np.arange(people), 4 * people + 1
    gallery = np.tile(feature, (images, 1)) * rng.uniform(0.1, 9, (images, 1))
    gallery *= 1 + 1e-7 * rng.normal(size=gallery.shape)
    query = np.tile(feature, (people, 1))
    gallery_pids = np.arange(images) % people
    for protocol in ("single_shot", "all_shots"):
        scores = evaluate(
            query.astype(dtype), gallery.astype(dtype), pids, gallery_pids, pids, pids[0] - 1
            + np.zeros(images), protocol=protocol,
        )  # fmt: skip
        assert scores.rank10 == 0
        wrong = images - np.bincount(gallery_pids)  # all of them in front
        np.testing.assert_allclose(scores.inp_per_query, 1 - wrong / images)


@pytest.mark.parametrize("width", [5, 512, 2048])
def test_copies_of_an_image_tie_wherever_they_stand(width, monkeypatch):
    """The same picture filed under two people: neither may come first, in no row of the gallery."""
    monkeypatch.setattr(ranks, "ROWS", 64)
    rng = np.random.default_rng(1)
    people = 150
    right = np.abs(rng.normal(size=(people, width))).astype(np.float32)
    gallery = np.concatenate([right, (3 * right[::-1]).astype(np.float32)])  # a copy, any length
    pids = np.arange(people)
    copied = np.concatenate([pids, people + pids])
    scores = evaluate(
        right, gallery, pids, copied, pids * 0, np.ones(2 * people), protocol="all_shots"
    )
    assert scores.rank1 == 0 and scores.cmc[1] == 1
    np.testing.assert_allclose(scores.ap_per_query, 1 / 2)


@pytest.mark.parametrize(("apart", "behind"), [(0, True), (TIE / 2, True), (5 * TIE, False)])
def test_the_tolerance_of_ties_is_what_it_says(apart, behind):
    """In a plane: the right image at distance 0.5, the wrong one a little farther."""
    angles = np.arccos(1 - np.array([0.5, 0.5 + apart]))
    gallery = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    scores = evaluate([[1.0, 0.0]], gallery, [1], [1, 2], [0], [1, 1])
    assert scores.rank1 == (0 if behind else 1)


def test_a_matrix_is_taken_as_it_is_unless_told():
    case = [[0.5, 0.501]], [1], [1, 2], [0], [1, 1]
    assert from_distance(*case).rank1 == 1
    assert from_distance(*case, tie=0.01).rank1 == 0


def test_images_of_the_same_person_in_the_same_camera_are_ignored():
    """The same picture in the gallery must neither help its own query, nor leave the others'."""
    distance = np.array([[0.0, 0.5, 0.4], [0.1, 0.5, 0.3]])
    scores = from_distance(distance, [1, 2], [1, 1, 2], [0, 0], [0, 1, 1])
    # Query of person 1: its own view at 0.0 is junk, its match at 0.5 lies behind person 2 at 0.4.
    assert scores.rank1_per_query[0] == 0
    # Query of person 2: match at 0.3, person 1 is drawn at 0.1 or 0.5.
    assert scores.rank1_per_query[1] == pytest.approx(0.5)
    np.testing.assert_allclose(scores.ap_per_query, [1 / 2, 1 / 2])


def test_a_gallery_of_fewer_people_than_max_rank_keeps_the_curve_at_one():
    scores = from_distance(*problem(0), max_rank=20)
    assert scores.cmc.shape == (20,)
    np.testing.assert_allclose(scores.cmc[3:], 1)  # four people
    assert (np.diff(scores.cmc) >= 0).all()


def test_scores_do_not_depend_on_the_chunks_or_the_order(monkeypatch):
    distance, query_pids, gallery_pids, query_camids, gallery_camids = problem(
        5, people=20, queries=37, gallery=90
    )
    whole = from_distance(distance, query_pids, gallery_pids, query_camids, gallery_camids)
    shuffle = np.random.default_rng(1).permutation(90)
    monkeypatch.setattr(ranks, "BATCH", 4)
    monkeypatch.setattr(single_shot, "CELLS", 90)
    chunked = from_distance(
        distance[:, shuffle],
        query_pids,
        gallery_pids[shuffle],
        query_camids,
        gallery_camids[shuffle],
    )
    np.testing.assert_allclose(chunked.cmc_per_query, whole.cmc_per_query, atol=1e-12)
    np.testing.assert_allclose(chunked.ap_per_query, whole.ap_per_query, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["float64", "float32", "float16", "float32 tensor",
                                  "bfloat16 tensor"])  # fmt: skip
def test_features_are_compared_by_their_cosine(kind, seed):
    rng = np.random.default_rng(seed)
    _, *ids = problem(seed, people=6, queries=10, gallery=25)
    query, gallery = rng.normal(size=(10, 8)), rng.normal(size=(25, 8)) * rng.uniform(1, 9, (25, 1))
    query, gallery = KINDS[kind](query), KINDS[kind](gallery)
    plain = [x.detach().float().numpy() if isinstance(x, torch.Tensor) else x
             for x in (query, gallery)]  # fmt: skip
    distance = cosine(*plain)
    assert_equal(
        evaluate(query, gallery, *ids, protocol="all_shots"), slow_scores(distance, *ids, tie=TIE)
    )
    if isinstance(query, torch.Tensor):
        ids = [torch.tensor(each) for each in ids]
    found, expected = evaluate(query, gallery, *ids), from_distance(distance, *ids, tie=TIE)
    np.testing.assert_allclose(found.cmc_per_query, expected.cmc_per_query, atol=1e-12)


def test_features_of_any_length_are_compared():
    """Their squares may overflow or vanish in double precision; their directions do not."""
    ids = [1], [1, 2], [0], [1, 1]
    for scale in (1e-300, 1e-30, 1, 1e30, 1e300):
        gallery = np.array([[1.0, 0.1], [0.1, 1.0]]) * scale
        assert evaluate([[scale, 0.0]], gallery, *ids).rank1 == 1
        assert evaluate([[0.0, scale]], gallery, *ids).rank1 == 0


def test_features_do_not_depend_on_the_chunks(monkeypatch):
    rng = np.random.default_rng(0)
    _, *ids = problem(7, people=20, queries=37, gallery=90)
    query, gallery = rng.normal(size=(37, 8)), rng.normal(size=(90, 8))
    whole = evaluate(query, gallery, *ids)
    for cells, batch, rows in ((1, 64, 7), (500, 2, 4096), (2000, 5, 64)):
        monkeypatch.setattr(ranks, "CELLS", cells)
        monkeypatch.setattr(ranks, "BATCH", batch)
        monkeypatch.setattr(ranks, "ROWS", rows)
        chunked = evaluate(query, gallery, *ids)
        np.testing.assert_allclose(chunked.cmc_per_query, whole.cmc_per_query, atol=1e-12)
        np.testing.assert_allclose(chunked.ap_per_query, whole.ap_per_query, atol=1e-12)


def test_the_whole_matrix_is_never_in_memory(monkeypatch):
    rng = np.random.default_rng(0)
    query, gallery = (rng.normal(size=(n, 8)).astype(np.float32) for n in (1500, 5000))
    pids = np.arange(5000) % 1000
    monkeypatch.setattr(ranks, "CELLS", 200_000)
    tracemalloc.start()
    evaluate(query, gallery, pids[:1500], pids, np.zeros(1500), np.ones(5000))
    evaluate(query, gallery, pids[:1500], pids, np.zeros(1500), np.ones(5000), draws=10)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30e6 < query.shape[0] * gallery.shape[0] * 8  # 60 MB in double precision


def test_tensors_of_half_precision_are_read():
    distance = torch.tensor([[0.25, 0.5]], dtype=torch.bfloat16)
    assert from_distance(distance, [1], [1, 2], [0], [1, 1]).rank1 == 1


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_distance_that_is_not_finite_is_refused_with_its_place(bad):
    distance, *ids = problem(0)
    distance[3, 7] = bad
    with pytest.raises(DireidError, match=r"row 3 \(query\), column 7"):
        from_distance(distance, *ids)


def test_features_that_cannot_be_compared_are_refused():
    ids = [1, 2], [1, 2], [0, 0], [1, 1]
    good = np.ones((2, 3))
    with pytest.raises(DireidError, match=r"gallery features: row 1 .*not finite"):
        evaluate(good, [[1, 2, 3], [1, np.nan, 3]], *ids)
    with pytest.raises(DireidError, match="query features: row 0 is all zeros"):
        evaluate([[0, 0, 0], [1, 2, 3]], good, *ids)
    with pytest.raises(DireidError, match=r"3 wide .* 4"):
        evaluate(good, np.ones((2, 4)), *ids)
    with pytest.raises(DireidError, match=r"shape \(2,\)"):
        evaluate(np.ones(2), good, *ids)
    with pytest.raises(DireidError, match=r"\(3, 2\): expected \(queries, gallery\) = \(2, 2\)"):
        evaluate(np.ones((3, 3)), good, *ids)
    with pytest.raises(DireidError, match="complex128: expected real numbers"):
        evaluate(good * 1j, good, *ids)


def test_one_camera_id_for_everything_is_explained():
    with pytest.raises(DireidError) as error:
        from_distance(np.ones((3, 2)), [1, 2, 5], [1, 2], [4, 4, 4], [4, 4])
    message = str(error.value)
    assert message.startswith("3 of 3 queries")
    assert "1 because their person is not there" in message
    assert "2 because their person is there only in the query's own camera" in message
    assert "row 0, pid 1, camid 4" in message and "marked as one camera?" in message
    assert 'same_camera="keep"' in message
    assert "\n" not in message
    assert from_distance(np.eye(2), [1, 2], [2, 1], [4, 4], [4, 4], same_camera="keep").rank1 == 1


def test_people_who_are_not_there_are_explained():
    with pytest.raises(DireidError, match=r"2 of 3 .* 2 because their person is not there, 0 "):
        from_distance(np.ones((3, 2)), [1, 8, 9], [1, 2], [0, 0, 0], [1, 1])
    with pytest.raises(DireidError, match=r"1 of 1 .*pid 9.*from the same list\?"):
        from_distance(np.ones((1, 2)), [9], [1, 2], [0], [0, 0], same_camera="keep")
    with pytest.raises(DireidError, match=r"1 of 2 .*only in the query's own camera.*row 1, pid 2"):
        evaluate(np.ones((2, 3)), np.ones((2, 3)), [1, 2], [1, 2], [0, 0], [1, 0])


def test_options_that_do_not_exist_are_refused():
    case = [[0.5]], [1], [1], [0], [1]
    for options, words in (
        ({"protocol": "multi_shot"}, r"'multi_shot': expected 'single_shot' or 'all_shots'"),
        ({"protocol": "all_shots", "draws": 3}, r"draws is 3: only the single_shot"),
        ({"draws": 0}, r"draws is 0: expected 1 or more"),
        ({"same_camera": "drop"}, r"'drop': expected 'remove' or 'keep'"),
        ({"tie": -1.0}, r"tie is -1.0: expected 0 or more"),
        ({"tie": np.nan}, r"tie is nan"),
    ):
        with pytest.raises(DireidError, match=words):
            from_distance(*case, **options)


def test_what_can_be_found_is_checked_quickly():
    """At the size of MSMT17, where a Python loop over pairs would take minutes."""
    rng = np.random.default_rng(0)
    gallery = np.arange(82_161) % 3_060
    start = time.perf_counter()
    match(gallery[:11_659], gallery, rng.integers(15, size=11_659), np.arange(82_161) % 16)
    assert time.perf_counter() - start < 2


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DireidError, match=r"\(2, 3\): expected .* \(3, 2\)"):
        from_distance(np.ones((2, 3)), [1, 1, 1], [1, 1], [0, 0, 0], [1, 1])
    with pytest.raises(DireidError, match="camera ids"):
        from_distance(np.ones((1, 2)), [1], [1, 1], [0], [1])
    with pytest.raises(DireidError, match="max_rank is 5"):
        from_distance(np.ones((1, 1)), [1], [1], [0], [1], max_rank=5)


def test_a_benchmark_sized_problem_is_no_python_loop():
    """1200 x 1200 with 300 people takes a fraction of a second; a loop over people, minutes."""
    rng = np.random.default_rng(10)
    pids = np.arange(1200) % 300
    case = rng.uniform(size=(1200, 1200)), pids, pids, np.zeros(1200), np.ones(1200)
    for options in ({}, {"draws": 100}, {"protocol": "all_shots"}):
        start = time.perf_counter()
        from_distance(*case, **options)
        assert time.perf_counter() - start < 10
