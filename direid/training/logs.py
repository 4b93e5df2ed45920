"""What a training says while it runs: JSON lines of every loss, TensorBoard, and samples."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from torch import Tensor
from torchvision.utils import make_grid, save_image

from direid.errors import DireidError


class Log:
    """``folder/logs/NAME.jsonl``, one line a logged step; and its twin for TensorBoard.

    Lines that a killed run wrote after its last checkpoint, and one that it did not finish, are
    cut first: a resumed run writes the log of the run that was never stopped.

    Args:
        folder: the run's.
        name: of the stage.
        start: step from which the run goes on.

    Raises:
        DireidError: the disk is full or the folder cannot be written.
    """

    def __init__(self, folder: Path, name: str, start: int) -> None:
        self.folder, self.name = folder, name
        self.path = folder / "logs" / f"{name}.jsonl"
        self.board = None
        try:
            _keep_lines_before(self.path, start)
            self.file = self.path.open("a")
        except OSError as error:
            raise DireidError(f"{self.path}: cannot be written ({error.strerror})") from None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:  # it is not installed
            return
        self.board = SummaryWriter(str(folder / "tensorboard" / name), purge_step=start)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Add the losses of ``step``."""
        rounded = {name: round(value, 6) for name, value in values.items()}
        try:
            self.file.write(json.dumps({"step": step, **rounded}) + "\n")
            self.file.flush()
        except OSError as error:
            raise DireidError(f"{self.path}: cannot be written ({error.strerror})") from None
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)

    def picture(self, step: int, images: Tensor, columns: int) -> None:
        """Store images (N, 3, H, W) in [0, 1] as a grid, ``folder/samples/NAME_STEP.png``."""
        path = self.folder / "samples" / f"{self.name}_{step:06d}.png"
        path.parent.mkdir(exist_ok=True)
        images = images.detach().float().cpu()
        save_image(images, path, nrow=columns)
        if self.board is not None:
            self.board.add_image("samples", make_grid(images, nrow=columns), step)

    def close(self) -> None:
        """Write out what is still in memory; what cannot be has been complained of before."""
        with suppress(OSError):
            self.file.close()
        if self.board is not None:
            with suppress(OSError):
                self.board.close()


class Silence:
    """The log of a process that is not the first."""

    def write(self, step: int, values: dict[str, float]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def _keep_lines_before(log: Path, start: int) -> None:
    """Cut the file at the first line that is not whole or belongs to a step that comes again."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if not log.exists():
        return
    kept = 0
    for line in log.read_bytes().splitlines(keepends=True):
        try:
            step = json.loads(line)["step"]
        except ValueError:
            break
        if not line.endswith(b"\n") or step >= start:
            break
        kept += len(line)
    os.truncate(log, kept)  # needs no space, so a disk that is still full does no harm
