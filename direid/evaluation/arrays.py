"""What every score begins with: arrays of any kind as numpy's, and features checked and scaled."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from direid.errors import DireidError

Array = np.ndarray | Tensor

ROWS = 4096  # features that are held in double precision at once


def to_numpy(values: Array, dtype: type | None = None) -> np.ndarray:
    """The same values in main memory, without a copy where none is needed."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.float() if values.dtype == torch.bfloat16 else values  # numpy has none
    return np.asarray(values, dtype=dtype)


def first(mask: np.ndarray) -> int:
    """Place of the first True."""
    return int(np.flatnonzero(mask)[0])


def lengths(features: np.ndarray, part: str) -> np.ndarray:
    """Length of every feature (N, D): float64, (N,), positive and finite.

    Args:
        features: real numbers, (N, D).
        part: what an error calls them, such as "query".

    Raises:
        DireidError: another shape, a number that is not finite, a row of zeros.
    """
    if features.ndim != 2 or 0 in features.shape:
        raise DireidError(f"{part} features have shape {features.shape}: expected (images, width)")
    if features.dtype.kind not in "fiub":
        raise DireidError(f"{part} features are {features.dtype}: expected real numbers")
    length = np.empty(len(features))
    for start in range(0, len(features), ROWS):
        rows = features[start : start + ROWS].astype(np.float64)
        largest = np.maximum(rows.max(axis=1), -rows.min(axis=1))  # NaN stays NaN
        with np.errstate(invalid="ignore", divide="ignore"):
            rows /= largest[:, None]  # so that no square overflows or vanishes
            length[start : start + ROWS] = largest * np.sqrt(np.einsum("ij,ij->i", rows, rows))
        length[start : start + ROWS][largest == 0] = 0.0
    bad = ~np.isfinite(length)
    if bad.any():
        raise DireidError(
            f"{part} features: row {first(bad)} holds a number that is not finite "
            f"({bad.sum()} of {len(bad)} rows): did training diverge?"
        )
    if not length.all():
        raise DireidError(
            f"{part} features: row {first(length == 0)} is all zeros "
            f"({(length == 0).sum()} of {len(length)} rows): it has no direction to compare"
        )
    return length


def check_widths(query: np.ndarray, gallery: np.ndarray) -> None:
    """Refuse features (Q, D) and (G, E) with D unlike E."""
    if query.shape[1] != gallery.shape[1]:
        raise DireidError(
            f"query features are {query.shape[1]} wide and gallery features {gallery.shape[1]}: "
            "expected the same width"
        )
