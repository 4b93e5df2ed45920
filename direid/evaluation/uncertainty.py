"""How far a score could move with other test people: the bootstrap, and scores by level."""

from __future__ import annotations

import numpy as np

from direid.errors import DireidError
from direid.evaluation.arrays import Array, first, to_numpy


def bootstrap(
    values: Array, query_pids: Array, seed: int, draws: int = 1000
) -> tuple[float, float | None]:
    """Mean of one value per query, and its standard error over test people.

    People are resampled with replacement, each with all of their queries: the images of one person
    succeed and fail together, so resampling images would promise too much.

    *Two methods* on the same queries: pass the difference of their values, query by query. What is
    hard for both cancels out, so the error of the difference is smaller than those of the two
    scores suggest; comparing two separate error bars misses real gains.

    Args:
        values: one per query, (Q,), such as ``Scores.rank1_per_query``.
        query_pids: person of each query, (Q,).
        seed: of the resampling.
        draws: resampled test sets.

    Returns:
        The mean, and its standard error: None for one person, who tells nothing about others.
    """
    values, means = _resampled(values, query_pids, seed, draws)
    return float(values.mean()), None if means is None else float(means.std(ddof=1))


def interval(
    values: Array, query_pids: Array, seed: int, draws: int = 1000, level: float = 0.95
) -> tuple[float, float] | None:
    """Confidence interval of the mean: the middle ``level`` of the resampled test sets' means.

    The percentile bootstrap over people, from the resamplings that :func:`bootstrap` draws with the
    same seed. Of a difference of two methods, an interval without 0 says that other test people
    would hardly reverse it; what another training seed would do is not in it. With few people
    (about 20 or less) it is too narrow.

    Args:
        values, query_pids, seed, draws: as for :func:`bootstrap`.
        level: share of the resampled means inside, between 0 and 1.

    Returns:
        Its two ends, or None for one person.
    """
    if not 0 < level < 1:
        raise DireidError(f"level is {level}: expected a number between 0 and 1, such as 0.95")
    _, means = _resampled(values, query_pids, seed, draws)
    if means is None:
        return None
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _resampled(
    values: Array, query_pids: Array, seed: int, draws: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """The values (Q,), and the mean of each resampled test set (draws,): None for one person."""
    values, query_pids = to_numpy(values, float), to_numpy(query_pids)
    if values.shape != query_pids.shape or values.ndim != 1 or not len(values):
        raise DireidError(
            f"bootstrap got values {values.shape} and person ids {query_pids.shape}: "
            "expected one of each per query"
        )
    if draws < 2:
        raise DireidError(f"draws is {draws}: expected 2 or more resampled test sets")
    if not np.isfinite(values).all():
        raise DireidError(f"value of query {first(~np.isfinite(values))} is not a finite number")
    _, person = np.unique(query_pids, return_inverse=True)
    queries = np.bincount(person)  # (people,)
    people = len(queries)
    if people < 2:
        return values, None
    sums = np.bincount(person, weights=values)
    times = np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), size=draws)
    return values, (times @ sums) / (times @ queries)


def by_level(
    values: Array, levels: Array, query_pids: Array, seed: int = 0, bins: int = 4
) -> dict[str, list]:
    """Mean of one value per query, from the least to the most degraded quarter of the queries.

    Args:
        values: one per query, (Q,), such as ``Scores.rank1_per_query``.
        levels: true degradation of each query, (Q,), higher = worse.
        query_pids: person of each query, (Q,).
        seed: of the standard errors.
        bins: how many; few distinct levels give fewer.

    Returns:
        Lists: ``edges`` (bins + 1), and per bin ``means``, ``errors`` (standard error over people,
        or None, see :func:`bootstrap`) and ``queries`` (how many).
    """
    values, levels, query_pids = to_numpy(values), to_numpy(levels, float), to_numpy(query_pids)
    if not values.shape == levels.shape == query_pids.shape:
        raise DireidError(
            f"got values {values.shape}, levels {levels.shape}, person ids {query_pids.shape}: "
            "expected one of each per query"
        )
    if not np.isfinite(levels).all():
        raise DireidError(f"level of query {first(~np.isfinite(levels))} is not a finite number")
    edges = np.unique(np.quantile(levels, np.linspace(0, 1, bins + 1)))
    if len(edges) < 2:
        raise DireidError(f"all {len(levels)} levels are the same: nothing to compare by level")
    which = np.searchsorted(edges[1:-1], levels, side="right")  # bin b is [edge b, edge b + 1)
    inside = [which == b for b in range(len(edges) - 1)]
    scored = [bootstrap(values[mask], query_pids[mask], seed) for mask in inside]
    return {
        "edges": edges.tolist(),
        "means": [mean for mean, _ in scored],
        "errors": [error for _, error in scored],
        "queries": [int(mask.sum()) for mask in inside],
    }
