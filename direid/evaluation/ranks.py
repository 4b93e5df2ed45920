"""Retrieval scores: single-shot CMC (paper, section 4.3), mAP and mINP, with their uncertainty.

*Single-shot* means that the gallery holds one image per person, drawn at random, and that the
score is averaged over the draws. The usual code draws 10 or 100 galleries. The average over **all**
of them has a closed form, so it is what we report: same inputs, same number, no sampling noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from direid.errors import DireidError

Array = np.ndarray | Tensor

CELLS = 4_000_000  # (query, positive) pairs x gallery images compared at once: bounds the memory


@dataclass(frozen=True, eq=False)
class Scores:
    """Retrieval scores in [0, 1]: one row per query, and their means over queries.

    ``cmc_per_query[q, k - 1]`` is the chance that query q finds its person within the first k
    places of a random single-shot gallery. The other two use the whole gallery.
    """

    cmc_per_query: np.ndarray  # (Q, K)
    ap_per_query: np.ndarray  # (Q,)
    inp_per_query: np.ndarray  # (Q,)

    @property
    def cmc(self) -> np.ndarray:
        """Cumulative Match Characteristic (K,): the expected share of queries found by rank k."""
        return self.cmc_per_query.mean(axis=0)

    @property
    def rank1_per_query(self) -> np.ndarray:
        """The chance of each query (Q,) to find its person in first place."""
        return self.cmc_per_query[:, 0]

    @property
    def rank1(self) -> float:
        """The expected share of queries whose first match is right."""
        return float(self.cmc[0])

    @property
    def rank5(self) -> float:
        """The expected share of queries whose person is among the first five."""
        return float(self.cmc[4])

    @property
    def rank10(self) -> float:
        """The expected share of queries whose person is among the first ten."""
        return float(self.cmc[9])

    @property
    def map(self) -> float:
        """Mean average precision over the whole gallery."""
        return float(self.ap_per_query.mean())

    @property
    def minp(self) -> float:
        """Mean inverse negative penalty: how far down the hardest positive lies."""
        return float(self.inp_per_query.mean())


def single_shot(
    distance: Array,
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    max_rank: int = 20,
) -> Scores:
    """Exact single-shot CMC, mAP and mINP of a distance matrix.

    For each query, the gallery images of its own person in its own camera are removed.

    *CMC.* Take one positive at distance d, drawn as its person's gallery image. Another person with
    n images, m of them at most d away, is placed before it with probability m / n, independently of
    everybody else. The number of people before it follows a Poisson-binomial law, so
    P(rank <= k) = P(at most k - 1 of them are before it). We average over the query's positives.

    *AP.* The mean over the query's positives, nearest first, of i / (rank of the i-th positive) in
    the whole remaining gallery. *INP* is (number of positives) / (rank of the farthest positive).

    Ties count against us: a wrong image as near as the right one is placed before it. So a network
    whose features are all equal scores 0, not 1.

    Args:
        distance: (Q, G), smaller = more alike.
        query_pids: person of each query, (Q,).
        gallery_pids: person of each gallery image, (G,).
        query_camids: camera of each query, (Q,).
        gallery_camids: camera of each gallery image, (G,).
        max_rank: length K of the CMC, 10 or more. It stays at 1 beyond the number of people.

    Raises:
        DireidError: a distance that is not finite, a query with nothing to find, wrong shapes.
    """
    distance = _numpy(distance)
    query_pids, query_camids = _numpy(query_pids), _numpy(query_camids)
    gallery_pids, gallery_camids = _numpy(gallery_pids), _numpy(gallery_camids)
    _check(distance, query_pids, gallery_pids, query_camids, gallery_camids, max_rank)

    order = np.argsort(gallery_pids, kind="stable")  # a person's images side by side
    gallery_pids, gallery_camids = gallery_pids[order], gallery_camids[order]
    _, starts, counts = np.unique(gallery_pids, return_index=True, return_counts=True)

    cmc, ap, inp = np.empty((len(distance), max_rank)), *np.empty((2, len(distance)))
    rows = max(1, CELLS // (len(gallery_pids) * counts.max()))
    for first in range(0, len(distance), rows):
        chunk = slice(first, first + rows)
        block = distance[chunk][:, order]
        same_person = query_pids[chunk, None] == gallery_pids
        query, column = np.nonzero(same_person & (query_camids[chunk, None] != gallery_camids))
        nearest_first = np.lexsort((block[query, column], query))
        query, column = query[nearest_first], column[nearest_first]
        first_pair = np.searchsorted(query, np.arange(len(block)))  # where each query's pairs start
        positives = np.diff(np.append(first_pair, len(query)))

        # One line per (query, positive) pair: is this image of somebody else at least as near?
        before = block[query] <= block[query, column][:, None]
        before &= ~same_person[query]
        per_person = np.add.reduceat(before, starts, axis=1, dtype=np.int64)
        at_most = _poisson_binomial_cdf(per_person / counts, max_rank)
        cmc[chunk] = np.add.reduceat(at_most, first_pair, axis=0) / positives[:, None]

        place = np.arange(len(query)) - first_pair[query] + 1  # 1, 2, ... among its own positives
        precision = place / (per_person.sum(axis=1) + place)
        ap[chunk] = np.add.reduceat(precision, first_pair) / positives
        inp[chunk] = precision[first_pair + positives - 1]
    return Scores(cmc, ap, inp)


def _poisson_binomial_cdf(chances: np.ndarray, terms: int) -> np.ndarray:
    """P(sum <= 0), ..., P(sum <= terms - 1) for N rows of independent coins (N, people)."""
    law = np.zeros((terms, len(chances)))  # law[s] = P(sum so far is s); larger sums are dropped
    law[0] = 1.0
    for chance in np.ascontiguousarray(chances.T):
        if chance.any():
            up = law[:-1] * chance
            law *= 1.0 - chance
            law[1:] += up
    return np.minimum(law.cumsum(axis=0), 1.0).T


def evaluate(
    query_features: Array,
    gallery_features: Array,
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    max_rank: int = 20,
) -> Scores:
    """Scores of features (Q, D) and (G, D) under the cosine distance; see :func:`single_shot`."""
    query = _unit_rows(query_features, "query")
    gallery = _unit_rows(gallery_features, "gallery")
    if query.shape[1] != gallery.shape[1]:
        raise DireidError(
            f"query features are {query.shape[1]} wide and gallery features {gallery.shape[1]}: "
            "expected the same width"
        )
    # A matrix product does not give equal rows equal last digits: rounding makes ties exact again.
    distance = np.round(1.0 - query @ gallery.T, 9)
    return single_shot(distance, query_pids, gallery_pids, query_camids, gallery_camids, max_rank)


def bootstrap(
    values: Array, query_pids: Array, seed: int, draws: int = 1000
) -> tuple[float, float | None]:
    """Mean of one value per query, and its standard error over test people.

    People are resampled with replacement, each with all of their queries: the images of one person
    succeed and fail together, so resampling images would promise too much. To compare two methods
    on the same queries, pass the difference of their values: what is hard for both cancels out.

    Args:
        values: one per query, (Q,), such as ``Scores.rank1_per_query``.
        query_pids: person of each query, (Q,).
        seed: of the resampling.
        draws: resampled test sets.

    Returns:
        The mean, and its standard error: None for one person, who tells nothing about others.
    """
    values, query_pids = _numpy(values, float), _numpy(query_pids)
    if values.shape != query_pids.shape:
        raise DireidError(
            f"bootstrap got values {values.shape} and person ids {query_pids.shape}: "
            "expected one of each per query"
        )
    if not np.isfinite(values).all():
        raise DireidError(f"value of query {_first(~np.isfinite(values))} is not a finite number")
    _, person = np.unique(query_pids, return_inverse=True)
    queries = np.bincount(person)  # (people,)
    if len(queries) < 2:
        return float(values.mean()), None
    sums = np.bincount(person, weights=values)
    people = len(queries)
    times = np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), size=draws)
    means = (times @ sums) / (times @ queries)
    return float(values.mean()), float(means.std(ddof=1))


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
    values, levels, query_pids = _numpy(values), _numpy(levels, float), _numpy(query_pids)
    if not values.shape == levels.shape == query_pids.shape:
        raise DireidError(
            f"got values {values.shape}, levels {levels.shape}, person ids {query_pids.shape}: "
            "expected one of each per query"
        )
    if not np.isfinite(levels).all():
        raise DireidError(f"level of query {_first(~np.isfinite(levels))} is not a finite number")
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


def _numpy(values: Array, dtype: type | None = None) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.float() if values.dtype == torch.bfloat16 else values  # numpy has none
    return np.asarray(values, dtype=dtype)


def _first(mask: np.ndarray) -> int:
    return int(np.flatnonzero(mask)[0])


def _unit_rows(features: Array, part: str) -> np.ndarray:
    """Features (N, D) as float64 rows of length 1."""
    features = _numpy(features, float)
    if features.ndim != 2 or 0 in features.shape:
        raise DireidError(f"{part} features have shape {features.shape}: expected (images, width)")
    bad = ~np.isfinite(features).all(axis=1)
    if bad.any():
        raise DireidError(
            f"{part} features: row {_first(bad)} holds a number that is not finite "
            f"({bad.sum()} of {len(bad)} rows): did training diverge?"
        )
    length = np.linalg.norm(features, axis=1, keepdims=True)
    if not length.all():
        raise DireidError(f"{part} features: row {_first(length[:, 0] == 0)} is all zeros")
    return features / length


def _check(
    distance: np.ndarray,
    query_pids: np.ndarray,
    gallery_pids: np.ndarray,
    query_camids: np.ndarray,
    gallery_camids: np.ndarray,
    max_rank: int,
) -> None:
    """Refuse what cannot be scored, in words that say what to mend."""
    shape = (len(query_pids), len(gallery_pids))
    if distance.shape != shape or 0 in shape:
        raise DireidError(
            f"distance matrix has shape {distance.shape}: expected (queries, gallery) = {shape}"
        )
    if (len(query_camids), len(gallery_camids)) != shape:
        raise DireidError(
            f"got {len(query_camids)} query and {len(gallery_camids)} gallery camera ids: "
            f"expected {shape[0]} and {shape[1]}"
        )
    if max_rank < 10:
        raise DireidError(f"max_rank is {max_rank}: expected 10 or more (Rank-10 is reported)")
    for row, values in enumerate(distance):
        if not np.isfinite(values).all():
            column = _first(~np.isfinite(values))
            raise DireidError(
                f"distance matrix: row {row} (query), column {column} (gallery) is "
                f"{values[column]}: expected finite numbers"
            )
    absent = ~np.isin(query_pids, gallery_pids)
    cameras: dict[int, set[int]] = {}  # of each person, in the gallery
    for pid, camid in zip(gallery_pids.tolist(), gallery_camids.tolist(), strict=True):
        cameras.setdefault(pid, set()).add(camid)
    queries = zip(query_pids.tolist(), query_camids.tolist(), strict=True)
    lost = np.array([not cameras.get(pid, set()) - {camid} for pid, camid in queries])
    if lost.any():
        row = _first(lost)
        raise DireidError(
            f"{lost.sum()} of {len(lost)} queries have nothing to find in the gallery: "
            f"{absent.sum()} because their person is not there, {(lost & ~absent).sum()} because "
            "their person is there only in the query's own camera (first: row "
            f"{row}, pid {query_pids[row]}, camid {query_camids[row]}). Camera ids of the queries: "
            f"{_some(query_camids)}; of the gallery: {_some(gallery_camids)}. "
            "Is everything marked as one camera?"
        )


def _some(ids: np.ndarray, most: int = 6) -> str:
    """The distinct ids, shortened."""
    distinct = np.unique(ids).tolist()
    return ", ".join(map(str, distinct[:most])) + (", ..." if len(distinct) > most else "")
