"""Retrieval scores: CMC (paper, section 4.3), mAP and mINP, without sorting the gallery.

The rank of a right image is the number of wrong ones that are at least as near, plus its place
among the right ones. Counting those is one pass over a row of distances; sorting the row, as the
usual code does, takes ten times as long and says nothing more.

*Single-shot* means that the gallery holds one image per person, drawn at random, and that the
score is averaged over the draws. The usual code draws 10 or 100 galleries. The average over **all**
of them has a closed form, so it is what we report: same inputs, same number, no sampling noise.

*All shots* is the protocol of Market-1501 and MSMT17: the first right image in the whole gallery.

The uncertainty of a score is in :mod:`direid.evaluation.uncertainty`, also reached from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch

from direid.errors import DireidError
from direid.evaluation.arrays import ROWS, Array, check_widths, first, lengths, to_numpy
from direid.evaluation.matching import Matches, SameCamera, match
from direid.evaluation.single_shot import draw_galleries, drawn_cmc, exact_cmc
from direid.evaluation.uncertainty import bootstrap, by_level, interval

__all__ = ["Array", "Protocol", "SameCamera", "Scores", "TIE", "bootstrap", "by_level", "evaluate",
           "from_distance", "interval"]  # fmt: skip

Protocol = Literal["single_shot", "all_shots"]
CMC = Callable[[np.ndarray, list[np.ndarray], list[np.ndarray], range], np.ndarray]

TIE = 1e-9  # cosine distances of features that differ by no more are equal
CELLS = 48_000_000  # distances computed at once
BATCH = 64  # queries of one task of a thread
SORTED_FROM = 64  # positives of a query from which one sort is quicker than a pass for each


@dataclass(frozen=True, eq=False)
class Scores:
    """Retrieval scores in [0, 1]: one row per query, and their means over all queries.

    ``cmc_per_query[q, k - 1]`` says whether query q finds its person within the first k places of
    the gallery: 0 or 1 with all shots, the chance of it with a random single-shot gallery. The
    other two use the whole gallery under either protocol.

    AP is the mean of the precision at each positive (plain AP). Some code averages each precision
    with the one just before it (trapezoid AP): one gallery, one model, 81.58 here and 81.03 there.
    No query is dropped.
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


def evaluate(
    query_features: Array,
    gallery_features: Array,
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    *,
    protocol: Protocol = "single_shot",
    draws: int | None = None,
    seed: int = 0,
    max_rank: int = 20,
    same_camera: SameCamera = "remove",
) -> Scores:
    """CMC, mAP and mINP of features under the cosine distance.

    Distances are computed in double precision, some queries at a time, so that the memory is that
    of the features and half a GiB. *Ties*: two distances are equal if they differ by at most
    ``TIE`` = 1e-9, a thousand times the rounding of the product and far below that of single
    precision features. So equal rows tie, of whatever length, and a network that gives everybody
    one feature, up to its rounding, scores the worst that there is.

    Args:
        query_features: (Q, D), of any precision and length; only their directions matter.
        gallery_features: (G, D).
        query_pids: of the queries, (Q,); this and all that follow as for :func:`from_distance`.
        gallery_pids: (G,).
        query_camids: (Q,).
        gallery_camids: (G,).
        protocol: of the CMC.
        draws: of single-shot galleries.
        seed: of the draws.
        max_rank: length of the CMC.
        same_camera: "remove" or "keep".

    Raises:
        DireidError: a feature that is not finite or all zeros, and as :func:`from_distance`.
    """
    query, gallery = to_numpy(query_features), to_numpy(gallery_features)
    query_length, gallery_length = lengths(query, "query"), lengths(gallery, "gallery")
    check_widths(query, gallery)
    matches = match(query_pids, gallery_pids, query_camids, gallery_camids, same_camera)
    _check_shape((len(query), len(gallery)), matches, "pair of features")
    cmc = _cmc(protocol, draws, seed, max_rank, matches)
    return _scores(_cosine_distances(query, gallery, query_length, gallery_length), matches, cmc,
                   max_rank, TIE)  # fmt: skip


def from_distance(
    distance: Array,
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    *,
    protocol: Protocol = "single_shot",
    draws: int | None = None,
    seed: int = 0,
    max_rank: int = 20,
    same_camera: SameCamera = "remove",
    tie: float = 0.0,
) -> Scores:
    """CMC, mAP and mINP of a distance matrix, such as a re-ranked one.

    Ties count against us: a wrong image as near as the right one is placed before it. So a network
    whose features are all equal scores the worst that there is, not the best.

    *AP.* The mean over the query's positives, nearest first, of i / (rank of the i-th positive) in
    the whole remaining gallery. *INP* is (number of positives) / (rank of the farthest positive).

    Args:
        distance: (Q, G), smaller = more alike.
        query_pids: person of each query, (Q,).
        gallery_pids: person of each gallery image, (G,). Distractors may share one: with all shots
            it makes no difference; under single shot, that person then appears in one image.
        query_camids: camera of each query, (Q,).
        gallery_camids: camera of each gallery image, (G,).
        protocol: of the CMC: "single_shot" as in the paper, "all_shots" as for Market-1501 and
            MSMT17.
        draws: of single-shot galleries, the same for all queries; None for the average over all
            that there are.
        seed: of the draws.
        max_rank: length K of the CMC, 10 or more. It stays at 1 beyond the end of the gallery.
        same_camera: "remove" takes the gallery images of the query's person in the query's camera
            out, as every protocol does; "keep" leaves them in, for images without camera numbers.
            Then take the query images themselves out of the gallery: they would find themselves.
        tie: distances that differ by no more are equal.

    Raises:
        DireidError: a distance that is not finite, a query with nothing to find, wrong shapes or
            options.
    """
    distance = to_numpy(distance)
    matches = match(query_pids, gallery_pids, query_camids, gallery_camids, same_camera)
    _check_shape(distance.shape, matches, "distance matrix")
    if not tie >= 0:
        raise DireidError(f"tie is {tie}: expected 0 or more")
    cmc = _cmc(protocol, draws, seed, max_rank, matches)
    return _scores(iter([distance]), matches, cmc, max_rank, tie)


