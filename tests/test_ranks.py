"""Ranks against slow truths: every gallery enumerated, galleries drawn, loops, hand values."""

import itertools
import time

import numpy as np
import pytest
import torch

from direid.errors import DireidError
from direid.evaluation import ranks
from direid.evaluation.ranks import bootstrap, by_level, evaluate, single_shot


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


def naive_ap_and_inp(distance, *ids):
    """AP and INP per query from a sorted list, the wrong images first among equals."""
    ap, inp = [], []
    for q, row in enumerate(distance):
        own = ids[0][q]
        ranking = sorted(
            (row[column], pid == own) for pid, all_of in kept(q, *ids).items() for column in all_of
        )
        hits, precisions = 0, []
        for rank, (_, right) in enumerate(ranking, start=1):
            if right:
                hits += 1
                precisions.append(hits / rank)
        ap.append(np.mean(precisions))
        inp.append(precisions[-1])
    return np.array(ap), np.array(inp)


@pytest.mark.parametrize("seed", range(12))
def test_single_shot_is_the_average_over_every_gallery(seed):
    case = problem(seed)
    scores = single_shot(*case, max_rank=10)
    np.testing.assert_allclose(scores.cmc_per_query, enumerated_cmc(*case, max_rank=10), atol=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_ap_and_inp_match_a_sorted_list(seed):
    case = problem(seed, people=5, queries=8, gallery=30)
    scores = single_shot(*case)
    ap, inp = naive_ap_and_inp(*case)
    np.testing.assert_allclose(scores.ap_per_query, ap, atol=1e-12)
    np.testing.assert_allclose(scores.inp_per_query, inp, atol=1e-12)
    assert scores.map == pytest.approx(ap.mean()) and scores.minp == pytest.approx(inp.mean())


def test_single_shot_agrees_with_drawn_galleries():
    """The usual protocol: draw a gallery, rank, average. Ours is what it converges to."""
    distance, *ids = problem(3, people=30, queries=20, gallery=150, distances=1000)
    exact = single_shot(distance, *ids).cmc
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


def test_hand_computed_ranking():
    """Person 7 at places 1 and 3; person 8 has two images, one of them near; person 9 has one.

    AP = (1/1 + 2/3) / 2 = 5/6; INP = 2/3. Single-shot: the near positive is always first; the far
    one is behind person 8 with chance 1/2. Rank-1 = (1 + 1/2) / 2 = 3/4; Rank-2 = 1.
    """
    scores = single_shot([[0.1, 0.2, 0.3, 0.4, 0.9]], [7], [7, 8, 7, 9, 8], [0], [1, 1, 1, 1, 1])
    assert scores.map == pytest.approx(5 / 6)
    assert scores.minp == pytest.approx(2 / 3)
    np.testing.assert_allclose(scores.cmc[:3], [3 / 4, 1, 1])
    assert scores.rank1 == pytest.approx(3 / 4) and scores.rank5 == scores.rank10 == 1


def test_ties_count_against_us_whatever_the_order_of_the_gallery():
    for gallery in ([1, 2, 2], [2, 2, 1], [2, 1, 2]):
        scores = single_shot(np.zeros((1, 3)), [1], gallery, [0], [1, 1, 1])
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


def test_images_of_the_same_person_in_the_same_camera_are_ignored():
    """The same picture in the gallery must neither help its own query, nor leave the others'."""
    distance = np.array([[0.0, 0.5, 0.4], [0.1, 0.5, 0.3]])
    scores = single_shot(distance, [1, 2], [1, 1, 2], [0, 0], [0, 1, 1])
    # Query of person 1: its own view at 0.0 is junk, its match at 0.5 lies behind person 2 at 0.4.
    assert scores.rank1_per_query[0] == 0
    # Query of person 2: match at 0.3, person 1 is drawn at 0.1 or 0.5.
    assert scores.rank1_per_query[1] == pytest.approx(0.5)
    np.testing.assert_allclose(scores.ap_per_query, [1 / 2, 1 / 2])


def test_a_gallery_of_fewer_people_than_max_rank_keeps_the_curve_at_one():
    scores = single_shot(*problem(0), max_rank=20)
    assert scores.cmc.shape == (20,)
    np.testing.assert_allclose(scores.cmc[3:], 1)  # four people
    assert (np.diff(scores.cmc) >= 0).all()


def test_scores_do_not_depend_on_the_chunks_or_the_order(monkeypatch):
    distance, query_pids, gallery_pids, query_camids, gallery_camids = problem(
        5, people=20, queries=37, gallery=90
    )
    whole = single_shot(distance, query_pids, gallery_pids, query_camids, gallery_camids)
    shuffle = np.random.default_rng(1).permutation(90)
    monkeypatch.setattr(ranks, "CELLS", 2000)
    chunked = single_shot(
        distance[:, shuffle],
        query_pids,
        gallery_pids[shuffle],
        query_camids,
        gallery_camids[shuffle],
    )
    np.testing.assert_allclose(chunked.cmc_per_query, whole.cmc_per_query, atol=1e-12)
    np.testing.assert_allclose(chunked.ap_per_query, whole.ap_per_query, atol=1e-12)


def test_evaluate_is_cosine_distance_on_arrays_and_tensors():
    rng = np.random.default_rng(0)
    _, *ids = problem(2, people=6, queries=10, gallery=24)
    query, gallery = rng.normal(size=(10, 8)), rng.normal(size=(24, 8)) * rng.uniform(1, 9, (24, 1))
    cosine = np.array([[q @ g / np.sqrt(q @ q) / np.sqrt(g @ g) for g in gallery] for q in query])
    expected = single_shot(1 - cosine, *ids)
    for kind in (np.asarray, torch.tensor):
        scores = evaluate(kind(query), kind(gallery), *(kind(each) for each in ids))
        np.testing.assert_allclose(scores.cmc_per_query, expected.cmc_per_query)
        np.testing.assert_allclose(scores.ap_per_query, expected.ap_per_query)


def test_tensors_of_half_precision_are_read():
    distance = torch.tensor([[0.25, 0.5]], dtype=torch.bfloat16)
    assert single_shot(distance, [1], [1, 2], [0], [1, 1]).rank1 == 1


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_distance_that_is_not_finite_is_refused_with_its_place(bad):
    distance, *ids = problem(0)
    distance[3, 7] = bad
    with pytest.raises(DireidError, match=r"row 3 \(query\), column 7"):
        single_shot(distance, *ids)


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


def test_one_camera_id_for_everything_is_explained():
    with pytest.raises(DireidError) as error:
        single_shot(np.ones((3, 2)), [1, 2, 5], [1, 2], [4, 4, 4], [4, 4])
    message = str(error.value)
    assert message.startswith("3 of 3 queries")
    assert "1 because their person is not there" in message
    assert "2 because their person is there only in the query's own camera" in message
    assert "row 0, pid 1, camid 4" in message and "marked as one camera?" in message
    assert "\n" not in message


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DireidError, match=r"\(2, 3\): expected .* \(3, 2\)"):
        single_shot(np.ones((2, 3)), [1, 1, 1], [1, 1], [0, 0, 0], [1, 1])
    with pytest.raises(DireidError, match="camera ids"):
        single_shot(np.ones((1, 2)), [1], [1, 1], [0], [1])
    with pytest.raises(DireidError, match="max_rank is 5"):
        single_shot(np.ones((1, 1)), [1], [1], [0], [1], max_rank=5)


