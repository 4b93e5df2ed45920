"""Where and how precisely a run computes: every transfer, pin and half-precision pass is here."""

from __future__ import annotations

import ctypes
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, get_total_norm
from torch.optim import Optimizer
from torch.utils.data import Dataset

from direid.config import Config
from direid.data.loaders import stream
from direid.errors import DireidError, one_line
from direid.losses import total
from direid.models.blocks import full
from direid.training.distributed import World, synchronised

Batch = dict[str, Tensor]
Losses = dict[str, Tensor]
SMALLEST_SCALE = 1.0  # of a float16 loss: overflow below it is no overflow of half precision


class NotFiniteError(Exception):
    """A loss, or the gradient of one, is not a finite number; the message names it."""


class Compute:
    """Device, precision and processes of a run.

    Args:
        device: "auto" (CUDA, then Apple's MPS, then CPU) or a device that torch knows.
        precision: of the networks: "float32", "bfloat16", "float16" (mixed), or "auto", which is
            bfloat16 where the device computes in it natively. Losses and scores stay in float32.
        clip: largest norm of a step's gradient; 0 is no limit.
        deterministic: choose only kernels that give the same bits every time. A CPU does anyway.
        compile: run networks through ``torch.compile``.
        world: the processes that share the work.

    Raises:
        DireidError: the device is unknown or absent, or cannot do the precision.
    """

    def __init__(
        self,
        device: str = "auto",
        precision: str = "float32",
        *,
        clip: float = 0.0,
        deterministic: bool = False,
        compile: bool = False,
        world: World | None = None,
    ) -> None:
        self.world = world or World()
        self.device = find_device(device, self.world)
        if precision == "auto":
            precision = "bfloat16" if _has_bfloat16(self.device) else "float32"
        if precision == "float16" and self.device.type == "cpu":
            raise DireidError(
                "precision 'float16' needs a GPU; on a CPU choose float32 or bfloat16"
            )
        self.precision = precision
        self.dtype = getattr(torch, precision)
        self.clip, self.deterministic, self.compile = clip, deterministic, compile
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "float16")
        if deterministic and self.device.type == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it

    @classmethod
    def of(cls, config: Config) -> Compute:
        """What ``config`` asks for, in all the processes that torchrun has started."""
        gpu = torch.cuda.is_available() and config.device in ("auto", "cuda")
        return cls(
            config.device, config.precision, clip=config.clip, deterministic=config.deterministic,
            compile=config.compile, world=World.join(gpu),
        )  # fmt: skip

    def autocast(self) -> AbstractContextManager:
        """The context in which networks run."""
        mixed = self.dtype != torch.float32
        return torch.autocast(self.device.type, dtype=self.dtype if mixed else None, enabled=mixed)

    @contextmanager
    def rules(self) -> Iterator[None]:
        """The context of a training: deterministic, or with the fastest kernels a GPU finds."""
        before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
        torch.use_deterministic_algorithms(self.deterministic or before[0])
        torch.backends.cudnn.benchmark = not self.deterministic
        try:
            with warnings.catch_warnings():  # of 1 x 1 kernels in channels-last layout: harmless
                warnings.filterwarnings("ignore", message="Grad strides do not match bucket view")
                yield
        finally:
            torch.use_deterministic_algorithms(before[0])
            torch.backends.cudnn.benchmark = before[1]

    def place(self, network: nn.Module) -> nn.Module:
        """``network`` on the device, channels last, its batch statistics those of all processes."""
        if self.device.type == "cpu":
            keep_freed_memory()
        network = synchronised(network, self.world, self.device)
        return network.to(self.device, memory_format=torch.channels_last)

    def wrap(self, network: nn.Module, partly: bool = False) -> nn.Module:
        """What a training calls in place of ``network``: compiled if asked, in all processes.

        Args:
            network: on the device.
            partly: some steps leave some of its parameters without gradient.
        """
        return self.world.wrap(self.compiled(network), partly)

    def compiled(self, network: nn.Module) -> nn.Module:
        """``network``, its calls compiled if that was asked for."""
        if self.compile:
            network.compile()
        return network

    def batches(self, dataset: Dataset, start: int, workers: int) -> Iterator[Batch]:
        """The batches from ``start`` on, on the device."""
        pin = self.device.type == "cuda"
        for batch in stream(dataset, start, workers, pin):
            yield self.send(batch)

    def send(self, batch: Batch) -> Batch:
        """A batch on the device, channels last where it holds images."""
        return {name: self.to_device(tensor) for name, tensor in batch.items()}

    def to_device(self, tensor: Tensor) -> Tensor:
        """A tensor on the device, channels last if it holds images (B, 3, H, W)."""
        layout = torch.channels_last if tensor.ndim == 4 else torch.preserve_format
        return tensor.to(self.device, non_blocking=True, memory_format=layout)

    def generator(self, *seeds: int) -> torch.Generator:
        """A random generator on the device that depends on ``seeds`` alone."""
        mixed = 0
        for seed in seeds:
            mixed = (mixed * 1_000_003 + seed + 1) % (2**63)
        return torch.Generator(self.device).manual_seed(mixed)

    def descend(
        self,
        losses: Losses,
        weights: Mapping[str, float],
        optimiser: Optimizer,
        again: Callable[[], Losses],
    ) -> dict[str, float]:
        """One step of ``optimiser`` down the weighted sum of ``losses``.

        Args:
            losses: scalars by name; none at all is no step.
            weights: of each; one that is not there counts once.
            optimiser: of the parameters that are to move.
            again: makes the losses once more, to find out whose gradient is not finite.

        Returns:
            The losses, as means over all processes.

        Raises:
            NotFiniteError: before ``optimiser`` has moved anything.
        """
        if not losses:
            return {}
        optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(total(losses, weights)).backward()
        self.scaler.unscale_(optimiser)
        moved = [p for group in optimiser.param_groups for p in group["params"]]
        norm = self._clipped(moved)
        values, steepness = self.read(losses, norm)
        for name, value in values.items():
            if not math.isfinite(value):
                raise NotFiniteError(f"loss {name!r} became {value}")
        overflow = self.scaler.is_enabled() and self.scaler.get_scale() >= SMALLEST_SCALE
        if not math.isfinite(steepness) and not overflow:  # an overflow, the scaler mends itself
            guilty = self._guilty(list(losses), again, moved)
            raise NotFiniteError(f"gradient of loss {guilty} became {steepness}")
        self.scaler.step(optimiser)
        optimiser.zero_grad(set_to_none=True)  # now, not later: the next forward pass needs room
        return values

    def _clipped(self, moved: list[nn.Parameter]) -> Tensor:
        if self.clip:
            return clip_grad_norm_(moved, self.clip)
        return get_total_norm([p.grad for p in moved if p.grad is not None])

    def _guilty(
        self, names: list[str], again: Callable[[], Losses], moved: list[nn.Parameter]
    ) -> str:
        """The losses whose gradient is not finite, in any process. Slow, and only ever run once."""
        parameters, found = [p for p in moved if p.requires_grad], []
        for name in names:  # all of them: the processes must stay in step
            gradients = torch.autograd.grad(again()[name], parameters, allow_unused=True)
            fine = all(bool(g.isfinite().all()) for g in gradients if g is not None)
            if self.world.mean(torch.tensor(float(fine), device=self.device)).item() < 1:
                found.append(repr(name))
        return ", ".join(found) or "(their sum only)"

    def read(self, losses: Losses, norm: Tensor) -> tuple[dict[str, float], float]:
        """Losses (means over all processes) and gradient norm as numbers: a step's one wait."""
        stacked = torch.stack([*(full(loss.detach()) for loss in losses.values()), full(norm)])
        *values, steepness = self.world.mean(stacked).tolist()
        return dict(zip(losses, values, strict=True)), steepness


