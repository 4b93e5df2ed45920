"""Train the networks that the chapters start from, and store them small.

    python scripts/train_book.py            # about ten minutes on two CPU cores; resumes if stopped

The training lies in runs/book. What goes into book/checkpoints is the weights alone, matrices in
half precision, without what only a resumed training needs.
"""

from __future__ import annotations

from pathlib import Path

import torch

from direid.book import benchmark, settings
from direid.evaluation.report import save_json
from direid.training import checkpoint
from direid.training.compute import Compute
from direid.training.stages import METHOD, train

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("tricks", *METHOD)


def slim(state: dict) -> dict:
    """A checkpoint's state with what testing needs: matrices as float16, vectors as they are."""
    weights = {
        name: value.half() if value.is_floating_point() and value.ndim > 1 else value
        for name, value in state["networks"].items()
    }
    empty = {"optimisers": {}, "random": {}, "scaler": {}, "schedule": {}}
    return state | empty | {"networks": weights}


def main() -> None:
    """Train what is not trained yet, then store it small."""
    config, people = settings(), benchmark()
    train(config, people, Compute.of(config), ROOT / "runs" / "book", STAGES)
    out = ROOT / "book" / "checkpoints"
    for stage in STAGES:
        state = checkpoint.load(ROOT / "runs" / "book" / "checkpoints" / f"{stage}.pt")
        checkpoint.save(slim(state), out / f"{stage}.pt")
    save_json(config.model_dump(mode="json"), out / "config.json")
    size = sum(file.stat().st_size for file in out.iterdir())
    print(f"{out}: {size / 1e6:.1f} MB, torch {torch.__version__}")


if __name__ == "__main__":
    main()
