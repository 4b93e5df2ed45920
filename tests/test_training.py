"""The training loop and the stages: who moves, who must not, and runs that survive."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from direid import losses
from direid.config import Config, load_preset
from direid.data.paper_dolls import paper_dolls
from direid.data.records import Benchmark
from direid.degradations import SelfDegradation
from direid.errors import DireidError
from direid.models import DDGAN
from direid.training import engine
from direid.training.ddgan import CrossPhase, SelfPhase, train_ddgan
from direid.training.dfen import train_dfen
from direid.training.engine import Compute, Stage, fit
from direid.training.identity import train_identity

SMALL = {
    "save_every": 2,
    "log_every": 1,
    "device": "cpu",
    "network": {"height": 32, "width": 16, "base": 8, "content": 16, "invariant": 16,
                "scale_channels": 8, "encoder_base": 8, "decoder_hidden": 16, "critic_base": 8},
    "identity": {"people": 4, "images": 2, "steps": 4},
    "ddgan": {"batch": 2, "steps": 4},
    "dfen": {"steps": 4},
}  # fmt: skip
CPU = Compute("cpu")


@pytest.fixture(scope="module")
def benchmark() -> Benchmark:
    return paper_dolls(0, train_people=8, test_people=4, images_per_camera=2, height=32, width=16)


@pytest.fixture
def config() -> Config:
    return load_preset("tiny", SMALL)


def parameters(module: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten().clone() for p in module.parameters()])


def pair(batch: int = 2) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(3)
    x_i, x_k = torch.rand(2, batch, 3, 32, 16, generator=random)
    labels = torch.arange(batch)
    return {"image_i": x_i, "label_i": labels, "image_k": x_k, "label_k": labels + 1}


def phases(nets: DDGAN) -> Iterator[SelfPhase | CrossPhase]:
    batch = pair()
    x_j = SelfDegradation("resolution")(batch["image_i"], torch.Generator().manual_seed(0))
    yield SelfPhase(nets, CPU, batch["image_i"], x_j, batch["image_k"])
    yield CrossPhase(nets, CPU, batch)


NETWORKS = (
    "content_encoder", "degradation_encoder", "self_degradation_encoder", "decoder",
    "reality_discriminator", "degradation_discriminator", "identity_encoder", "neck",
)  # fmt: skip
ROUTES = {
    ("self", "invariable_content"): {"content_encoder"},
    ("self", "reconstruction"): {"content_encoder", "degradation_encoder", "decoder"},
    ("self", "identity_preserving"): {*NETWORKS[:4]},
    ("self", "reality"): {"content_encoder", "self_degradation_encoder", "decoder"},
    ("self", "degradation"): {*NETWORKS[:4]},
    ("cross", "identification"): {"content_encoder", "neck"},
    ("cross", "reconstruction"): {"content_encoder", "degradation_encoder", "decoder"},
    ("cross", "identity_preserving"): {"content_encoder", "degradation_encoder", "decoder"},
    ("cross", "reality"): {"content_encoder", "degradation_encoder", "decoder"},
    ("cross", "degradation"): {"content_encoder", "degradation_encoder", "decoder"},
    ("self", "D_r"): {"reality_discriminator"},
    ("self", "D_d"): {"degradation_discriminator"},
    ("cross", "D_r"): {"reality_discriminator"},
}


def moved(nets: DDGAN, loss: Tensor) -> set[str]:
    """The networks that ``loss`` has a gradient for."""
    names, parts = [], []
    for name in NETWORKS:
        for p in getattr(nets, name).parameters():
            if p.requires_grad:
                names.append(name)
                parts.append(p)
    gradients = torch.autograd.grad(loss, parts, retain_graph=True, allow_unused=True)
    return {n for n, g in zip(names, gradients, strict=True) if g is not None and g.any()}


def test_each_loss_moves_its_networks_and_no_other(config: Config) -> None:
    torch.manual_seed(0)
    nets = DDGAN(config.network, people=8).train()
    seen = set()
    for phase in phases(nets):
        for name, loss in phase.discriminator_losses(config.ddgan).items():
            assert moved(nets, loss) == ROUTES[phase.name, name], (phase.name, name)
            seen.add((phase.name, name))
        nets.reality_discriminator.requires_grad_(False)
        nets.degradation_discriminator.requires_grad_(False)
        wide = config.ddgan.model_copy(update={"epsilon": 100.0})  # no hinge is closed
        for name, loss in phase.generator_losses(wide).items():
            assert moved(nets, loss) == ROUTES[phase.name, name], (phase.name, name)
            seen.add((phase.name, name))
        nets.requires_grad_(True)
        nets.identity_encoder.requires_grad_(False)
    assert seen == set(ROUTES)


def test_a_loss_of_weight_zero_is_not_computed(config: Config, monkeypatch) -> None:
    def never(*arguments: object, **options: object) -> Tensor:
        raise AssertionError("computed")

    for name in ("degradation_ranking_self", "degradation_ranking_cross", "identification",
                 "reality_generator", "identity_preserving", "invariable_content"):  # fmt: skip
        monkeypatch.setattr(losses, name, never)
    off = dict.fromkeys(type(config.ddgan.weights).model_fields, 0) | {"reconstruction": 1}
    only = load_preset("tiny", {"ddgan": {"weights": off}}).ddgan
    monkeypatch.setattr(losses, "reality_discriminator", never)
    nets = DDGAN(config.network, people=8)
    for phase in phases(nets):
        assert set(phase.generator_losses(only)) == {"reconstruction"}
        assert set(phase.discriminator_losses(only)) <= {"D_d"}


@pytest.mark.parametrize("kept", ["identification", "invariable_content"])
def test_a_single_loss_of_one_phase_trains(kept: str, benchmark, tmp_path: Path) -> None:
    off = dict.fromkeys(type(load_preset("tiny").ddgan.weights).model_fields, 0) | {kept: 1}
    config = load_preset("tiny", SMALL | {"ddgan": SMALL["ddgan"] | {"weights": off}})
    common = (benchmark, config, CPU, tmp_path)
    identity = train_identity("identity", 2, True, *common)
    train_ddgan(identity.encoder, *common)
    logged = (tmp_path / "logs" / "ddgan.jsonl").read_text()
    assert kept in logged and "D_r" not in logged and "reality" not in logged


def test_the_printed_equations_3_and_5_can_be_chosen(config: Config) -> None:
    torch.manual_seed(0)
    nets = DDGAN(config.network, people=8).eval()
    phase = next(phases(nets))
    ours = phase.generator_losses(config.ddgan)
    printed = phase.generator_losses(config.ddgan.model_copy(update={"literal": True}))
    real_i, real_j = nets.identity_encoder(phase.x_i), nets.identity_encoder(phase.x_j)
    x_ij, x_ji = nets.identity_encoder(phase.fakes.ab), nets.identity_encoder(phase.fakes.ba)
    first = (x_ij - real_i).abs().mean()
    torch.testing.assert_close(ours["identity_preserving"], first + (x_ji - real_i).abs().mean())
    torch.testing.assert_close(printed["identity_preserving"], first + (x_ji - real_j).abs().mean())
    score = nets.degradation_discriminator.score
    s_i, s_j, s_ij, s_ji = (
        score(x) for x in (phase.x_i, phase.x_j, phase.fakes.ab, phase.fakes.ba)
    )
    first = (s_i - s_ij + 1).clamp_min(0).mean()
    torch.testing.assert_close(ours["degradation"], first + (s_ji - s_j + 1).clamp_min(0).mean())
    torch.testing.assert_close(printed["degradation"], first + (s_ji - s_i + 1).clamp_min(0).mean())
    same = set(ours) - {"identity_preserving", "degradation"}
    assert all(torch.equal(ours[name], printed[name]) for name in same)


def test_stages_hand_over_their_networks(benchmark, config, tmp_path: Path) -> None:
    common = (benchmark, config, CPU, tmp_path)
    identity = train_identity("identity", 4, True, *common)
    before = parameters(identity.encoder)
    ddgan = train_ddgan(identity.encoder, *common)
    torch.testing.assert_close(parameters(ddgan.identity_encoder), before, rtol=0, atol=0)
    judge = parameters(ddgan.degradation_discriminator)
    dfen = train_dfen(ddgan, identity, *common)
    torch.testing.assert_close(parameters(dfen.degradation_discriminator), judge, rtol=0, atol=0)
    assert not torch.equal(parameters(dfen.identity_encoder), before)
    torch.testing.assert_close(parameters(identity.encoder), before, rtol=0, atol=0)
    log = (tmp_path / "logs" / "ddgan.jsonl").read_text()
    assert log.count("\n") == 4
    assert '"self/invariable_content"' in log and '"cross/identification"' in log


def test_a_stage_learns(benchmark, config, tmp_path: Path) -> None:
    network = train_identity("identity", 150, True, benchmark, config, CPU, tmp_path)
    lines = (tmp_path / "logs" / "identity.jsonl").read_text().splitlines()
    entropy = [float(line.split('"identification": ')[1].split(",")[0]) for line in lines]
    assert sum(entropy[-5:]) < 0.8 * sum(entropy[:5])
    assert network.training


class Killed(Exception):
    pass


@pytest.mark.parametrize("stage", ["identity", "ddgan", "dfen"])
def test_a_killed_stage_resumes_to_the_same_weights(
    stage: str, benchmark, config, tmp_path: Path, monkeypatch
) -> None:
    def whole(folder: Path) -> Tensor:
        common = (benchmark, config, CPU, folder)
        identity = train_identity("identity", 4, True, *common)
        ddgan = train_ddgan(identity.encoder, *common)
        dfen = train_dfen(ddgan, identity, *common)
        return parameters({"identity": identity, "ddgan": ddgan, "dfen": dfen}[stage])

    expected = whole(tmp_path / "whole")
    real, calls = engine.save, []

    def save_then_die(state: dict, path: Path) -> None:
        real(state, path)
        if path.stem == stage and not calls:
            calls.append(state["step"])
            raise Killed

    monkeypatch.setattr(engine, "save", save_then_die)
    with pytest.raises(Killed):
        whole(tmp_path / "killed")
    assert calls == [2]
    torch.testing.assert_close(whole(tmp_path / "killed"), expected, rtol=0, atol=0)
    logs = [tmp_path / name / "logs" / f"{stage}.jsonl" for name in ("whole", "killed")]
    assert logs[0].read_text() == logs[1].read_text()


class Ones(Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        return {"images": torch.ones(2, 3, 4, 4)}


def toy(step) -> Stage:  # noqa: ANN001
    net = nn.Linear(1, 1)
    return Stage("toy", 4, Ones(), net, {"sgd": torch.optim.SGD(net.parameters(), 0.1)}, step)


def test_a_loss_that_is_not_finite_stops_with_its_name(config: Config, tmp_path: Path) -> None:
    def step(number: int, batch: dict) -> dict:
        return {"fine": torch.tensor(1.0), "bad": torch.tensor(float("nan") if number == 3 else 0)}

    with pytest.raises(DireidError, match=r"toy: loss 'bad' became nan at step 3 \(last good"):
        fit(toy(step), CPU, config, tmp_path, "hash")
    assert engine.load(tmp_path / "checkpoints" / "toy.pt")["step"] == 2


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.pt"
    first = {"step": 1, "networks": {}, "split_hash": "aaaa"}
    engine.save(first, path)

    def full(state: dict, file) -> None:  # noqa: ANN001
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(DireidError, match=r"a\.pt: cannot save.*No space left"):
        engine.save({"step": 2}, path)
    monkeypatch.undo()
    assert engine.load(path) == first
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_and_foreign_checkpoints_are_refused(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "toy.pt"
    with pytest.raises(DireidError, match="no such checkpoint"):
        engine.load(path)
    path.parent.mkdir()
    path.write_bytes(b"")
    with pytest.raises(DireidError, match=r"toy\.pt: not a readable checkpoint.*delete it"):
        engine.load(path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(DireidError, match=r"toy\.pt: not a readable checkpoint"):
        engine.load(path)
    path.unlink()

    def step(number: int, batch: dict) -> dict:
        return {"loss": torch.tensor(0.0)}

    fit(toy(step), CPU, config, tmp_path, "aaaa")
    with pytest.raises(DireidError, match="trained on split aaaa, asked to work on split bbbb"):
        fit(toy(step), CPU, config, tmp_path, "bbbb")


def test_a_checkpoint_of_other_settings_is_refused(benchmark, config, tmp_path: Path) -> None:
    train_identity("identity", 2, True, benchmark, config, CPU, tmp_path)
    other = load_preset("tiny", SMALL | {"identity": SMALL["identity"] | {"rate": 0.5}})
    with pytest.raises(DireidError, match=r"other settings \(identity\.rate: 0\.001, now 0\.5\)"):
        train_identity("identity", 2, True, benchmark, other, CPU, tmp_path)
    elsewhere = load_preset("tiny", SMALL | {"workers": 1, "save_every": 7})  # decides nothing
    train_identity("identity", 2, True, benchmark, elsewhere, CPU, tmp_path)


def test_a_checkpoint_past_the_asked_steps_is_refused(benchmark, config, tmp_path: Path) -> None:
    train_identity("identity", 4, True, benchmark, config, CPU, tmp_path)
    with pytest.raises(DireidError, match=r"identity\.pt: already at step 4, asked for 2"):
        train_identity("identity", 2, True, benchmark, config, CPU, tmp_path)


def test_a_file_of_another_program_is_no_checkpoint(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(DireidError, match=r"other\.pt: not a readable checkpoint"):
        engine.load(tmp_path / "other.pt")


def test_a_cut_line_of_a_log_is_dropped(config: Config, tmp_path: Path) -> None:
    def step(number: int, batch: dict) -> dict:
        return {"loss": torch.tensor(float(number))}

    fit(toy(step), CPU, config, tmp_path, "hash")
    log = tmp_path / "logs" / "toy.jsonl"
    whole = log.read_text()
    for cut in ('{"step": 4, "lo', '{"step": 3, "loss": 3.0}'):
        log.write_text(whole + cut)
        fit(toy(step), CPU, config, tmp_path, "hash")
        assert log.read_text() == whole


def test_rates_warm_up_hold_and_fall() -> None:
    stage = toy(lambda number, batch: {})
    stage.steps, stage.warmup = 100, 0.1
    (group,) = stage.optimisers["sgd"].param_groups
    rates = []
    for step in range(100):
        stage.schedule(step)
        rates.append(group["lr"])
    assert rates[0] == pytest.approx(0.01)
    assert rates[9:61] == pytest.approx([0.1] * 52)
    assert rates[80] == pytest.approx(0.05)
    assert rates[99] == pytest.approx(0.0025)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "tpu", "meta", "hpu", "xla", ""])
def test_unknown_device_is_one_line(name: str) -> None:
    with pytest.raises(DireidError, match=f"device '{name}' cannot be used") as caught:
        Compute(name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_numbered_cpu_is_the_cpu() -> None:
    assert Compute("cpu:3").device == torch.device("cpu")


def test_float16_on_a_cpu_is_refused() -> None:
    with pytest.raises(DireidError, match="float16.*needs a GPU"):
        Compute("cpu", "float16")


def test_mixed_precision_trains_a_whole_run(benchmark, config, tmp_path: Path) -> None:
    compute = Compute("cpu", "bfloat16")
    common = (benchmark, config, compute, tmp_path)
    identity = train_identity("identity", 4, True, *common)
    ddgan = train_ddgan(identity.encoder, *common)
    dfen = train_dfen(ddgan, identity, *common)
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in dfen.parameters())
    with compute.autocast():
        seen = identity(torch.rand(2, 3, 32, 16))
    assert seen.logits.dtype == seen.retrieval.dtype == torch.float32


@pytest.mark.slow
def test_one_iteration_of_the_paper_preset(tmp_path: Path) -> None:
    benchmark = paper_dolls(
        0, train_people=4, test_people=2, images_per_camera=1, height=256, width=128
    )
    settings = {
        "device": "cpu", "workers": 0, "network": {"pretrained": False},
        "identity": {"people": 2, "images": 2, "steps": 1},
        "ddgan": {"batch": 2, "steps": 2}, "dfen": {"steps": 1},
    }  # fmt: skip
    config = load_preset("paper", settings)
    common = (benchmark, config, CPU, tmp_path)
    identity = train_identity("identity", 1, True, *common)
    ddgan = train_ddgan(identity.encoder, *common)
    before = parameters(ddgan.content_encoder)
    dfen = train_dfen(ddgan, identity, *common)
    after = parameters(dfen.content_encoder)
    assert after.isfinite().all()
    assert not torch.equal(before, after)
