"""Two processes and one with the whole batch: the same losses, gradients and weights."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as multiprocessing
from torch import Tensor, nn

from direid.config import Config, load_preset
from direid.data import folder
from direid.data.loaders import IdentityBatches, RealPairs
from direid.data.records import Benchmark
from direid.degradations import KINDS, SelfDegradation
from direid.errors import DireidError
from direid.models import DDGAN, DFEN, IdentityNetwork
from direid.training import checkpoint
from direid.training.compute import Compute
from direid.training.ddgan import ddgan_stage
from direid.training.dfen import dfen_stage
from direid.training.distributed import World, synchronised
from direid.training.engine import Stage
from direid.training.identity import identity_stage
from direid.training.replay import Memory
from direid.training.stages import check_shares, train

STEPS = 4


class Double(Compute):
    """Sends images as float64: what is equal in theory is then equal to many digits."""

    def to_device(self, tensor: Tensor) -> Tensor:
        return super().to_device(tensor.double() if tensor.is_floating_point() else tensor)


def everything(small: dict) -> Config:
    settings = small | {
        "later": {"cycle": 1, "gradient_penalty": 0.01, "smoothing": 1, "replay": 1},
        "ddgan": {"batch": 4, "steps": STEPS, "average": 0.9}, "clip": 5.0,
        "self_degradation": "resolution+noise",
    }  # fmt: skip
    return load_preset("tiny", settings)


def stages_of(config: Config, benchmark: Benchmark, compute: Compute) -> list[Stage]:
    """The three stages, from equal weights in every process."""
    torch.manual_seed(0)
    people = benchmark.people
    identity = compute.place(IdentityNetwork(config.network, people)).train()
    ddgan = compute.place(DDGAN(config.network, people))
    dfen = compute.place(DFEN(config.network, people, config.dfen, config.readings)).train()
    memory = Memory(DDGAN(config.network, people).generator.double(), benchmark.train[:9], config,
                    compute)  # fmt: skip
    return [
        identity_stage("tricks", STEPS, True, identity, benchmark, config, compute),
        ddgan_stage(ddgan.train(), benchmark, config, compute),
        dfen_stage(dfen, memory, benchmark, config, compute),
    ]


def trained(config: Config, benchmark: Benchmark, compute: Compute) -> dict:
    """Losses, last gradients and weights of a few steps of every stage."""
    found: dict = {}
    for stage in stages_of(config, benchmark, compute):
        losses, gradients = [], {}
        keep = partial(keep_gradients, stage.networks, gradients)
        for optimiser in stage.optimisers.values():
            optimiser.register_step_pre_hook(keep)
        for number in range(STEPS):
            losses.append(stage.step(number, compute.send(stage.batches[number])))
        found[stage.name] = {
            "losses": losses,
            "gradients": gradients,
            "weights": stage.networks.state_dict(),
            "average": stage.average.state_dict() if stage.average else {},
        }
    return found


def keep_gradients(networks: nn.Module, kept: dict, *_: object) -> None:
    """Those of the last step of each optimiser, as it sees them."""
    kept |= {n: p.grad.clone() for n, p in networks.named_parameters() if p.grad is not None}


def work(rank: int, port: int, config: Config, benchmark: Benchmark, out: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank),
                   "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}  # fmt: skip
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view")
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    compute = Double("cpu", clip=config.clip, world=World.join(gpu=False))
    found = trained(config, benchmark, compute)
    torch.save(found, f"{out}/{rank}.pt")
    compute.world.leave()


def free_port() -> int:
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_two_processes_train_as_one_with_the_whole_batch(benchmark, small, tmp_path: Path) -> None:
    config = everything(small)
    torch.set_default_dtype(torch.float64)
    try:
        alone = trained(config, benchmark, Double("cpu", clip=config.clip))
    finally:
        torch.set_default_dtype(torch.float32)
    multiprocessing.spawn(work, (free_port(), config, benchmark, str(tmp_path)), nprocs=2)
    for rank in range(2):
        shared = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for stage, one in alone.items():
            two = shared[stage]
            for mine, theirs in zip(one["losses"], two["losses"], strict=True):
                assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-12), stage
            for kind in ("gradients", "weights", "average"):
                assert one[kind].keys() == two[kind].keys()
                for name, value in one[kind].items():
                    torch.testing.assert_close(
                        two[kind][name], value, rtol=1e-7, atol=1e-9,
                        msg=lambda said, name=name, kind=kind: f"{kind} of {name}: {said}",
                    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_shares_are_degraded_like_the_whole(kind: str) -> None:
    x = torch.rand(6, 3, 32, 16, generator=torch.Generator().manual_seed(1))
    degrade = SelfDegradation(kind)
    whole = degrade(x, torch.Generator().manual_seed(5))
    for rank, share in enumerate(x.chunk(3)):
        mine = degrade(share, torch.Generator().manual_seed(5), rank, 3)
        torch.testing.assert_close(mine, whole.chunk(3)[rank])


def test_batches_are_divided_by_identity(benchmark: Benchmark) -> None:
    common = (benchmark.train, 4, 2, 32, 16, True)
    whole = IdentityBatches(*common, seed=0, steps=3)
    shares = [IdentityBatches(*common, seed=0, steps=3, rank=r, processes=2) for r in range(2)]
    for step in range(3):
        parts = [share[step] for share in shares]
        people = [set(part["labels"].tolist()) for part in parts]
        assert [len(p) for p in people] == [2, 2] and people[0].isdisjoint(people[1])
        for name, value in whole[step].items():
            assert torch.equal(torch.cat([part[name] for part in parts]), value), name
    pairs = RealPairs(benchmark.train, 4, 32, 16, seed=0, steps=2)
    halves = [
        RealPairs(benchmark.train, 4, 32, 16, seed=0, steps=2, rank=r, processes=2)
        for r in range(2)
    ]
    for name, value in pairs[1].items():
        assert torch.equal(torch.cat([half[1][name] for half in halves]), value), name


def test_a_batch_that_cannot_be_shared_is_refused(benchmark: Benchmark) -> None:
    with pytest.raises(DireidError, match="batch of 4 cannot be shared by 3 processes"):
        RealPairs(benchmark.train, 4, 32, 16, seed=0, steps=2, rank=0, processes=3)
    with pytest.raises(DireidError, match=r"ddgan\.batch=8 .* by 3 processes: .* multiple of 3"):
        compute = Compute("cpu", world=World(0, 3))
        check_shares(load_preset("tiny", {"ddgan": {"batch": 8}}), compute)


def test_gpus_get_torchs_own_batch_normalisation() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.BatchNorm1d(4)))
    names = list(net.state_dict())
    gpu = synchronised(net, World(0, 2), torch.device("cuda"))
    assert isinstance(gpu[1], nn.SyncBatchNorm) and isinstance(gpu[2][0], nn.SyncBatchNorm)
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.BatchNorm1d(4)))
    net[2][0].bias.requires_grad_(False)
    cpu = synchronised(net, World(0, 2), torch.device("cpu"))
    assert list(cpu.state_dict()) == names
    assert not cpu[2][0].bias.requires_grad and cpu[2][0].weight.requires_grad
    x = torch.rand(3, 3, 2, 2)
    assert synchronised(net.eval(), World(), torch.device("cpu")) is net
    assert cpu.eval()[1](cpu[0](x)).shape == (3, 4, 2, 2)  # testing needs no other process


def apart(rank: int, port: int, config: Config, benchmark: Benchmark, out: str) -> None:
    """Each process has a folder of its own, and only the first finds a checkpoint in it."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank),
                   "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}  # fmt: skip
    torch.set_num_threads(1)
    compute = Compute("cpu", world=World.join(gpu=False))
    try:
        train(config, benchmark, compute, Path(out) / str(rank), ("identity",))
    except DireidError as error:
        (Path(out) / f"{rank}.txt").write_text(str(error))


