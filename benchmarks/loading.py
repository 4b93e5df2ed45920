"""How fast batches are loaded and images degraded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

import torch
from torch.utils.data import Dataset

from benchmarks.measure import SEED, Task
from direid.config import load_preset
from direid.data.loaders import IdentityBatches, RealPairs, stream
from direid.data.paper_dolls import paper_dolls
from direid.degradations import SelfDegradation

WORKERS = (0, 2)
SECONDS = 1.0  # of each measurement, at least
BATCHES = 10  # of each measurement, at least


def measure_loading(task: Task) -> dict:
    """Batches and images a second of both loaders, and F_deg's images a second.

    The batches are as large as the preset's own. The images are drawn and in memory at their final
    size: what is measured is choosing, flipping, cropping, stacking and converting them, and with
    workers the way between processes, but no decoding and no disk.
    """
    config = load_preset(task.preset, {"network": {"pretrained": False}})
    height, width = config.size
    people = max(8, config.identity.people)
    records = paper_dolls(
        SEED, train_people=people, test_people=2, images_per_camera=2, height=height, width=width
    ).train
    common = {"height": height, "width": width, "seed": SEED, "steps": 10**6}
    identity, pairs = config.identity, config.ddgan.batch
    loaders = {
        "real_pairs": (RealPairs(records, pairs, **common), 2 * pairs),
        "identity_batches": (
            IdentityBatches(records, identity.people, identity.images, augment=True, **common),
            identity.batch,
        ),
    }
    found: dict = {"training_images": len(records)}
    for name, (loader, images) in loaders.items():
        found[name] = {"images_per_batch": images}
        for workers in WORKERS:
            rate = _batches_a_second(loader, workers)
            found[name][f"workers_{workers}"] = {
                "batches_per_second": rate,
                "images_per_second": images * rate,
            }
    x_i = loaders["real_pairs"][0][0]["image_i"]
    degrade = SelfDegradation(config.self_degradation)
    random = torch.Generator().manual_seed(SEED)
    rate = _rate(degrade(x_i, random) for _ in count())
    found["f_deg"] = {
        "kind": config.self_degradation,
        "images_per_batch": len(x_i),
        "images_per_second": len(x_i) * rate,
    }
    return found


def _batches_a_second(loader: Dataset, workers: int) -> float:
    """Of a loader whose images are all in its cache, its workers running."""
    loader.images.stack(range(len(loader.images)))  # workers inherit the cache
    batches = stream(loader, 0, workers)
    try:
        return _rate(batches)
    finally:
        batches.close()


def _rate(items: Iterator[object]) -> float:
    """Items a second, after the first few, which a queue may hold ready."""
    for _ in range(5):
        next(items)
    began, count = time.perf_counter(), 0
    while count < BATCHES or time.perf_counter() - began < SECONDS:
        next(items)
        count += 1
    return count / (time.perf_counter() - began)