def keep_freed_memory() -> None:
    """Ask the C library to keep what this process frees, where that is glibc.

    A step frees gigabytes and takes as much again at once. glibc hands large blocks back to the
    system, which must clear them page by page before it gives them out again.
    """
    no_mapped_blocks, trim_above = -4, -1  # M_MMAP_MAX, M_TRIM_THRESHOLD of malloc.h
    with suppress(OSError, AttributeError):  # another C library
        library = ctypes.CDLL(None)
        library.mallopt(no_mapped_blocks, 0)
        library.mallopt(trim_above, 2**31 - 1)


def find_device(name: str, world: World | None = None) -> torch.device:
    """The device called ``name``; "auto" is the best one present.

    Raises:
        DireidError: torch does not know it or this machine does not have it.
    """
    if name == "auto":
        mps = torch.backends.mps.is_available()
        name = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps"):
        raise DireidError(
            f"device {name!r} cannot be used: choose auto, cpu, cuda, cuda:1, ... or mps"
        )
    if world is not None and world.size > 1 and kind == "cuda":
        if number:
            raise DireidError(f"device {name!r}: several processes take a GPU each, choose 'cuda'")
        name = f"cuda:{world.local}"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
        if kind == "cuda":
            device = torch.device("cuda", device.index or 0)  # some calls want the number
            torch.cuda.set_device(device)
    except Exception as error:  # torch raises many kinds for a device that is not there
        raise DireidError(f"device {name!r} cannot be used: {one_line(error)}") from None
    return torch.device("cpu") if kind == "cpu" else device  # cpu:3 is the same CPU


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()  # no public call tells
