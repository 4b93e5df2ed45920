"""One file that lets a killed run go on: written whole or not at all, read without running code."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from direid.data.records import Benchmark
from direid.errors import DireidError, one_line

FOLDER = "folder"  # the name of a benchmark that is a user's own
WANTED = {
    "step", "seconds", "settings", "precision", "split_hash", "trained_on", "networks", "average",
    "optimisers", "scaler", "random",
}  # fmt: skip


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
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        previous = "the previous one is untouched" if _is_there(path) else "there is none yet"
        raise DireidError(
            f"{path}: cannot save the checkpoint ({one_line(error)}); {previous}: mend that and "
            "go on with --resume"
        ) from None


def _sync_folder(folder: Path) -> None:
    """See that a new name in ``folder`` survives a loss of power, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


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
            f"{path}: not a readable checkpoint ({one_line(error)}); delete it to train this stage "
            "again"
        ) from None
    if not isinstance(state, dict) or not WANTED <= state.keys():
        raise DireidError(f"{path}: not a readable checkpoint (direid did not write it)")
    return state


def trained_on(benchmark: Benchmark) -> dict:
    """Whom a training on ``benchmark`` sees: what :func:`check_unseen` wants to know later."""
    people = sorted({int(record.pid) for record in benchmark.train})
    names = sorted(record.name for record in benchmark.train) if benchmark.name == FOLDER else []
    return {
        "benchmark": benchmark.name, "people": people, "labelled": benchmark.people, "images": names
    }  # fmt: skip


def check_unseen(state: dict, path: Path, benchmark: Benchmark) -> None:
    """Refuse weights whose training people are among those that ``benchmark`` tests.

    Within a benchmark a person's number says who it is. Two folders of a user's own may both number
    their people from 1, so there images are compared, by name.

    Raises:
        DireidError: with the hashes of both splits.
    """
    trained = state["trained_on"]
    if state["split_hash"] == benchmark.split_hash or trained["benchmark"] != benchmark.name:
        return
    records = benchmark.query + benchmark.gallery
    tested, people, images = {r.pid for r in records}, trained["people"], set(trained["images"])
    if benchmark.name == FOLDER:
        people = [record.pid for record in records if record.name in images]
    if seen := sorted(tested & set(people)):
        shown = ", ".join(map(str, seen[:5])) + (", ..." if len(seen) > 5 else "")
        raise DireidError(
            f"{path}: trained on split {state['split_hash'][:12]} of {benchmark.name}, asked to be "
            f"tested on split {benchmark.split_hash[:12]}, {len(seen)} of whose {len(tested)} test "
            f"people it was trained on (person {shown}); test it on its own split"
        )


def restore(networks: nn.Module, state: dict, path: Path, average: bool = True) -> None:
    """Put the weights of ``state``, read from ``path``, into ``networks``.

    Args:
        networks: of the stage that was saved.
        state: what :func:`load` returned.
        path: for the error.
        average: take the moving average of the generator's weights, if one was kept.

    Raises:
        DireidError: they have other sizes.
    """
    weights = dict(state["networks"])
    if average and state["average"] is not None:  # torch names it «module»
        averaged = state["average"].items()
        weights |= {
            name.replace("module", "generator", 1): value
            for name, value in averaged
            if name.startswith("module.")
        }
    try:
        networks.load_state_dict(weights)
    except RuntimeError as error:
        raise DireidError(f"{path}: weights of another network ({one_line(error)})") from None


def random_states(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's global generators that a run on ``device`` draws from."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_states(states: dict[str, Tensor], device: torch.device) -> None:
    """Put back what :func:`random_states` took; a device that it did not know is left alone."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
