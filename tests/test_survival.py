"""Runs that are really killed, disks that are really full, numbers that are not finite."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from direid.config import Config, load_preset
from direid.errors import DireidError
from direid.training import checkpoint
from direid.training.compute import Compute
from direid.training.ddgan import ddgan_stage
from direid.training.engine import Stage, fit
from direid.training.stages import METHOD, train
from scripts.stress_resume import equal

CPU = Compute("cpu")


def killed(work: Callable[[], None], path: Path, after: int) -> None:
    """Run ``work`` in a child that is killed with signal 9, no handler, no clean-up.

    The kernel kills it once checkpoint ``path`` has been written ``after`` times, between two
    writes: half of the next file is on the disk.
    """
    child = os.fork()
    if child == 0:
        real, done = torch.save, []

        def save(state: dict, file) -> None:  # noqa: ANN001
            if Path(file.name).stem == path.stem and len(done) == after:
                file.write(b"half a file")
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            real(state, file)
            done.extend([1] if Path(file.name).stem == path.stem else [])

        torch.save = save
        try:
            work()
        finally:
            os._exit(1)  # it should have died
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


@pytest.fixture(scope="module")
def everything(small: dict) -> Config:
    """Settings under which a checkpoint holds all that it can hold."""
    return load_preset("tiny", small | {
        "ddgan": small["ddgan"] | {"average": 0.9},
        "later": {"smoothing": 1, "cycle": 1, "gradient_penalty": 0.01},
        "clip": 1.0,
    })  # fmt: skip


@pytest.fixture(scope="module")
def whole(benchmark, everything, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four steps a stage that nobody disturbed."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(everything, benchmark, CPU, out, METHOD)
    return out


@pytest.mark.parametrize("stage", METHOD)
@pytest.mark.parametrize("after", [0, 1])
def test_two_steps_a_kill_and_two_more_are_four(
    stage: str, after: int, whole: Path, benchmark, everything, tmp_path: Path
) -> None:
    def work() -> None:
        train(everything, benchmark, CPU, tmp_path, METHOD)

    path = tmp_path / "checkpoints" / f"{stage}.pt"
    killed(work, path, after)
    if after:
        assert checkpoint.load(path)["step"] == 2
    else:
        assert not path.exists()
    assert path.with_suffix(".partial").read_bytes() == b"half a file"
    work()
    for name in METHOD:
        ours = checkpoint.load(tmp_path / "checkpoints" / f"{name}.pt")
        theirs = checkpoint.load(whole / "checkpoints" / f"{name}.pt")
        assert equal(ours, theirs), name
        logs = [folder / "logs" / f"{name}.jsonl" for folder in (tmp_path, whole)]
        assert logs[0].read_text() == logs[1].read_text()
    assert not list((tmp_path / "checkpoints").glob("*.partial"))


def test_a_checkpoint_holds_all_that_a_run_depends_on(whole: Path, everything: Config) -> None:
    state = checkpoint.load(whole / "checkpoints" / "ddgan.pt")
    assert set(state) == {
        "step", "seconds", "config", "settings", "precision", "split_hash", "trained_on",
        "networks", "average", "optimisers", "schedule", "scaler", "random",
    }  # fmt: skip
    assert state["settings"] == everything.stage_settings("ddgan")
    assert Config.model_validate(state["config"]) == everything
    assert set(state["optimisers"]) == {"generator", "discriminators"}
    assert state["average"]["n_averaged"] == 4
    assert state["schedule"]["rates"]["generator"] == [everything.ddgan.rate]
    assert state["trained_on"]["benchmark"] == "paper_dolls"
    assert len(state["trained_on"]["people"]) == 8


def test_the_random_state_goes_on_too(benchmark, config: Config, tmp_path: Path) -> None:
    """A network that draws from torch's own generator, such as dropout, resumes exactly."""

    def run(folder: Path) -> Tensor:
        torch.manual_seed(0)
        stage = toy(lambda number, batch: {"loss": 0.0})
        draws = []
        stage.step = lambda number, batch: draws.append(torch.rand(1)) or {"loss": 0.0}
        if folder.name == "killed" and not folder.exists():
            real = stage.step

            def dies(number: int, batch: dict) -> dict:
                if number == 3:
                    raise KeyboardInterrupt
                return real(number, batch)

            stage.step = dies
        fit(stage, CPU, config, folder, benchmark)
        return draws[-1]

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed")
    assert torch.equal(run(tmp_path / "killed"), run(tmp_path / "whole"))


