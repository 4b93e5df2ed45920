"""One training loop for all stages, and how a killed run goes on.

A stage is a step function: it takes the number of the step and a batch, moves its networks, and
returns its losses by name. Batches, augmentation and every random draw are functions of
(seed, step), so a run continued from step 100 is the run that was never stopped: bit for bit on a
CPU, and on a GPU in deterministic mode; else up to the order of a GPU's sums.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset
from tqdm import tqdm

from direid.config import Config, differences
from direid.data.records import Benchmark
from direid.errors import DireidError
from direid.training import checkpoint, logs
from direid.training.compute import Batch, Compute, NotFiniteError

Sample = Callable[[], tuple[Tensor, int]]


@dataclass
class Stage:
    """What :func:`fit` needs to know of a stage."""

    name: str
    steps: int
    batches: Dataset
    networks: nn.Module
    optimisers: dict[str, Optimizer]
    step: Callable[[int, Batch], dict[str, float]]
    warmup: float = 0.0  # share of the steps in which the rate rises
    average: nn.Module | None = None  # a moving average of some networks
    sample: Sample | None = None  # images (N, 3, H, W) to look at, and how many stand in a row
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


def fit(stage: Stage, compute: Compute, config: Config, folder: Path, benchmark: Benchmark) -> None:
    """Train ``stage`` to its last step, from its checkpoint in ``folder`` if there is one.

    Writes ``folder/checkpoints/NAME.pt`` (atomically, every ``config.save_every`` steps and at the
    end), ``folder/logs/NAME.jsonl`` (the losses of two steps in a row, for stage 1 takes turns,
    every ``config.log_every`` steps), the same for TensorBoard in ``folder/tensorboard`` if it is
    installed, and ``folder/samples`` every ``config.sample_every`` steps.

    Raises:
        DireidError: a loss or gradient is not finite (named, with the step and the last good
            checkpoint), a checkpoint cannot be written, or the one that is there belongs to another
            split or configuration.
    """
    path = folder / "checkpoints" / f"{stage.name}.pt"
    start, seconds = _resume(stage, compute, config, path, benchmark)
    if start == stage.steps and path.exists():
        return
    began = time.perf_counter() - seconds
    first = compute.world.first
    log = logs.Log(folder, stage.name, start) if first else logs.Silence()
    stage.networks.train()
    quiet = {} if first else {"disable": True}  # else the environment may say so
    steps = tqdm(
        compute.batches(stage.batches, start, config.workers),
        desc=f"{stage.name:<9}", total=stage.steps, initial=start, unit="step",
        dynamic_ncols=True, mininterval=0.5, smoothing=0.05, **quiet,
    )  # fmt: skip
    try:
        with compute.rules(), steps:
            for step, batch in enumerate(steps, start=start):
                stage.schedule(step)
                try:
                    losses = stage.step(step, batch)
                except NotFiniteError as error:
                    good = f"last good checkpoint: {path}" if path.exists() else "none saved yet"
                    raise DireidError(f"{stage.name}: {error} at step {step} ({good})") from None
                if losses:  # else nobody has moved, and there is no scale to update
                    compute.scaler.update()
                done = step + 1
                if step % config.log_every < 2 or done == stage.steps:
                    log.write(step, losses)
                if first and stage.sample and _now(done, config.sample_every, stage.steps):
                    log.picture(done, *stage.sample())
                if _now(done, config.save_every, stage.steps):
                    seconds = time.perf_counter() - began
                    _save(stage, compute, config, benchmark, done, seconds, path)
    finally:
        log.close()
    if not stage.steps:  # the loop has saved nothing
        _save(stage, compute, config, benchmark, 0, 0.0, path)


def _now(done: int, every: int, steps: int) -> bool:
    return bool(every) and (done % every == 0 or done == steps)


def _save(
    stage: Stage,
    compute: Compute,
    config: Config,
    benchmark: Benchmark,
    done: int,
    seconds: float,
    path: Path,
) -> None:
    """Everything that the rest of the training depends on, in one file."""
    if compute.world.first:
        checkpoint.save(
            {
                "step": done,
                "seconds": seconds,
                "config": config.model_dump(mode="json", exclude={"root"}),
                "settings": config.stage_settings(stage.name),
                "precision": compute.precision,
                "split_hash": benchmark.split_hash,
                "trained_on": checkpoint.trained_on(benchmark),
                "networks": stage.networks.state_dict(),
                "average": stage.average.state_dict() if stage.average is not None else None,
                "optimisers": {name: o.state_dict() for name, o in stage.optimisers.items()},
                # a function of the step: to be read by people
                "schedule": {"steps": stage.steps, "warmup": stage.warmup, "rates": stage.rates},
                "scaler": compute.scaler.state_dict(),
                "random": checkpoint.random_states(compute.device),
            },
            path,
        )
    compute.world.wait()


def _resume(
    stage: Stage, compute: Compute, config: Config, path: Path, benchmark: Benchmark
) -> tuple[int, float]:
    state = checkpoint.load(path) if path.exists() else None
    if not compute.world.agree(state["step"] if state else 0, compute.device):
        raise DireidError(
            f"{path}: not the same file for every process; --out must be on a disk that all share"
        )
    if state is None:
        return 0, 0.0
    if state["split_hash"] != benchmark.split_hash:
        raise DireidError(
            f"{path}: trained on split {state['split_hash'][:12]}, asked to go on with split "
            f"{benchmark.split_hash[:12]}: its training people may be this split's test people"
        )
    if changed := differences(state["settings"], config.stage_settings(stage.name)):
        raise DireidError(f"{path}: trained with other settings ({changed})")
    if state["step"] > stage.steps:
        raise DireidError(f"{path}: already at step {state['step']}, asked for {stage.steps}")
    if state["step"] < stage.steps and state["precision"] != compute.precision:
        raise DireidError(
            f"{path}: trained in {state['precision']}, asked to go on in {compute.precision}; "
            f"go on with --set precision={state['precision']}"
        )
    checkpoint.restore(stage.networks, state, path, average=False)
    for name, optimiser in stage.optimisers.items():
        optimiser.load_state_dict(state["optimisers"][name])
    if stage.average is not None:
        stage.average.load_state_dict(state["average"])
    if state["scaler"]:  # a stage that is finished may have had none
        compute.scaler.load_state_dict(state["scaler"])
    checkpoint.restore_random_states(state["random"], compute.device)
    return state["step"], state["seconds"]
