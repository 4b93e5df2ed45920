"""The bootstrap over people, against closed forms and a loop; scores by degradation level."""

import numpy as np
import pytest

from direid.errors import DireidError
from direid.evaluation import ranks
from direid.evaluation.uncertainty import bootstrap, by_level, interval


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


def test_an_interval_of_many_people_is_two_standard_errors_each_way():
    values = np.random.default_rng(10).uniform(size=400)
    mean, error = bootstrap(values, np.arange(400), seed=0, draws=4000)
    low, high = interval(values, np.arange(400), seed=0, draws=4000)
    assert low == pytest.approx(mean - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(mean + 1.96 * error, abs=0.1 * error)
    narrow = interval(values, np.arange(400), seed=0, draws=4000, level=0.5)
    assert narrow[1] - narrow[0] == pytest.approx(2 * 0.674 * error, rel=0.06)


def test_an_interval_holds_the_truth_as_often_as_it_says():
    """300 test sets of 60 people with uneven queries, whose mean is 0.3 by construction."""
    rng, inside = np.random.default_rng(10), 0
    for trial in range(300):
        chance = rng.beta(0.6, 1.4, 60)  # people differ, mean 0.3
        pids = np.repeat(np.arange(60), rng.integers(1, 6, 60))
        values = rng.uniform(size=len(pids)) < chance[pids]
        low, high = interval(values, pids, seed=trial, draws=400)
        inside += low <= 0.3 <= high
    assert 0.90 <= inside / 300 <= 0.98


def test_an_interval_is_skewed_where_the_score_is():
    """Nearly everybody found: the interval stays below 1, where mean + 2 errors would not."""
    values = np.ones(60)
    values[0] = 0
    mean, error = bootstrap(values, np.arange(60), seed=0)
    low, high = interval(values, np.arange(60), seed=0)
    assert mean + 1.96 * error > 1 and high == 1 and low < mean


def test_a_paired_difference_is_surer_than_two_scores():
    """What is hard for both methods cancels out; the one that is always a little better shows."""
    rng, pids = np.random.default_rng(10), np.repeat(np.arange(50), 4)
    hard = rng.uniform(size=50)[pids]
    ours, theirs = hard + 0.02 + 0.01 * rng.normal(size=200), hard
    alone, other = (interval(each, pids, seed=0) for each in (ours, theirs))
    assert alone[0] < other[1]  # the two intervals overlap
    low, high = interval(ours - theirs, pids, seed=0)
    assert 0 < low < (ours - theirs).mean() < high < 0.03


def test_one_person_has_no_interval_and_bad_options_are_refused():
    assert interval([0.5, 1.0], [3, 3], seed=0) is None
    with pytest.raises(DireidError, match="level is 95"):
        interval([0.5, 1.0], [3, 4], seed=0, level=95)
    with pytest.raises(DireidError, match="draws is 1"):
        interval([0.5, 1.0], [3, 4], seed=0, draws=1)
    with pytest.raises(DireidError, match=r"\(0,\)"):
        bootstrap([], [], seed=0)


def test_they_are_reached_from_ranks_too():
    assert (ranks.bootstrap, ranks.interval, ranks.by_level) == (bootstrap, interval, by_level)


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