class Ones(Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        return {"images": torch.ones(2, 3, 4, 4)}


def toy(step: Callable) -> Stage:
    net = nn.Linear(1, 1)
    return Stage("toy", 4, Ones(), net, {"sgd": torch.optim.SGD(net.parameters(), 0.1)}, step)


def spoilt(bad: Callable[[Tensor], Tensor]) -> Stage:
    """A toy whose loss «bad» is ``bad`` of a weight in step 3."""
    stage = toy(lambda number, batch: {})
    (weight, _), optimiser = stage.networks.parameters(), stage.optimisers["sgd"]

    def terms(number: int) -> dict[str, Tensor]:
        mine = bad(weight.sum()) if number == 3 else weight.sum()
        return {"fine": weight.square().sum(), "bad": mine}

    stage.step = lambda number, batch: CPU.descend(
        terms(number), {}, optimiser, lambda: terms(number)
    )
    return stage


def steep(x: Tensor) -> Tensor:
    """Finite, with a gradient that is not: the root of 0."""
    return (x - x.detach()).abs().sqrt()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (lambda x: x * float("nan"), "loss 'bad' became nan"),
        (lambda x: x / 0, "loss 'bad' became -?inf"),
        (steep, "gradient of loss 'bad' became nan"),
    ],
)
def test_what_is_not_finite_stops_with_its_name(bad, said, benchmark, config, tmp_path) -> None:
    stage = spoilt(bad)
    good = rf"toy: {said} at step 3 \(last good checkpoint: .*toy.pt\)"
    with pytest.raises(DireidError, match=good):
        fit(stage, CPU, config, tmp_path, benchmark)
    assert checkpoint.load(tmp_path / "checkpoints" / "toy.pt")["step"] == 2
    assert all(p.isfinite().all() for p in stage.networks.parameters())  # nothing moved


@pytest.mark.parametrize("turn", ["reconstruction", "D_d"])
def test_a_steep_loss_of_stage_1_is_named_for_either_player(
    turn: str, benchmark, config: Config, tmp_path: Path, monkeypatch
) -> None:
    from direid import losses
    from direid.models import DDGAN

    name = {"reconstruction": "reconstruction_self", "D_d": "degradation_order"}[turn]
    monkeypatch.setattr(losses, name, lambda *a: steep(a[0].sum()))
    stage = ddgan_stage(DDGAN(config.network, 8), benchmark, config, CPU)
    with pytest.raises(DireidError, match=rf"ddgan: gradient of loss '{turn}' .* at step 0 \(none"):
        fit(stage, CPU, config, tmp_path, benchmark)


FIRST = dict.fromkeys(checkpoint.WANTED) | {"step": 1, "networks": {}}


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    first = FIRST
    checkpoint.save(first, path)
    path.with_suffix(".partial").symlink_to("/dev/full")  # a disk without a free byte
    with pytest.raises(DireidError, match=r"a\.pt: cannot save.*the previous one is untouched"):
        checkpoint.save({"step": 2, "weights": torch.zeros(10_000)}, path)
    assert checkpoint.load(path) == first
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "a.pt"
    first = FIRST
    checkpoint.save(first, path)
    path.with_suffix(".partial").mkdir()  # root may write anywhere, but not over a folder
    with pytest.raises(DireidError, match=r"a\.pt: cannot save.*the previous one is untouched"):
        checkpoint.save(first | {"step": 2}, path)
    assert checkpoint.load(path) == first
    (tmp_path / "file").write_text("")
    with pytest.raises(DireidError, match=r"cannot save the checkpoint.*there is none yet"):
        checkpoint.save(first, tmp_path / "file" / "a.pt")


def test_a_full_disk_in_the_middle_of_a_training_says_so(
    benchmark, config: Config, tmp_path: Path
) -> None:
    """The checkpoint of step 2 is there when the disk fills up; the run ends, and goes on later."""
    stage = toy(lambda number, batch: {"loss": float(number)})
    path = tmp_path / "checkpoints" / "toy.pt"
    real = stage.step

    def fills(number: int, batch: dict) -> dict:
        if number == 3:
            path.with_suffix(".partial").symlink_to("/dev/full")
        return real(number, batch)

    stage.step = fills
    with pytest.raises(DireidError, match=r"toy\.pt: cannot save.*untouched.*--resume"):
        fit(stage, CPU, config, tmp_path, benchmark)
    assert checkpoint.load(path)["step"] == 2
    stage.step = real
    fit(stage, CPU, config, tmp_path, benchmark)
    assert checkpoint.load(path)["step"] == 4
    steps = [json.loads(x)["step"] for x in (tmp_path / "logs/toy.jsonl").read_text().splitlines()]
    assert steps == [0, 1, 2, 3]


LIMITED = """
import json, resource, signal, sys
from pathlib import Path
from direid.errors import DireidError
from direid.training.logs import Log
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    log = Log(Path(sys.argv[1]), "toy", 100)
    try:
        for step in range(100, 400):
            log.write(step, {"loss": 1.0})
    finally:
        log.close()
except DireidError as error:
    print(error)
"""


def test_a_log_survives_a_disk_that_is_full_when_it_is_opened_again(tmp_path: Path) -> None:
    """The kernel refuses to let files grow; what was there stays, and the error names the file."""
    log = tmp_path / "logs" / "toy.jsonl"
    log.parent.mkdir()
    lines = [json.dumps({"step": step, "loss": 1.0}) + "\n" for step in range(120)]
    log.write_text("".join(lines))
    kept = "".join(lines[:100])
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), str(len(kept) + 50)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "toy.jsonl: cannot be written (File too large)" in done.stdout, done.stderr
    assert log.read_text().startswith(kept)


def test_a_log_that_cannot_be_written_is_one_line(benchmark, config, tmp_path: Path) -> None:
    (tmp_path / "logs" / "toy.jsonl").mkdir(parents=True)
    with pytest.raises(DireidError, match=r"toy\.jsonl: cannot be written \(Is a directory"):
        fit(toy(lambda n, b: {"loss": 0.0}), CPU, config, tmp_path, benchmark)
