"""Where and how precisely a run computes: devices, precision, scaling, determinism, workers."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from direid.config import Config, load_preset
from direid.errors import DireidError
from direid.models import DDGAN, DFEN, IdentityNetwork
from direid.training.compute import Compute, NotFiniteError, find_device
from direid.training.ddgan import ddgan_stage
from direid.training.dfen import dfen_stage
from direid.training.engine import fit
from direid.training.identity import identity_stage
from direid.training.replay import Memory
from direid.training.stages import METHOD, train


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "tpu", "meta", "hpu", "xla", ""])
def test_unknown_device_is_one_line(name: str) -> None:
    with pytest.raises(DireidError, match=f"device '{name}' cannot be used") as caught:
        Compute(name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_numbered_cpu_is_the_cpu() -> None:
    assert Compute("cpu:3").device == torch.device("cpu")


@pytest.mark.parametrize(("name", "index"), [("auto", 0), ("cuda", 0), ("cuda:1", 1)])
def test_a_gpu_has_a_number(name: str, index: int, monkeypatch) -> None:
    """Some calls want it; here the driver is missing, so what would reach it is caught."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    monkeypatch.setattr(torch, "zeros", lambda *a, device: torch.ones(1))
    monkeypatch.setattr(torch._C, "_cuda_setDevice", chosen.append, raising=False)
    assert find_device(name) == torch.device("cuda", index)
    assert chosen == [index]


def test_float16_on_a_cpu_is_refused() -> None:
    with pytest.raises(DireidError, match="float16.*needs a GPU"):
        Compute("cpu", "float16")


@pytest.mark.parametrize(("native", "chosen"), [(True, "bfloat16"), (False, "float32")])
def test_auto_is_bfloat16_where_it_is_native(native: bool, chosen: str, monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    assert Compute("cpu", "auto").precision == chosen


def test_mixed_precision_trains_a_whole_run(benchmark, config: Config, tmp_path: Path) -> None:
    compute = Compute("cpu", "bfloat16")
    nets = train(config, benchmark, compute, tmp_path, METHOD)
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in nets.dfen.parameters())
    with compute.autocast():
        seen = nets.identity(torch.rand(2, 3, 32, 16))
    assert seen.logits.dtype == seen.retrieval.dtype == torch.float32


