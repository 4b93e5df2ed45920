"""Which gallery images are right for a query, which are ignored, and what cannot be scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from direid.errors import DireidError
from direid.evaluation.arrays import Array, first, to_numpy

SameCamera = Literal["remove", "keep"]


@dataclass(frozen=True, eq=False)
class Matches:
    """People and cameras of Q queries and G gallery images. People are numbered 0 ... N - 1."""

    query_person: np.ndarray  # (Q,) number of each query's person
    query_camids: np.ndarray  # (Q,)
    gallery_person: np.ndarray  # (G,) number of each gallery image's person
    gallery_camids: np.ndarray  # (G,)
    order: np.ndarray  # (G,) gallery columns, the images of a person side by side
    starts: np.ndarray  # (N,) where in ``order`` each person begins
    images: np.ndarray  # (N,) gallery images of each person
    same_camera: SameCamera

    @property
    def people(self) -> int:
        """N, how many people the gallery holds."""
        return len(self.images)

    def columns(self, query: int) -> tuple[np.ndarray, np.ndarray]:
        """Gallery columns of the query's person: the positives (P,), and all of them."""
        person = self.query_person[query]
        start = self.starts[person]
        own = self.order[start : start + self.images[person]]
        if self.same_camera == "keep":
            return own, own
        return own[self.gallery_camids[own] != self.query_camids[query]], own


def match(
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    same_camera: SameCamera = "remove",
) -> Matches:
    """Look up, once, what every query is to find.

    Args:
        query_pids: person of each query, (Q,).
        gallery_pids: person of each gallery image, (G,).
        query_camids: camera of each query, (Q,).
        gallery_camids: camera of each gallery image, (G,).
        same_camera: "remove" takes the images of the query's own person in its own camera out of
            its gallery, "keep" leaves them in.

    Raises:
        DireidError: wrong shapes, or queries with nothing to find.
    """
    if same_camera not in ("remove", "keep"):
        raise DireidError(f"same_camera is {same_camera!r}: expected 'remove' or 'keep'")
    query_pids, query_camids = to_numpy(query_pids), to_numpy(query_camids)
    gallery_pids, gallery_camids = to_numpy(gallery_pids), to_numpy(gallery_camids)
    for part, pids, camids in (
        ("query", query_pids, query_camids), ("gallery", gallery_pids, gallery_camids),
    ):  # fmt: skip
        if pids.ndim != 1 or pids.shape != camids.shape or not len(pids):
            raise DireidError(
                f"{part}: got person ids of shape {pids.shape} and camera ids of shape "
                f"{camids.shape}: expected one of each per image"
            )

    pids, gallery_person, images = np.unique(gallery_pids, return_inverse=True, return_counts=True)
    query_person = np.minimum(np.searchsorted(pids, query_pids), len(pids) - 1)
    absent = pids[query_person] != query_pids
    if same_camera == "remove":
        _, cameras = np.unique(np.concatenate([gallery_camids, query_camids]), return_inverse=True)
        both = np.concatenate([gallery_person, query_person]) * (cameras.max() + 1) + cameras
        there, wanted = np.sort(both[: len(gallery_pids)]), both[len(gallery_pids) :]
        junk = np.searchsorted(there, wanted, "right") - np.searchsorted(there, wanted, "left")
        lost = absent | (junk == images[query_person])
    else:
        lost = absent
    if lost.any():
        row = first(lost)
        raise DireidError(
            f"{lost.sum()} of {len(lost)} queries have nothing to find in the gallery: "
            f"{absent.sum()} because their person is not there, {(lost & ~absent).sum()} because "
            "their person is there only in the query's own camera (first: row "
            f"{row}, pid {query_pids[row]}, camid {query_camids[row]}). Camera ids of the queries: "
            f"{_some(query_camids)}; of the gallery: {_some(gallery_camids)}. "
            + _likely_cause(absent, lost, query_camids, gallery_camids)
        )
    return Matches(
        query_person,
        query_camids,
        gallery_person,
        gallery_camids,
        order=np.argsort(gallery_person, kind="stable"),
        starts=np.cumsum(images) - images,
        images=images,
        same_camera=same_camera,
    )


def _likely_cause(
    absent: np.ndarray, lost: np.ndarray, query_camids: np.ndarray, gallery_camids: np.ndarray
) -> str:
    if (lost & ~absent).any():
        if len(np.unique(np.concatenate([query_camids, gallery_camids]))) == 1:
            return (
                "Is everything marked as one camera? Where images have no camera number, "
                'same_camera="keep" scores them all the same'
            )
        return (
            "Is everything of a person marked as one camera? Give each camera a number, or use "
            'same_camera="keep"'
        )
    return "Do the person ids of queries and gallery come from the same list?"


def _some(ids: np.ndarray, most: int = 6) -> str:
    """The distinct ids, shortened."""
    distinct = np.unique(ids).tolist()
    return ", ".join(map(str, distinct[:most])) + (", ..." if len(distinct) > most else "")