# --- uncertainty ------------------------------------------------------------------------------


def test_bootstrap_of_one_query_per_person_has_a_closed_form():
    values = np.random.default_rng(10).uniform(size=200)
    mean, error = bootstrap(values, np.arange(200), seed=0, draws=4000)
    assert mean == pytest.approx(values.mean())
    assert error == pytest.approx(values.std() / np.sqrt(200), rel=0.05)


def test_bootstrap_resamples_people_and_not_images():
    """Ten copies of each person's query are no new evidence: the error must not shrink."""
    values = np.random.default_rng(10).uniform(size=100)
    _, once = bootstrap(values, np.arange(100), seed=0, draws=4000)
    _, copied = bootstrap(np.repeat(values, 10), np.repeat(np.arange(100), 10), seed=1, draws=4000)
    assert copied == pytest.approx(once, rel=0.1)


def test_bootstrap_matches_a_loop_when_people_have_unequal_queries():
    rng = np.random.default_rng(10)
    pids = rng.integers(0, 30, 120)
    values = rng.uniform(size=120) + pids / 30
    of_person = [values[pids == pid] for pid in np.unique(pids)]
    means = [
        np.concatenate(
            [of_person[p] for p in rng.integers(0, len(of_person), len(of_person))]
        ).mean()
        for _ in range(4000)
    ]
    mean, error = bootstrap(values, pids, seed=0, draws=4000)
    assert mean == pytest.approx(values.mean())
    assert error == pytest.approx(np.std(means), rel=0.06)