def test_processes_that_do_not_share_a_disk_are_refused(benchmark, small, tmp_path: Path) -> None:
    config = load_preset("tiny", small)
    train(config, benchmark, Compute("cpu"), tmp_path / "0", ("identity",))
    multiprocessing.spawn(apart, (free_port(), config, benchmark, str(tmp_path)), nprocs=2)
    for rank in range(2):
        assert "on a disk that all share" in (tmp_path / f"{rank}.txt").read_text()


@pytest.mark.slow
def test_direid_train_runs_unchanged_under_torchrun(benchmark, small, tmp_path: Path) -> None:
    people = tmp_path / "people"
    folder.write(benchmark, people)
    words = []
    for key, value in flat(small | {"ddgan": {"batch": 4, "steps": 4}}):
        if key != "device":
            words += ["--set", f"{key}={json.dumps(value)}"]
    words = ["train", "--preset", "tiny", "--data", "folder", "--root", str(people),
             "--device", "cpu", *words]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment.pop("TQDM_DISABLE", None)  # which notebooks under test want

    def call(*command: str) -> subprocess.CompletedProcess:
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
                "--master-port", str(free_port()), "-m", "direid"]  # fmt: skip
    done = call(*torchrun, *words, "--out", str(tmp_path / "two"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained identity, ddgan, dfen") == 1  # one process speaks
    assert done.stderr.count("dfen     :   0%") == 1
    assert "Warning" not in done.stderr, done.stderr
    done = call(sys.executable, "-m", "direid", *words, "--out", str(tmp_path / "one"))
    assert done.returncode == 0, done.stderr
    for name in ("identity", "ddgan", "dfen"):
        logs = [
            [json.loads(x) for x in (tmp_path / n / "logs" / f"{name}.jsonl").open()]
            for n in ("one", "two")
        ]  # fmt: skip
        assert logs[0][0] == pytest.approx(logs[1][0], rel=1e-3, abs=1e-4)
        assert len(logs[0]) == len(logs[1]) == 4
        state = checkpoint.load(tmp_path / "two" / "checkpoints" / f"{name}.pt")
        assert not any(key.startswith("module.") for key in state["networks"])
    # what two processes trained, one evaluates, and one can go on from
    done = call(sys.executable, "-m", "direid", "evaluate", "--run", str(tmp_path / "two"))
    assert done.returncode == 0 and "DI-REID" in done.stdout, done.stderr
    refused = call(*torchrun, *words, "--out", str(tmp_path / "no"), "--set", "identity.people=3")
    assert refused.returncode != 0 and not (tmp_path / "no").exists()
    assert "identity.people=3 cannot be shared by 2 processes" in refused.stderr


def flat(settings: dict, prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for key, value in settings.items():
        inner: Callable | list = flat(value, f"{prefix}{key}.") if isinstance(value, dict) else []
        found += inner or [(prefix + key, value)]
    return found
