"""What a trained run is for: finding people in folders of crops, swapping degradations, export."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import normalize

from direid import figures, pictures
from direid.config import Config, read_config, with_changes
from direid.data.files import image_files
from direid.data.loaders import Images
from direid.data.records import Record
from direid.errors import DireidError
from direid.evaluation.features import extract
from direid.training.compute import Compute
from direid.training.stages import Networks, load_networks

SHOWN = 8  # queries in the picture of a search


@dataclass
class Trained:
    """The networks of a run, in evaluation mode, and what they want to be fed."""

    networks: Networks
    config: Config
    compute: Compute

    def images(self, records: Sequence[Record]) -> Tensor:
        """(N, 3, H, W) in [0, 1]."""
        return Images(records, *self.config.size).all()


def load(run: Path, stages: Sequence[str], device: str = "auto") -> Trained:
    """The networks of the finished ``stages`` of a run.

    Raises:
        DireidError: ``run`` holds no run, or one of the stages is missing, damaged or unfinished.
    """
    config = with_changes(read_config(run / "config.json"), {"device": device})
    compute = Compute(config.device, config.precision)
    networks = load_networks(run, compute, config, stages=stages)
    for stage in stages:
        network = getattr(networks, stage)
        if network is None:
            raise DireidError(f"{run}: stage {stage} is not trained there; train it first")
        network.eval().requires_grad_(False)
    return Trained(networks, config, compute)


@dataclass
class Found:
    """A search: for each of Q queries the K nearest gallery images, nearest first."""

    query: tuple[Record, ...]
    gallery: tuple[Record, ...]
    nearest: np.ndarray  # (Q, K), places in the gallery
    similarity: np.ndarray  # (Q, K), cosines
    degradation: np.ndarray | None  # (Q,), D_d's scores, higher is worse; None without stage 1

    def save(self, path: Path) -> None:
        """One line a match: query, its degradation score, rank, match, similarity."""
        with path.open("x", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(["query", "degradation", "rank", "match", "similarity"])
            for q, record in enumerate(self.query):
                bad = "" if self.degradation is None else f"{self.degradation[q]:.3f}"
                for k, place in enumerate(self.nearest[q]):
                    match, similar = self.gallery[place].name, f"{self.similarity[q, k]:.4f}"
                    lines.writerow([record.name, bad, k + 1, match, similar])


def search(trained: Trained, query: Path, gallery: Path, top: int = 10) -> Found:
    """Search the images of one folder in those of another; nobody's number is needed.

    Args:
        trained: with "dfen"; with "ddgan" too, the queries' degradation is told.
        query, gallery: folders of crops, one person each.
        top: how many matches of each query.

    Raises:
        DireidError: a folder that is missing or has no image, an image that does not decode.
    """
    parts = _crops(query), _crops(gallery)
    dfen, common = trained.networks.dfen, (trained.config.size, trained.compute)
    q, g = (normalize(torch.from_numpy(extract(dfen, dfen.embed, part, *common))) for part in parts)
    found = [(x @ g.T).topk(min(top, len(g))) for x in q.split(256)]
    badness, ddgan = None, trained.networks.ddgan
    if ddgan is not None:
        badness = extract(ddgan, ddgan.discriminators.degradation.score, parts[0], *common)
    return Found(
        *parts, torch.cat([f.indices for f in found]).numpy(),
        torch.cat([f.values for f in found]).numpy(), badness,
    )  # fmt: skip


def search_picture(trained: Trained, found: Found) -> Figure:
    """The first queries, evenly chosen, each before its matches."""
    chosen = np.unique(np.linspace(0, len(found.query) - 1, SHOWN).round().astype(int))
    images, titles = [], []
    for q in chosen:
        matches = found.nearest[q]
        images.append(trained.images([found.query[q], *(found.gallery[i] for i in matches)]))
        titles += ["query", *(f"{value:.2f}" for value in found.similarity[q])]
    return figures.contact_sheet(torch.cat(images), titles, 1 + found.nearest.shape[1])


def swap(trained: Trained, contents: Sequence[Path], donors: Sequence[Path]) -> Figure:
    """Every content with every degradation (figures 5 and 6), by a trained "ddgan".

    Args:
        trained: with "ddgan".
        contents: image files, who is to be seen.
        donors: image files, how she is to be taken.
    """
    shown = [
        trained.images([Record(path.name, path, 0, 0) for path in part])
        for part in (contents, donors)
    ]
    on_device = [trained.compute.to_device(part) for part in shown]
    return figures.swap_grid(*shown, pictures.swaps(trained.networks.ddgan, *on_device).cpu())


class Embedding(nn.Module):
    """Images (B, 3, H, W) in [0, 1] to unit vectors (B, F): their products are similarities."""

    def __init__(self, dfen: nn.Module) -> None:
        super().__init__()
        self.dfen = dfen

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        return normalize(self.dfen.embed(images))


def export(trained: Trained, path: Path) -> tuple[int, ...]:
    """Write the embedding as one file that `torch.export.load` reads, without this package.

    Args:
        trained: with "dfen".
        path: new; "model.pt2" is customary.

    Returns:
        The shape of an input but for its first, free dimension.

    Raises:
        DireidError: ``path`` is there, or what was written computes something else.
    """
    if path.exists():
        raise DireidError(f"{path}: exists; choose a new file")
    network = Embedding(trained.networks.dfen).cpu().eval()
    images = torch.rand(3, 3, *trained.config.size, generator=torch.Generator().manual_seed(0))
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(network, (images[:2],), dynamic_shapes={"images": {0: batch}})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # PyTorch's, of weights that share memory
        torch.export.save(program, path)
        again = torch.export.load(path).module()(images)
    if not torch.allclose(again, network(images), rtol=1e-4, atol=1e-5):
        path.unlink()
        raise DireidError(f"{path}: the exported network computes something else; not written")
    return tuple(images.shape[1:])


def _crops(folder: Path) -> tuple[Record, ...]:
    files = image_files(folder, "a folder of image files, one person each")
    if not files:
        raise DireidError(f"{folder}: no image file there")
    return tuple(Record(file.name, file, 0, 0) for file in files)