def test_bootstrap_is_a_function_of_its_seed():
    values, pids = np.random.default_rng(10).uniform(size=50), np.arange(50)
    assert bootstrap(values, pids, seed=1) == bootstrap(values, pids, seed=1)
    assert bootstrap(values, pids, seed=1) != bootstrap(values, pids, seed=2)


def test_one_person_has_a_mean_and_no_standard_error():
    assert bootstrap([0.5, 1.0], [3, 3], seed=0) == (0.75, None)


def test_bootstrap_refuses_values_that_do_not_fit():
    with pytest.raises(DireidError, match="query 1"):
        bootstrap([0.5, np.nan], [3, 4], seed=0)
    with pytest.raises(DireidError, match=r"\(2,\) .* \(3,\)"):
        bootstrap([0.5, 1.0], [3, 4, 5], seed=0)


def test_by_level_splits_the_queries_into_quarters():
    levels = np.random.default_rng(10).permutation(100) / 100
    values = 1 - levels
    table = by_level(values, levels, np.arange(100), seed=0)
    assert table["queries"] == [25, 25, 25, 25]
    assert table["edges"][0] == 0 and table["edges"][-1] == 0.99 and len(table["edges"]) == 5
    # Quarter b holds the levels b/4, b/4 + .01, ..., b/4 + .24, whose mean is b/4 + .12.
    np.testing.assert_allclose(table["means"], [0.88, 0.63, 0.38, 0.13])
    first = levels < 0.25
    assert table["errors"][0] == pytest.approx(values[first].std() / 5, rel=0.1)


def test_by_level_of_few_distinct_levels_makes_fewer_bins():
    levels = np.repeat([2, 3, 4], 20)
    values = np.repeat([1.0, 0.5, 0.0], 20)
    table = by_level(values, levels, np.arange(60), seed=0)
    assert sum(table["queries"]) == 60
    assert len(table["means"]) == len(table["edges"]) - 1 <= 3
    assert table["means"][0] == 1.0 and min(table["queries"]) > 0


def test_by_level_refuses_equal_or_unknown_levels():
    with pytest.raises(DireidError, match="all 4 levels are the same"):
        by_level([0, 1, 0, 1], [0.5] * 4, [1, 2, 3, 4], seed=0)
    with pytest.raises(DireidError, match="level of query 2"):
        by_level([0, 1, 0, 1], [0.5, 0.6, np.nan, 0.1], [1, 2, 3, 4], seed=0)
    with pytest.raises(DireidError, match="expected one of each per query"):
        by_level([0, 1, 0, 1], [0.5, 0.6], [1, 2, 3, 4], seed=0)


def test_a_benchmark_sized_problem_is_no_python_loop():
    """1200 x 1200 with 300 people takes a fraction of a second; a loop over people, minutes."""
    rng = np.random.default_rng(10)
    pids = np.arange(1200) % 300
    start = time.perf_counter()
    single_shot(rng.uniform(size=(1200, 1200)), pids, pids, np.zeros(1200), np.ones(1200))
    assert time.perf_counter() - start < 10