def _cosine_distances(
    query: np.ndarray, gallery: np.ndarray, query_length: np.ndarray, gallery_length: np.ndarray
) -> Iterator[np.ndarray]:
    """The rows of the distance matrix, some at a time, in memory that the next ones overwrite."""
    rows = min(len(query), max(1, CELLS // len(gallery)))
    memory = np.empty((rows, len(gallery)))
    other = np.empty((min(ROWS, len(gallery)), gallery.shape[1]))
    for start in range(0, len(query), rows):
        part = slice(start, start + rows)
        unit = query[part] / query_length[part, None]
        block = memory[: len(unit)]
        for begin in range(0, len(gallery), ROWS):
            columns = slice(begin, begin + ROWS)
            length = gallery_length[columns, None]
            scaled = np.divide(gallery[columns], length, out=other[: len(length)])
            np.matmul(unit, scaled.T, out=block[:, columns])
        yield np.subtract(1.0, block, out=block)


def _scores(
    blocks: Iterator[np.ndarray], matches: Matches, cmc: CMC, max_rank: int, tie: float
) -> Scores:
    """Scores of consecutive rows of the distance matrix, in threads that share each block."""
    found, done = [], 0
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        for block in blocks:
            starts = range(done, done + len(block), BATCH)
            parts = [block[start - done : start - done + BATCH] for start in starts]
            task = partial(_score_batch, matches=matches, cmc=cmc, tie=tie)
            found += threads.map(task, parts, starts)
            done += len(block)
    return Scores(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _score_batch(
    rows: np.ndarray, start: int, matches: Matches, cmc: CMC, tie: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CMC (B, K), AP (B,) and INP (B,) of queries ``start`` ... ``start + B - 1``."""
    rows = rows.astype(np.result_type(rows, np.float32), copy=False)  # no float16, no integers
    queries = range(start, start + len(rows))
    limits, wrong, ap, inp = [], [], np.empty(len(rows)), np.empty(len(rows))
    for place, (row, query) in enumerate(zip(rows, queries, strict=True)):
        if not np.isfinite(row).all():
            column = first(~np.isfinite(row))
            raise DireidError(
                f"distance matrix: row {query} (query), column {column} (gallery) is "
                f"{row[column]}: expected finite numbers"
            )
        positives, own = matches.columns(query)
        limit = np.sort(row[positives]) + tie
        before = _at_most(row, limit) - np.searchsorted(np.sort(row[own]), limit, side="right")
        nth = np.arange(1, len(limit) + 1)
        precision = nth / (nth + before)
        ap[place], inp[place] = precision.mean(), precision[-1]
        limits.append(limit)
        wrong.append(before)
    return cmc(rows, limits, wrong, queries), ap, inp


def _at_most(row: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """How many numbers of ``row`` (G,) are at most each of the ascending ``limits`` (P,)."""
    if len(limits) >= SORTED_FROM:
        return np.searchsorted(np.sort(row), limits, side="right")
    return np.array([np.count_nonzero(row <= limit) for limit in limits])


def _cmc(protocol: Protocol, draws: int | None, seed: int, max_rank: int, matches: Matches) -> CMC:
    """The function that makes CMC curves (B, K) of the queries of one batch."""
    if max_rank < 10:
        raise DireidError(f"max_rank is {max_rank}: expected 10 or more (Rank-10 is reported)")
    if protocol == "all_shots":
        if draws is not None:
            raise DireidError(f"draws is {draws}: only the single_shot protocol draws galleries")
        return lambda rows, limits, wrong, queries: (
            np.array([before[0] for before in wrong])[:, None] < np.arange(1, max_rank + 1)
        ).astype(float)
    if protocol != "single_shot":
        raise DireidError(f"protocol is {protocol!r}: expected 'single_shot' or 'all_shots'")
    if draws is None:
        return lambda rows, limits, wrong, queries: exact_cmc(
            rows, limits, queries, matches, max_rank
        )
    if draws < 1:
        raise DireidError(f"draws is {draws}: expected 1 or more galleries, or None for all")
    galleries = draw_galleries(matches, draws, seed)
    return lambda rows, limits, wrong, queries: drawn_cmc(
        rows, limits, queries, matches, max_rank, galleries
    )


def _check_shape(shape: tuple[int, ...], matches: Matches, what: str) -> None:
    expected = len(matches.query_person), len(matches.gallery_person)
    if shape != expected:
        raise DireidError(
            f"{what} has shape {shape}: expected (queries, gallery) = {expected} as the person ids"
        )
