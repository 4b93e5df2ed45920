"""From records to batches. Every batch is a pure function of (seed, step).

A run that stops and resumes at step s asks for batch s and gets what it would have got: there is no
loader state to save. Images leave here as float32 (B, 3, H, W) RGB in [0, 1]; the networks
normalise them.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from direid.data.records import Record, read_image
from direid.errors import DireidError

UNLABELLED = -100  # what PyTorch's cross-entropy leaves out
CACHE_BYTES = 2**30  # sets that fit, resized, are decoded once and kept
_PEOPLE, _IMAGES, _AUGMENTATION, _ANCHORS, _OTHERS = range(5)  # independent random streams


class Images(Dataset):
    """Decoded, resized images of some records, in order."""

    def __init__(self, records: Sequence[Record], height: int, width: int) -> None:
        self.records = tuple(records)
        self.height, self.width = height, width
        self.pids = np.array([r.pid for r in self.records], dtype=np.int64)
        self.camids = np.array([r.camid for r in self.records], dtype=np.int64)
        known = np.array([r.labelled for r in self.records], dtype=bool)
        self.people = np.unique(self.pids[known])
        ranks = np.searchsorted(self.people, self.pids)  # label: rank of pid
        self.labels = np.where(known, ranks, UNLABELLED)
        keep = len(self.records) * height * width * 3 <= CACHE_BYTES
        self._cache: dict[int, np.ndarray] | None = {} if keep else None

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int, int]:
        """(image float32 (3, H, W), label in 0 .. people - 1 or UNLABELLED, camid, index)."""
        image = to_tensor(self.pixels(index))
        return image, int(self.labels[index]), int(self.camids[index]), index

    def pixels(self, index: int) -> np.ndarray:
        """Image `index` as uint8 (H, W, 3), stretched to (height, width); bilinear, antialiased."""
        if self._cache is not None and index in self._cache:
            return self._cache[index]
        image = read_image(self.records[index])
        if image.shape[:2] != (self.height, self.width):
            size = (self.width, self.height)
            image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
        if self._cache is not None:
            self._cache[index] = image
        return image

    def all(self) -> Tensor:
        """All images in order as float32 (N, 3, H, W)."""
        return next(self.batches(len(self)))

    def stack(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """The images `indices` as uint8 (B, H, W, 3)."""
        return np.stack([self.pixels(int(index)) for index in indices])

    def batches(self, size: int) -> Iterator[Tensor]:
        """All images in order as float32 (<= size, 3, H, W): what feature extraction reads."""
        for start in range(0, len(self), size):
            yield to_tensor(self.stack(range(start, min(start + size, len(self)))))


class IdentityBatches(Dataset):
    """P people, K images of each, for the identity and triplet losses (section 3.4).

    People are gone through without replacement: one epoch is ceil(N / P) steps and shows everybody,
    the last step being filled up with people of its beginning. So are each person's n images, K a
    visit, ceil(n / K) visits a round; a person with fewer than K images repeats them evenly.

    Of several processes, each gets its share of the people, all K images of each.
    """

    def __init__(
        self,
        records: Sequence[Record],
        people: int,
        images: int,
        height: int,
        width: int,
        augment: bool,
        seed: int,
        steps: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.images = Images(records, height, width)
        self.people, self.per_person = people, images
        self.augment, self.seed, self.steps = augment, seed, steps
        labels = self.images.labels
        self.members = [np.flatnonzero(labels == k) for k in range(len(self.images.people))]
        if people > len(self.members):
            raise DireidError(
                f"a batch of {people} people was asked for, the training set has "
                f"{len(self.members)}; ask for fewer"
            )
        self.steps_per_epoch = -(-len(self.members) // people)
        self.share = _share(people, rank, processes, images)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        """{images (P*K, 3, H, W), labels (P*K,), camids (P*K,)}, the K of a person in a row."""
        _check_step(step, self.steps)
        epoch, turn = divmod(step, self.steps_per_epoch)
        order = _rng(self.seed, _PEOPLE, epoch).permutation(len(self.members))
        chosen = _slice(order, turn, self.people)
        indices = np.concatenate([self._visit(int(person), epoch) for person in chosen])
        indices = indices[self.share]
        pixels = self.images.stack(indices)
        if self.augment:
            whole = self.people * self.per_person
            pixels = _augment(pixels, whole, self.share, _rng(self.seed, _AUGMENTATION, step))
        return {
            "images": to_tensor(pixels),
            "labels": torch.from_numpy(self.images.labels[indices]),
            "camids": torch.from_numpy(self.images.camids[indices]),
        }

    def _visit(self, person: int, visit: int) -> np.ndarray:
        """K image indices of a person at her `visit`-th turn."""
        mine = self.members[person]
        cycle, turn = divmod(visit, -(-len(mine) // self.per_person))
        order = _rng(self.seed, _IMAGES, person, cycle).permutation(mine)
        return _slice(order, turn, self.per_person)


class RealPairs(Dataset):
    """Two unrelated real images {x_i, x_k}, as cross-degradation generation wants (section 3.3.2).

    x_i goes through all training images, shuffled anew each time. x_k is any image of another
    person, by another camera where there is one. Flipped at random, never cropped. Of an image
    without a label nobody knows who is on it: it may meet any other.
    """

    def __init__(
        self,
        records: Sequence[Record],
        batch: int,
        height: int,
        width: int,
        seed: int,
        steps: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.images = Images(records, height, width)
        self.batch, self.seed, self.steps = batch, seed, steps
        self.share = _share(batch, rank, processes)
        if len(np.unique(self.images.pids)) < 2:
            raise DireidError("pairs need images of at least 2 people, the training set has 1")

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        """{image_i (B, 3, H, W), label_i (B,), camid_i (B,), image_k, label_k, camid_k}."""
        _check_step(step, self.steps)
        flips = _rng(self.seed, _AUGMENTATION, step).random((2, self.batch)) < 0.5
        batch = {}
        for name, indices, flipped in zip("ik", self._indices(step), flips, strict=True):
            mine = indices[self.share]
            pixels = flip(self.images.stack(mine), flipped[self.share])
            batch[f"image_{name}"] = to_tensor(pixels)
            batch[f"label_{name}"] = torch.from_numpy(self.images.labels[mine])
            batch[f"camid_{name}"] = torch.from_numpy(self.images.camids[mine])
        return batch

    def _indices(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        count, labels, camids = len(self.images), self.images.labels, self.images.camids
        # the anchors of all steps, end to end, are one shuffle of the training set after another
        rounds, places = divmod(step * self.batch + np.arange(self.batch), count)
        shuffles = {r: _rng(self.seed, _ANCHORS, r).permutation(count) for r in np.unique(rounds)}
        i = np.array([shuffles[r][place] for r, place in zip(rounds, places, strict=True)])
        unknown = (labels == UNLABELLED)[None] & (np.arange(count)[None] != i[:, None])
        other_person = (labels[None] != labels[i][:, None]) | unknown  # (B, N)
        both = other_person & (camids[None] != camids[i][:, None])
        allowed = np.where(both.any(axis=1, keepdims=True), both, other_person)
        chances = _rng(self.seed, _OTHERS, step).random(allowed.shape)
        return i, np.where(allowed, chances, -1.0).argmax(axis=1)


def stream(
    dataset: Dataset, start: int, workers: int, pin: bool = False
) -> Iterator[dict[str, Tensor]]:
    """dataset[start], dataset[start + 1] ... to its end, the same for any number of workers.

    Args:
        dataset: of batches.
        start: the first one wanted.
        workers: processes that make them; 0 makes them here.
        pin: into memory that a GPU copies from without waiting.
    """
    loader = DataLoader(
        dataset,
        batch_size=None,
        sampler=range(start, len(dataset)),
        num_workers=workers,
        pin_memory=pin,
        generator=torch.Generator().manual_seed(start),  # else it draws from the global one
    )
    try:
        yield from loader
    except DireidError as error:  # a worker hands over its whole traceback; ours is the last line
        line = str(error).strip().splitlines()[-1]
        error.__traceback__ = None  # else a cycle holds the workers, and freeing it takes 5 seconds
        raise DireidError(line.removeprefix("direid.errors.DireidError: ")) from None


def to_tensor(pixels: np.ndarray) -> Tensor:
    """uint8 (..., H, W, 3) -> float32 (..., 3, H, W) in [0, 1]."""
    planes = np.ascontiguousarray(np.moveaxis(pixels, -1, -3))  # moved as bytes: 4 times less
    return torch.from_numpy(planes).to(torch.float32).div_(255)


def flip(pixels: np.ndarray, flips: np.ndarray) -> np.ndarray:
    """Mirror left-right those of (B, H, W, 3) that (B,) `flips` says; the rest is copied."""
    mirrored = pixels.copy()
    mirrored[flips] = pixels[flips, :, ::-1]
    return mirrored


def pad_and_crop(pixels: np.ndarray, tops: np.ndarray, lefts: np.ndarray, pad: int) -> np.ndarray:
    """Repeat the border `pad` times around each image, then cut (H, W) at (top, left).

    Args:
        pixels: (B, H, W, 3).
        tops: (B,) int in 0 .. 2 * pad; `pad` leaves the image where it was.
        lefts: (B,) as tops.
        pad: in pixels.
    """
    _, height, width, _ = pixels.shape
    padded = np.pad(pixels, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="edge")
    windows = zip(padded, tops, lefts, strict=True)
    return np.stack([image[y : y + height, x : x + width] for image, y, x in windows])


def _augment(pixels: np.ndarray, whole: int, share: slice, rng: np.random.Generator) -> np.ndarray:
    """The usual re-ID pair: flip half of them; pad (10 px at 256 rows) and crop at random.

    ``pixels`` are the ``share`` of a batch of ``whole`` images, for all of which is drawn.
    """
    pad = max(1, round(10 * pixels.shape[1] / 256))
    tops, lefts = rng.integers(0, 2 * pad, (2, whole), endpoint=True)[:, share]
    return pad_and_crop(flip(pixels, (rng.random(whole) < 0.5)[share]), tops, lefts, pad)


def _rng(seed: int, *key: int) -> np.random.Generator:
    """An independent generator for each (seed, key); all of them non-negative."""
    return np.random.default_rng([seed, *map(int, key)])


def _slice(order: np.ndarray, turn: int, size: int) -> np.ndarray:
    """The `turn`-th run of `size` items of `order`, which is taken to be a ring."""
    return order[np.arange(turn * size, (turn + 1) * size) % len(order)]


def _share(items: int, rank: int, processes: int, images: int = 1) -> slice:
    """Which images of a batch of ``items`` (of ``images`` each) a process takes: equal shares."""
    if items % processes:
        raise DireidError(
            f"a batch of {items} cannot be shared by {processes} processes: choose a multiple of "
            f"{processes}"
        )
    size = items // processes * images
    return slice(rank * size, (rank + 1) * size)


def _check_step(step: int, steps: int) -> None:
    if not 0 <= step < steps:
        raise IndexError(f"step {step} of {steps}")