FAULTS = """
import resource, sys, torch
from torch import nn
from direid.training.compute import Compute
if sys.argv[1] == "placed":
    Compute("cpu").place(nn.Linear(1, 1))
for step in range(40):
    if step == 20:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(16, 2**20) for _ in range(2)]  # 64 MiB each
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_memory_that_a_step_frees_is_not_cleared_for_the_next() -> None:
    faults = {
        how: int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True,
                                text=True, check=True).stdout)
        for how in ("placed", "not placed")
    }  # fmt: skip
    assert faults["not placed"] > 20 * 2**27 / 2**22  # huge pages are 2 MiB, others far smaller
    assert faults["placed"] < faults["not placed"] / 20


def test_a_run_does_not_change_its_precision_half_way(benchmark, small, tmp_path: Path) -> None:
    config = load_preset("tiny", small)
    train(config, benchmark, Compute("cpu"), tmp_path, ("identity",))
    state = torch.load(tmp_path / "checkpoints" / "identity.pt", weights_only=True)
    state["step"] = 2
    torch.save(state, tmp_path / "checkpoints" / "identity.pt")
    with pytest.raises(DireidError, match=r"in float32, asked to go on in bfloat16.*precision=fl"):
        train(config, benchmark, Compute("cpu", "bfloat16"), tmp_path, ("identity",))


def weight() -> tuple[nn.Parameter, torch.optim.Optimizer]:
    p = nn.Parameter(torch.tensor([3.0, 4.0]))
    return p, torch.optim.SGD([p], lr=1.0)


def test_clipping_shortens_the_gradient_and_keeps_its_direction() -> None:
    p, optimiser = weight()
    compute = Compute("cpu", clip=1.0)
    losses = {"half": p.square().sum() / 2}  # gradient (3, 4), norm 5
    compute.descend(losses, {}, optimiser, lambda: losses)
    torch.testing.assert_close(p.detach(), torch.tensor([3 - 0.6, 4 - 0.8]), rtol=1e-5, atol=1e-5)
    p, optimiser = weight()
    losses = {"half": p.square().sum() / 2}
    Compute("cpu", clip=6.0).descend(losses, {}, optimiser, lambda: losses)
    torch.testing.assert_close(p.detach(), torch.zeros(2))


def test_losses_are_weighed_and_reported_unweighted() -> None:
    p, optimiser = weight()
    losses = {"a": p[0] * 1, "b": p[1] * 1}
    said = Compute("cpu").descend(losses, {"a": 0.5}, optimiser, lambda: losses)
    assert said == {"a": 3.0, "b": 4.0}
    assert p.tolist() == [2.5, 3.0]


class Halving(Compute):
    """A CPU with a float16 scaler, as a GPU would have; everything else in float32."""

    def __init__(self, scale: float) -> None:
        super().__init__("cpu")
        self.scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=2)


def test_the_scaler_skips_an_overflow_and_is_updated_once_an_iteration(
    benchmark, config: Config, tmp_path: Path
) -> None:
    compute = Halving(2.0**127)  # the first scaled losses are infinite
    nets = compute.place(DDGAN(config.network, benchmark.people)).train()
    stage = ddgan_stage(nets, benchmark, config, compute)
    updates = []
    real = compute.scaler.update
    compute.scaler.update = lambda *a: updates.append(1) or real(*a)
    before = [p.clone() for p in nets.generator.parameters()]
    fit(stage, compute, config, tmp_path, benchmark)
    assert len(updates) == 4  # iterations, each with two optimisers' steps
    assert compute.scaler.get_scale() <= 2.0**126
    assert all(map(torch.equal, nets.generator.parameters(), before))  # all four overflowed
    compute.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=2)
    stage.step(0, stage.batches[0])
    compute.scaler.update()
    assert not all(map(torch.equal, nets.generator.parameters(), before))


def test_a_phase_in_which_nobody_moves_leaves_the_scale_alone(benchmark, small, tmp_path) -> None:
    off = dict.fromkeys(type(load_preset("tiny").ddgan.weights).model_fields, 0)
    settings = small | {"ddgan": small["ddgan"] | {"weights": off | {"identification": 1}},
                        "readings": {"ranking": "printed"}}  # fmt: skip
    config, compute = load_preset("tiny", settings), Halving(2.0**10)
    nets = compute.place(DDGAN(config.network, benchmark.people))
    fit(ddgan_stage(nets, benchmark, config, compute), compute, config, tmp_path, benchmark)
    assert compute.scaler.get_scale() == 2.0**11  # two of four steps moved somebody


def test_a_finished_stage_may_have_had_no_scale(benchmark, small, tmp_path: Path) -> None:
    config = load_preset("tiny", small)
    train(config, benchmark, Compute("cpu"), tmp_path, ("identity",))
    assert train(config, benchmark, Halving(1.0), tmp_path, ("identity",)).identity is not None


def test_scaled_gradients_move_as_unscaled_ones_and_are_clipped_unscaled() -> None:
    for scale, clip in ((1.0, 0.0), (1024.0, 0.0), (1024.0, 1.0)):
        p, optimiser = weight()
        compute = Halving(scale)
        compute.clip = clip
        compute.descend({"half": p.square().sum() / 2}, {}, optimiser, dict)
        expected = torch.tensor([2.4, 3.2]) if clip else torch.zeros(2)
        torch.testing.assert_close(p.detach(), expected, rtol=1e-5, atol=1e-5)


def test_a_gradient_that_no_scale_can_mend_stops_the_run() -> None:
    p, optimiser = weight()
    compute = Halving(2.0**-4)
    losses = {"root": (p - p.detach()).abs().sum().sqrt()}
    with pytest.raises(NotFiniteError, match="gradient of loss 'root'"):
        compute.descend(losses, {}, optimiser, lambda: {
            "root": (p - p.detach()).abs().sum().sqrt()})  # fmt: skip


def test_the_rules_of_a_training_end_with_it() -> None:
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    with Compute("cpu", deterministic=True).rules():
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
    assert (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark) == before
    with Compute("cpu").rules():
        assert torch.backends.cudnn.benchmark


@pytest.mark.parametrize("settings", [{"deterministic": True}, {"workers": 2}, {}])
def test_equal_seeds_give_equal_weights(settings: dict, benchmark, small, tmp_path) -> None:
    """In deterministic mode too, and with loader processes: the same weights bit by bit."""
    found = []
    for number, more in enumerate(({}, settings)):
        torch.rand(number)  # whatever the program drew before
        config = load_preset("tiny", small | more)
        nets = train(config, benchmark, Compute.of(config), tmp_path / str(number), METHOD)
        found.append(nets.dfen.state_dict())
    assert all(torch.equal(found[0][name], value) for name, value in found[1].items())


class Meta(Compute):
    """The device «meta», on which a tensor has a shape and a place but no values.

    To mix it with a tensor of another device is an error, as on a GPU.
    """

    def __init__(self) -> None:
        super().__init__("cpu")
        self.device = torch.device("meta")
        self.asked = 0

    def generator(self, *seeds: int) -> torch.Generator:
        return torch.Generator()  # «meta» has none; what it draws is moved

    def read(self, losses: dict[str, Tensor], norm: Tensor) -> tuple[dict[str, float], float]:
        tensors = [*losses.values(), norm]
        assert all(x.device.type == "meta" for x in tensors)
        torch.stack([*(x.detach().float() for x in tensors)])
        self.asked += 1  # values are asked for here and nowhere else: a GPU waits only here
        return dict.fromkeys(losses, 0.0), 0.0


EVERYTHING = {
    "later": {"cycle": 1, "gradient_penalty": 1, "poor_cameras": [2], "smoothing": 1, "replay": 1},
    "clip": 1.0,
}


@pytest.mark.parametrize("more", [{}, EVERYTHING, {"readings": {"ranking": "printed"}}])
@pytest.mark.parametrize(
    "degradation", ["resolution", "illumination", "blur", "noise", "haze+noise"]
)
def test_no_tensor_of_a_step_is_made_on_the_wrong_device(
    more: dict, degradation: str, benchmark, small, monkeypatch
) -> None:
    mixed = torch.autocast  # knows no «meta»
    monkeypatch.setattr(torch, "autocast", lambda kind, *a, **k: mixed("cpu", *a, **k))
    compute = Meta()
    settings = small | more | {"self_degradation": degradation}
    settings["ddgan"] = small["ddgan"] | {"average": 0.9}
    config = load_preset("tiny", settings)
    people = benchmark.people
    ddgan = compute.place(DDGAN(config.network, people)).train()
    stages = [
        identity_stage("tricks", 4, True, compute.place(IdentityNetwork(config.network, people)),
                       benchmark, config, compute),
        ddgan_stage(ddgan, benchmark, config, compute),
    ]  # fmt: skip
    for number in range(2):
        for stage in stages:
            batch = compute.send(stage.batches[number])
            assert all(tensor.device.type == "meta" for tensor in batch.values())
            assert stage.step(number, batch)
    memory = (
        Memory(ddgan.generator, benchmark.train, config, compute) if more.get("later") else None
    )
    network = compute.place(DFEN(config.network, people, config.dfen, config.readings))
    last = dfen_stage(network, memory, benchmark, config, compute)
    assert last.step(0, compute.send(last.batches[0]))
    assert compute.asked == 2 + 4 + 1  # once for each player of a step
    for stage in (*stages, last):
        assert all(p.device.type == "meta" for p in stage.networks.parameters())
