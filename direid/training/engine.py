"""One training loop for all stages, and the one checkpoint that lets a killed run go on.

A stage is a step function: it takes the number of the step and a batch, moves its networks, and
returns its losses by name. Batches, augmentation and every random draw are functions of
(seed, step), so a run continued from step 100 is the run that was never stopped: bit for bit on a
CPU, on a GPU up to the order of its sums.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset
from tqdm import tqdm

from direid.config import Config, differences
from direid.data.loaders import stream
from direid.errors import DireidError

Batch = dict[str, Tensor]
Losses = dict[str, Tensor]


class Compute:
    """Where and how precisely a run computes.

    Args:
        device: "auto" (CUDA, then Apple's MPS, then CPU) or a device that torch knows.
        precision: "float32", "bfloat16" or "float16" (mixed). Losses stay in float32.

    Raises:
        DireidError: the device is unknown or absent, or cannot do the precision.
    """

    def __init__(self, device: str = "auto", precision: str = "float32") -> None:
        self.device = find_device(device)
        self.dtype = getattr(torch, precision)
        if precision == "float16" and self.device.type == "cpu":
            raise DireidError(
                "precision 'float16' needs a GPU; on a CPU choose float32 or bfloat16"
            )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "float16")

    def autocast(self) -> AbstractContextManager:
        """The context in which networks run."""
        mixed = self.dtype != torch.float32
        return torch.autocast(self.device.type, dtype=self.dtype if mixed else None, enabled=mixed)

    def update(self, loss: Tensor, optimiser: Optimizer) -> None:
        """Back-propagate ``loss`` and step ``optimiser``."""
        optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(optimiser)

    def send(self, batch: Batch) -> Batch:
        """A batch on the device, channels last where it holds images."""
        return {name: self._send(tensor) for name, tensor in batch.items()}

    def _send(self, tensor: Tensor) -> Tensor:
        layout = torch.channels_last if tensor.ndim == 4 else torch.preserve_format
        return tensor.to(self.device, non_blocking=True, memory_format=layout)

    def generator(self, *seeds: int) -> torch.Generator:
        """A random generator on the device that depends on ``seeds`` alone."""
        mixed = 0
        for seed in seeds:
            mixed = (mixed * 1_000_003 + seed + 1) % (2**63)
        return torch.Generator(self.device).manual_seed(mixed)


def find_device(name: str) -> torch.device:
    """The device called ``name``; "auto" is the best one present.

    Raises:
        DireidError: torch does not know it or this machine does not have it.
    """
    if name == "auto":
        mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    kind = name.partition(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise DireidError(
            f"device {name!r} cannot be used: choose auto, cpu, cuda, cuda:1, ... or mps"
        )
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except Exception as error:  # torch raises many kinds for a device that is not there
        raise DireidError(f"device {name!r} cannot be used: {_reason(error)}") from None
    return torch.device("cpu") if kind == "cpu" else device  # cpu:3 is the same CPU


@dataclass
class Stage:
    """What :func:`fit` needs to know of a stage."""

    name: str
    steps: int
    batches: Dataset
    networks: nn.Module
    optimisers: dict[str, Optimizer]
    step: Callable[[int, Batch], Losses]
    warmup: float = 0.0  # share of the steps in which the rate rises
    rates: dict[str, list[float]] = field(init=False)

    def __post_init__(self) -> None:
        self.rates = {
            name: [group["lr"] for group in optimiser.param_groups]
            for name, optimiser in self.optimisers.items()
        }

    def schedule(self, step: int) -> None:
        """Set the rates for ``step``: linear warm-up, flat, linear fall in the last 40%."""
        done = step / self.steps
        rise = min(1.0, (done + 1 / self.steps) / self.warmup) if self.warmup else 1.0
        factor = rise * min(1.0, (1 - done) / 0.4)
        for name, optimiser in self.optimisers.items():
            for group, rate in zip(optimiser.param_groups, self.rates[name], strict=True):
                group["lr"] = rate * factor


def fit(stage: Stage, compute: Compute, config: Config, folder: Path, split_hash: str) -> None:
    """Train ``stage`` to its last step, from its checkpoint in ``folder`` if there is one.

    Writes ``folder/checkpoints/NAME.pt`` (atomically, every ``config.save_every`` steps and at the
    end) and ``folder/logs/NAME.jsonl``, the losses of two steps in a row (stage 1 takes turns)
    every ``config.log_every`` steps.

    Raises:
        DireidError: a loss is not finite (named, with the step and the last good checkpoint), or
            the checkpoint belongs to another split or configuration.
    """
    checkpoint = folder / "checkpoints" / f"{stage.name}.pt"
    log = folder / "logs" / f"{stage.name}.jsonl"
    start, seconds = _resume(stage, compute, config, checkpoint, split_hash)
    began = time.perf_counter() - seconds
    _keep_lines_before(log, start)
    if start == stage.steps:
        return
    stage.networks.train()
    batches = stream(stage.batches, start, config.workers)
    bar = tqdm(
        batches, desc=f"{stage.name:<9}", total=stage.steps, initial=start, unit="step",
        dynamic_ncols=True, mininterval=0.5, smoothing=0.05,
    )  # fmt: skip
    with log.open("a") as lines, bar:
        for step, batch in enumerate(bar, start=start):
            stage.schedule(step)
            losses = stage.step(step, compute.send(batch))
            compute.scaler.update()
            values = _finite(losses, stage.name, step, checkpoint)
            done = step + 1
            if step % config.log_every < 2 or done == stage.steps:
                lines.write(json.dumps({"step": step, **values}) + "\n")
                lines.flush()
            if done % config.save_every == 0 or done == stage.steps:
                seconds = time.perf_counter() - began
                progress = {"step": done, "seconds": seconds, "split_hash": split_hash}
                save(progress | _state(stage, compute, config), checkpoint)


def save(state: dict, path: Path) -> None:
    """Write tensors and plain containers to ``path`` so that a reader sees the old file or the new.

    Raises:
        DireidError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        raise DireidError(f"{path}: cannot save the checkpoint ({error})") from None


def load(path: Path) -> dict:
    """Read what :func:`save` wrote, onto the CPU; only tensors and plain containers are taken.

    Raises:
        DireidError: the file is missing or is not such a checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DireidError(f"{path}: no such checkpoint") from None
    except Exception as error:  # torch raises many kinds for a damaged file
        raise DireidError(
            f"{path}: not a readable checkpoint ({_reason(error)}); delete it to train this stage "
            "again"
        ) from None
    if not isinstance(state, dict) or not {"step", "networks", "split_hash"} <= state.keys():
        raise DireidError(f"{path}: not a readable checkpoint (direid did not write it)")
    return state


def restore(networks: nn.Module, state: dict, path: Path, split_hash: str) -> None:
    """Put the weights of ``state``, read from ``path``, into ``networks``.

    Raises:
        DireidError: they have other sizes, or were trained on another split, whose training people
            may be among those to be tested.
    """
    if state["split_hash"] != split_hash:
        raise DireidError(
            f"{path}: trained on split {state['split_hash'][:12]}, asked to work on split "
            f"{split_hash[:12]}: its training people may be this split's test people"
        )
    try:
        networks.load_state_dict(state["networks"])
    except RuntimeError as error:
        raise DireidError(f"{path}: weights of another network ({_reason(error)})") from None


def _state(stage: Stage, compute: Compute, config: Config) -> dict:
    return {
        "settings": config.training_settings(),
        "networks": stage.networks.state_dict(),
        "optimisers": {name: o.state_dict() for name, o in stage.optimisers.items()},
        "scaler": compute.scaler.state_dict(),
    }


def _resume(
    stage: Stage, compute: Compute, config: Config, checkpoint: Path, split_hash: str
) -> tuple[int, float]:
    if not checkpoint.exists():
        return 0, 0.0
    state = load(checkpoint)
    restore(stage.networks, state, checkpoint, split_hash)
    if changed := differences(state["settings"], config.training_settings()):
        raise DireidError(f"{checkpoint}: trained with other settings ({changed})")
    if state["step"] > stage.steps:
        raise DireidError(f"{checkpoint}: already at step {state['step']}, asked for {stage.steps}")
    for name, optimiser in stage.optimisers.items():
        optimiser.load_state_dict(state["optimisers"][name])
    compute.scaler.load_state_dict(state["scaler"])
    return state["step"], state["seconds"]


def _keep_lines_before(log: Path, start: int) -> None:
    """Cut what a killed run wrote after its last checkpoint, and a line that it did not finish."""
    log.parent.mkdir(parents=True, exist_ok=True)
    kept = []
    for line in log.read_text().splitlines(keepends=True) if log.exists() else []:
        try:
            step = json.loads(line)["step"]
        except ValueError:
            continue
        if line.endswith("\n") and step < start:
            kept.append(line)
    log.write_text("".join(kept))


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _finite(losses: Losses, name: str, step: int, checkpoint: Path) -> dict[str, float]:
    if not losses:  # all terms of this kind of step have weight 0
        return {}
    values = torch.stack([loss.detach().float() for loss in losses.values()]).tolist()
    named = dict(zip(losses, values, strict=True))
    for term, value in named.items():
        if not math.isfinite(value):
            good = (
                f"last good checkpoint: {checkpoint}" if checkpoint.exists() else "none saved yet"
            )
            raise DireidError(f"{name}: loss {term!r} became {value} at step {step} ({good})")
    return {term: round(value, 6) for term, value in named.items()}
