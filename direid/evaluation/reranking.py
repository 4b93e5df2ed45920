"""Re-ranking by shared neighbours (Zhong et al., CVPR 2017), in sparse matrices.

Two images are alike if the same images are near to both. Each image p of queries and gallery
together, N of them, gets a short list of neighbours that trust each other, and lists are compared:

- R(p, k): those of the k nearest of p that have p among their own k nearest (equation 2);
- R*(p, k1): R(p, k1), and R(q, k1 / 2) of each q in it of which R(p, k1) holds more than two thirds
  (equation 3);
- V_p: exp(-distance) on R*(p, k1), 0 elsewhere (equation 7), averaged over the k2 nearest of p
  (equation 11);
- the Jaccard distance 1 - sum min(V_p, V_g) / sum max(V_p, V_g) (equation 10), mixed with the
  first distance: (1 - weight) Jaccard + weight distance (equation 12).

Each V_p has some hundred entries of N, so what is left to pay for is the product that finds the
nearest. The usual code holds about five dense N x N matrices: 35 GB each for MSMT17.

Where the paper and the authors' published code differ, this is the code, from which the published
numbers come: the distance is the *squared* Euclidean one between features of length 1, 2 - 2 cos,
divided by the largest in the row of p; p is its own first neighbour, so the lists hold k1 + 1 and
round(k1 / 2) + 1 images, but k2 counts p; the share must exceed two thirds (paper: reach); and each
V_p is divided by its sum. Other code differs in what moves a score: some squares a distance that
was squared already, and (k1, k2, weight) are 20, 6, 0.3 here, 50, 15, 0.3 and 50, 10, 0.2
elsewhere. So print the three beside every re-ranked score.

Re-ranking looks at all queries and the whole gallery at once, and at no label. It is a different
task from ranking one query: never compare a score that has it with one that has not.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from scipy import sparse

from direid.errors import DireidError
from direid.evaluation.arrays import ROWS, Array, check_widths, lengths, to_numpy

CELLS = 64_000_000  # products held at once
BATCH = 256  # images of one task of a thread


def rerank(
    query_features: Array,
    gallery_features: Array,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
) -> np.ndarray:
    """Re-ranked distances, to be scored by ``ranks.from_distance``.

    Equally near images are taken in any order. So re-ranking cannot tell a network that gives
    everybody one feature: look at its score without re-ranking.

    Args:
        query_features: (Q, D), of any precision and length; only their directions matter.
        gallery_features: (G, D).
        k1: neighbours that count, besides the image itself.
        k2: images whose lists are averaged, the image itself included; 1 for none.
        weight: of the first distance, the paper's lambda; 1 leaves its order as it is.

    Returns:
        (Q, G), float32, in [0, 1].

    Raises:
        DireidError: a feature that is not finite or all zeros, wrong shapes or options.
    """
    for name, value in (("k1", k1), ("k2", k2)):
        if value < 1:
            raise DireidError(f"{name} is {value}: expected 1 or more neighbours")
    if not 0 <= weight <= 1:
        raise DireidError(f"weight is {weight}: expected a number from 0 to 1")
    query, gallery = to_numpy(query_features), to_numpy(gallery_features)
    unit = _unit(query, gallery)
    queries, images = len(query), len(unit)
    nearest, farthest, distance = _neighbours(unit, queries, min(max(k1 + 1, k2), images))

    near = _reciprocal(nearest[:, : k1 + 1])
    nearer = _reciprocal(nearest[:, : round(k1 / 2) + 1])
    shared = near.multiply(near @ nearer.T).tocsr()  # |R(p, k1) and R(q, k1 / 2)| for q in R(p, k1)
    sizes = np.diff(nearer.indptr)
    shared.data = (3 * shared.data > 2 * sizes[shared.indices]).astype(np.int32)
    shared.eliminate_zeros()
    lists = (near + shared @ nearer).tocsr()
    lists.sort_indices()

    lists = _weighted(lists, unit, farthest)
    del unit
    lists = (_indicator(nearest[:, :k2], np.float32) @ lists).tocsr()
    lists.data /= min(k2, images)
    _mix(distance, lists, weight)
    return distance


def _unit(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """All features, one below the other, at length 1: float32, (N, D)."""
    scales = lengths(query, "query"), lengths(gallery, "gallery")
    check_widths(query, gallery)
    unit = np.empty((len(query) + len(gallery), query.shape[1]), np.float32)
    start = 0
    for features, scale in zip((query, gallery), scales, strict=True):
        for begin in range(0, len(features), ROWS):
            rows = features[begin : begin + ROWS] / scale[begin : begin + ROWS, None]
            unit[start : start + len(rows)] = rows
            start += len(rows)
    return unit


def _neighbours(
    unit: np.ndarray, queries: int, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Squared distances between all features (N, D), of which only what is needed is kept.

    Returns:
        The nearest of every image, itself first, (N, count); the distance to its farthest, (N,);
        distances of queries to gallery divided by that, (Q, G).
    """
    images = len(unit)
    nearest = np.empty((images, count), np.int32)
    farthest = np.empty(images, np.float32)
    distance = np.empty((queries, images - queries), np.float32)
    rows = min(images, max(1, CELLS // images))
    memory = np.empty((rows, images), np.float32)
    for start in range(0, images, rows):
        part = unit[start : start + rows]
        cosine = np.matmul(part, unit.T, out=memory[: len(part)])
        largest = np.maximum(2 - 2 * cosine.min(axis=1), np.finfo(np.float32).tiny)
        farthest[start : start + rows] = largest
        if start < queries:
            target = distance[start : start + rows]
            np.subtract(1, cosine[: len(target), queries:], out=target)
            target *= 2 / largest[: len(target), None]
            np.clip(target, 0, 1, out=target)
        cosine[np.arange(len(part)), np.arange(start, start + len(part))] = 2  # itself first
        nearest[start : start + rows] = torch.from_numpy(cosine).topk(count).indices
    return nearest, farthest, distance


def _indicator(columns: np.ndarray, dtype: type) -> sparse.csr_matrix:
    """The matrix (N, N) with a 1 at each of the columns (N, k) that a row names."""
    images, count = columns.shape
    ones, ends = np.ones(columns.size, dtype), np.arange(images + 1) * count
    return sparse.csr_matrix((ones, columns.ravel(), ends), shape=(images, images))


def _reciprocal(nearest: np.ndarray) -> sparse.csr_matrix:
    """R: 1 where two images are among the nearest (N, k) of each other, (N, N)."""
    chosen = _indicator(nearest, np.int32)
    return chosen.multiply(chosen.T).tocsr()


def _weighted(
    lists: sparse.csr_matrix, unit: np.ndarray, farthest: np.ndarray
) -> sparse.csr_matrix:
    """V before its averaging: exp(-distance) at every entry, each row divided by its sum."""
    ends, data = lists.indptr, np.empty(lists.nnz, np.float32)

    def fill(start: int) -> None:
        for image in range(start, min(start + BATCH, len(unit))):
            part = slice(ends[image], ends[image + 1])
            distance = 2 - 2 * (unit[lists.indices[part]] @ unit[image])
            value = np.exp(-np.clip(distance / farthest[image], 0, 1))
            data[part] = value / value.sum()

    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        list(threads.map(fill, range(0, len(unit), BATCH)))
    return sparse.csr_matrix((data, lists.indices, ends), shape=lists.shape)


def _mix(distance: np.ndarray, lists: sparse.csr_matrix, weight: float) -> None:
    """Make ``distance`` (Q, G) the weighted sum of itself and the Jaccard distance, in place.

    Rows of V sum to 1, so the sum of the larger entries is 2 less that of the smaller ones.
    """
    queries, gallery = distance.shape
    of_gallery = lists[queries:].tocsc()  # in which gallery lists does an image occur?
    rows, data, ends = of_gallery.indices, of_gallery.data, of_gallery.indptr

    def mix(start: int) -> None:
        for query in range(start, min(start + BATCH, queries)):
            entry = slice(lists.indptr[query], lists.indptr[query + 1])
            common = np.zeros(gallery, np.float32)
            for image, value in zip(lists.indices[entry], lists.data[entry], strict=True):
                part = slice(ends[image], ends[image + 1])
                common[rows[part]] += np.minimum(data[part], value)
            np.minimum(common, 1, out=common)  # rounding
            distance[query] *= weight
            distance[query] += (1 - weight) * (1 - common / (2 - common))

    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        list(threads.map(mix, range(0, queries, BATCH)))
