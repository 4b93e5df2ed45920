"""Single-shot CMC: one gallery image per person, drawn at random; exact, or from drawn galleries.

Take one positive of a query, drawn as its person's gallery image. Another person with n images, m
of them at least as near, is placed before it with chance m / n, independently of everybody else.
The number of people before it follows a Poisson-binomial law, so P(rank <= k) = P(at most k - 1 of
them are before it). We average over the query's positives, which are equally likely.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from direid.evaluation.matching import Matches

CELLS = 2_000_000  # numbers held at once by each thread, and not by each query: bounds the memory
NEGLIGIBLE = 1e-17  # a chance that cannot be seen beside 1 in double precision


def exact_cmc(
    rows: np.ndarray,
    limits: Sequence[np.ndarray],
    queries: Sequence[int],
    matches: Matches,
    max_rank: int,
) -> np.ndarray:
    """CMC of B queries (B, K), averaged over every gallery that could be drawn.

    Args:
        rows: distances of the queries to the whole gallery, (B, G).
        limits: of each query, how far each of its positives reaches, ascending, (P,): a wrong image
            up to there is placed before it.
        queries: their numbers in ``matches``.
        matches: who is who.
        max_rank: K.
    """
    chances, sizes, owner = [], [], []
    for place, (row, limit, query) in enumerate(zip(rows, limits, queries, strict=True)):
        step = max(1, CELLS // matches.people)
        for start in range(0, len(limit), step):
            part = limit[start : start + step]
            chance = _chances(row, part, matches.query_person[query], matches)
            reached = int(np.count_nonzero(~_is_negligible(chance.sum(axis=1), max_rank)))
            pair, person = np.nonzero(chance[:reached])
            chances.append(chance[pair, person])
            sizes.append(np.bincount(pair, minlength=reached))
            owner.append(np.full(reached, place))
            if reached < len(part):
                break  # and farther positives are reached less
    sizes, owner = np.concatenate(sizes), np.concatenate(owner)
    at_most = poisson_binomial_cdf(np.concatenate(chances), sizes, max_rank)
    cmc = np.zeros((len(rows), max_rank))
    np.add.at(cmc, owner, at_most)
    return cmc / np.array([len(limit) for limit in limits])[:, None]


def _chances(row: np.ndarray, limits: np.ndarray, person: int, matches: Matches) -> np.ndarray:
    """Chance of each person (P, N) to be drawn within each of the ascending limits (P,)."""
    near = np.flatnonzero(row <= limits[-1])
    reached_by = np.searchsorted(limits, row[near])  # the first limit that is not nearer
    cell = reached_by * matches.people + matches.gallery_person[near]
    within = np.bincount(cell, minlength=len(limits) * matches.people)
    within = within.reshape(len(limits), matches.people).cumsum(axis=0)
    within[:, person] = 0
    return within / matches.images


def _is_negligible(mean: np.ndarray, max_rank: int) -> np.ndarray:
    """Whether P(fewer than max_rank people before) is nothing, given how many are expected (P,).

    By Chernoff's bound on a sum of independent coins with this mean: the chance of a sum of at most
    s < mean is at most exp(s - mean) (mean / s)^s.
    """
    most = max_rank - 1
    log_chance = most - mean + most * np.log(np.maximum(mean, most) / most)
    return (mean > most) & (log_chance < np.log(NEGLIGIBLE))


def poisson_binomial_cdf(chances: np.ndarray, sizes: np.ndarray, terms: int) -> np.ndarray:
    """P(sum <= 0), ..., P(sum <= terms - 1) of N sums of independent coins: (N, terms).

    Args:
        chances: of every coin, those of the first sum first.
        sizes: how many coins each sum has, (N,).
        terms: how many values; none depends on the later ones. Only sums and products of positive
            numbers occur, so nothing cancels.
    """
    found = np.empty((len(sizes), terms))
    begins = np.cumsum(sizes) - sizes
    largest_first = np.argsort(-sizes, kind="stable")
    start = 0
    while start < len(sizes):
        widest = max(1, int(sizes[largest_first[start]]))
        group = largest_first[start : start + max(1, CELLS // max(widest, terms))]
        start += len(group)
        size = sizes[group]
        toss = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        coins = np.zeros((widest, len(group)))  # one column a sum, filled up with zeros
        coins[toss, np.repeat(np.arange(len(group)), size)] = chances[
            np.repeat(begins[group], size) + toss
        ]
        law = np.zeros((terms, len(group)))  # law[s] = P(sum so far is s); larger ones are dropped
        law[0] = 1.0
        for number, coin in enumerate(coins):
            alive = int(np.searchsorted(-size, -number))  # sums with more coins than this
            coin, part = coin[:alive], law[:, :alive]
            up = part[:-1] * coin
            part *= 1.0 - coin
            part[1:] += up
        found[group] = np.minimum(law.cumsum(axis=0), 1.0).T
    return found


def draw_galleries(matches: Matches, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random galleries of one image per person, the same for every query.

    Returns:
        A uniform number for each draw and person (draws, N), and the gallery column that it
        chooses, (draws, N). A query's own person is chosen by the same number, among its positives.
    """
    uniform = np.random.default_rng(seed).random((draws, matches.people))
    chosen = matches.order[matches.starts + (uniform * matches.images).astype(np.int64)]
    return uniform, chosen


def drawn_cmc(
    rows: np.ndarray,
    limits: Sequence[np.ndarray],
    queries: Sequence[int],
    matches: Matches,
    max_rank: int,
    galleries: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """CMC of B queries (B, K), averaged over these galleries; the rest as in :func:`exact_cmc`."""
    uniform, chosen = galleries
    cmc = np.zeros((len(rows), max_rank))
    step = max(1, CELLS // matches.people)
    for found, row, limit, query in zip(cmc, rows, limits, queries, strict=True):
        person = matches.query_person[query]
        reach = limit[(uniform[:, person] * len(limit)).astype(np.int64)]  # (draws,)
        for start in range(0, len(chosen), step):
            part = slice(start, start + step)
            nearer = row[chosen[part]] <= reach[part, None]
            nearer[:, person] = False
            before = np.count_nonzero(nearer, axis=1)
            found += np.bincount(before[before < max_rank], minlength=max_rank)
    return cmc.cumsum(axis=1) / len(chosen)
