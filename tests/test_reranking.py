"""Re-ranking against the method's definition, written out in dense loops over sets."""

import numpy as np
import pytest
import torch

from direid.errors import DireidError
from direid.evaluation import reranking
from direid.evaluation.ranks import from_distance
from direid.evaluation.reranking import rerank


def people(seed, images=90, width=16, noise=0.9):
    """Features of people who look alike a little, and who they are."""
    rng = np.random.default_rng(seed)
    pids = rng.integers(0, max(2, images // 8), images)
    features = rng.normal(size=(images, width))[pids] + noise * rng.normal(size=(images, width))
    return features, pids


def slow_rerank(query, gallery, k1, k2, weight):
    """Zhong et al., equations 2, 3, 7, 11, 10 and 12, in that order, one image at a time."""
    images = np.concatenate([query, gallery]).astype(float)
    images = images / np.sqrt((images**2).sum(axis=1, keepdims=True))
    n = len(images)
    distance = np.array([[((a - b) ** 2).sum() for b in images] for a in images])
    distance /= distance.max(axis=1, keepdims=True)
    order = np.argsort(distance, axis=1)
    assert (order[:, 0] == np.arange(n)).all()

    def nearest(p, k):
        return set(order[p, : k + 1].tolist())

    def reciprocal(p, k):
        return {g for g in nearest(p, k) if p in nearest(g, k)}

    vectors = np.zeros((n, n))
    for p in range(n):
        close = reciprocal(p, k1)
        expanded = set(close)
        for q in close:
            candidates = reciprocal(q, round(k1 / 2))
            if len(close & candidates) > 2 / 3 * len(candidates):
                expanded |= candidates
        for g in expanded:
            vectors[p, g] = np.exp(-distance[p, g])
        vectors[p] /= vectors[p].sum()
    vectors = np.array([vectors[order[p, :k2]].mean(axis=0) for p in range(n)])

    found = np.zeros((len(query), len(gallery)))
    for p in range(len(query)):
        for g in range(len(gallery)):
            a, b = vectors[p], vectors[len(query) + g]
            jaccard = 1 - np.minimum(a, b).sum() / np.maximum(a, b).sum()
            found[p, g] = (1 - weight) * jaccard + weight * distance[p, len(query) + g]
    return found


@pytest.mark.parametrize("seed", range(20))
def test_sparse_and_dense_are_the_same(seed):
    k1, k2, weight = ((20, 6, 0.3), (5, 1, 0.5), (7, 3, 0.0), (12, 15, 0.2), (1, 2, 0.3))[seed % 5]
    features, _ = people(seed, images=(60, 75, 90)[seed % 3])
    query, gallery = np.split(features, [20])
    found = rerank(query, gallery, k1, k2, weight)
    assert found.shape == (20, len(gallery)) and found.dtype == np.float32
    np.testing.assert_allclose(found, slow_rerank(query, gallery, k1, k2, weight), atol=1e-5)
    assert found.min() >= 0 and found.max() <= 1


def test_two_thirds_is_a_bound_to_be_exceeded():
    """The share is a fraction of small numbers, and often exactly two thirds: 20 of these cases."""
    for seed in range(20):
        query, gallery = np.split(people(seed, images=24, width=2)[0], [6])
        np.testing.assert_allclose(
            rerank(query, gallery, 4, 2), slow_rerank(query, gallery, 4, 2, 0.3), atol=1e-5
        )


def test_sets_smaller_than_the_neighbourhood():
    query, gallery = np.split(people(0, images=7)[0], [2])
    found = rerank(query, gallery)
    np.testing.assert_allclose(found, slow_rerank(query, gallery, 20, 6, 0.3), atol=1e-5)
    assert rerank([[1.0, 2.0]], [[2.0, 1.0]]).shape == (1, 1)


def test_precision_and_length_change_nothing():
    query, gallery = np.split(people(1)[0].astype(np.float32), [20])
    expected = rerank(query, gallery)
    scaled = gallery * np.linspace(0.1, 9, len(gallery), dtype=np.float32)[:, None]
    np.testing.assert_allclose(rerank(query, scaled), expected, atol=1e-5)
    np.testing.assert_array_equal(rerank(torch.tensor(query), torch.tensor(gallery)), expected)
    half = torch.tensor(query).bfloat16(), torch.tensor(gallery).bfloat16()
    np.testing.assert_array_equal(rerank(*half), rerank(*(each.float() for each in half)))


def test_chunks_change_nothing(monkeypatch):
    query, gallery = np.split(people(2)[0], [20])
    expected = rerank(query, gallery)
    monkeypatch.setattr(reranking, "CELLS", 700)
    monkeypatch.setattr(reranking, "BATCH", 3)
    monkeypatch.setattr(reranking, "ROWS", 11)
    np.testing.assert_allclose(rerank(query, gallery), expected, atol=1e-5)


def test_the_whole_weight_leaves_the_order_as_it_is():
    query, gallery = np.split(people(3)[0], [20])
    cosine = query @ gallery.T / np.linalg.norm(gallery, axis=1)
    np.testing.assert_array_equal(
        np.argsort(rerank(query, gallery, weight=1.0), axis=1), np.argsort(-cosine, axis=1)
    )


def test_it_helps_where_people_are_clusters():
    """What it is for; the scores take the matrix as it is."""
    features, pids = people(4, images=400, noise=1.2)
    ids = pids[:80], pids[80:], np.zeros(80), np.ones(320)
    query, gallery = np.split(features / np.linalg.norm(features, axis=1, keepdims=True), [80])
    before = from_distance(1 - query @ gallery.T, *ids, protocol="all_shots")
    after = from_distance(rerank(query, gallery), *ids, protocol="all_shots")
    assert after.map > before.map + 0.02


def test_what_cannot_be_ranked_is_refused():
    good = np.ones((3, 2))
    for options, words in (
        ({"k1": 0}, "k1 is 0"), ({"k2": 0}, "k2 is 0"),
        ({"weight": 1.5}, "weight is 1.5"), ({"weight": np.nan}, "weight is nan"),
    ):  # fmt: skip
        with pytest.raises(DireidError, match=words):
            rerank(good, good, **options)
    with pytest.raises(DireidError, match=r"gallery features: row 1 .*not finite"):
        rerank(good, [[1, 2], [np.inf, 1]])
    with pytest.raises(DireidError, match="query features: row 2 is all zeros"):
        rerank([[1, 2], [3, 4], [0, 0]], good)
    with pytest.raises(DireidError, match=r"2 wide .* 3"):
        rerank(good, np.ones((3, 3)))


def test_an_image_is_its_own_first_neighbour_even_among_copies():
    """So that its list holds it; which of 49 equal ones come next is anybody's guess."""
    unit = np.full((50, 4), 0.5, np.float32)
    nearest, farthest, distance = reranking._neighbours(unit, 10, 5)
    np.testing.assert_array_equal(nearest[:, 0], np.arange(50))
    assert all(len(set(row)) == 5 for row in nearest.tolist())
    assert (farthest > 0).all() and (distance == 0).all()


def test_equal_features_are_ranked_without_a_fault():
    """No largest distance to divide by. The order says nothing, and the numbers are numbers."""
    found = rerank(np.ones((4, 3)), np.ones((50, 3)))
    assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1
