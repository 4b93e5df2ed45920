"""Random test sets of the size of the largest benchmarks, and the plain way to score them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Size:
    """Images and people of a test set."""

    queries: int
    gallery: int  # distractors included
    people: int
    cameras: int
    distractors: int = 0  # gallery images of people who are in no query, one each


SIZES = {
    "market1501": Size(3_368, 15_913, 750, 6, 2_798),
    "msmt17": Size(11_659, 82_161, 3_060, 15),
    "mlr_cuhk03": Size(485, 485, 100, 2),
    "toy": Size(60, 300, 20, 4, 30),
}


def random_case(size: Size, width: int, seed: int) -> tuple[np.ndarray, ...]:
    """Features (Q, D) and (G, D), float32, then pids and camids in the order of ranks.evaluate.

    A latent vector of 48 numbers is the sum of a person's, a camera's and a pose's. People have
    uneven numbers of images, two or more, the first two in different cameras, so that every query
    has something to find.
    """
    rng = np.random.default_rng(seed)
    known = size.gallery - size.distractors
    more = rng.choice(
        size.people, known - 2 * size.people, p=rng.dirichlet(np.full(size.people, 2.0))
    )
    gallery_pids = np.concatenate([np.repeat(np.arange(size.people), 2), more,
                                   size.people + np.arange(size.distractors)])  # fmt: skip
    gallery_camids = rng.integers(size.cameras, size=size.gallery)
    pairs = slice(1, 2 * size.people, 2)
    gallery_camids[pairs] = (gallery_camids[0 : 2 * size.people : 2] + 1) % size.cameras
    shuffle = rng.permutation(size.gallery)
    gallery_pids, gallery_camids = gallery_pids[shuffle], gallery_camids[shuffle]
    query_pids = rng.integers(size.people, size=size.queries)
    query_camids = rng.integers(size.cameras, size=size.queries)

    latent, normal = 48, rng.standard_normal
    people = normal((size.people + size.distractors, latent), np.float32)
    cameras = 0.5 * normal((size.cameras, latent), np.float32)
    mixing = normal((latent, width), np.float32)

    def features(pids: np.ndarray, camids: np.ndarray) -> np.ndarray:
        found = np.empty((len(pids), width), np.float32)
        for start in range(0, len(pids), 2048):
            part = slice(start, start + 2048)
            mean = people[pids[part]] + cameras[camids[part]]
            np.matmul(mean + 0.8 * normal(mean.shape, np.float32), mixing, out=found[part])
            found[part] += normal(found[part].shape, np.float32)
        return found

    query = features(query_pids, query_camids)
    gallery = features(gallery_pids, gallery_camids)
    return query, gallery, query_pids, gallery_pids, query_camids, gallery_camids


def sorted_scores(
    distance: np.ndarray,
    query_pids: np.ndarray,
    gallery_pids: np.ndarray,
    query_camids: np.ndarray,
    gallery_camids: np.ndarray,
) -> np.ndarray:
    """AP, INP and Rank-1 of every query (3, Q), from the sorted gallery."""
    found = np.empty((3, len(distance)))
    for query, row in enumerate(distance):
        right = gallery_pids == query_pids[query]
        kept = ~(right & (gallery_camids == query_camids[query]))
        row, right = row[kept], right[kept]
        wrong_first = np.argsort(right, kind="stable")
        order = wrong_first[np.argsort(row[wrong_first], kind="stable")]
        places = np.flatnonzero(right[order]) + 1
        precision = np.arange(1, len(places) + 1) / places
        found[:, query] = precision.mean(), precision[-1], places[0] == 1
    return found
