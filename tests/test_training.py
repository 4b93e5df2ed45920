"""The training loop and the stages: what they hand over, what they refuse, what they log."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset

from direid.config import ABLATIONS, LITERAL, load_preset, merge
from direid.data.paper_dolls import paper_dolls
from direid.data.records import hide_labels
from direid.degradations import SelfDegradation
from direid.errors import DireidError
from direid.models import DDGAN, DFEN
from direid.training import checkpoint
from direid.training.compute import Compute
from direid.training.ddgan import train_ddgan
from direid.training.dfen import train_dfen
from direid.training.engine import Stage, fit
from direid.training.identity import train_identity
from direid.training.replay import Memory
from direid.training.stages import METHOD, load_networks, train, wanted_stages

CPU = Compute("cpu")


def parameters(module: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten().clone() for p in module.parameters()])


@pytest.mark.parametrize("kept", ["identification", "invariable_content"])
def test_a_single_loss_of_one_phase_trains(kept: str, benchmark, small, tmp_path: Path) -> None:
    off = dict.fromkeys(type(load_preset("tiny").ddgan.weights).model_fields, 0) | {kept: 1}
    config = load_preset("tiny", small | {"ddgan": small["ddgan"] | {"weights": off}})
    common = (benchmark, config, CPU, tmp_path)
    identity = train_identity("identity", 2, True, *common)
    train_ddgan(identity.encoder, *common)
    logged = (tmp_path / "logs" / "ddgan.jsonl").read_text()
    assert kept in logged and "D_r" not in logged and "reality" not in logged


def test_stages_hand_over_their_networks(benchmark, config, tmp_path: Path) -> None:
    common = (benchmark, config, CPU, tmp_path)
    identity = train_identity("identity", 4, True, *common)
    before = parameters(identity.encoder)
    ddgan = train_ddgan(identity.encoder, *common)
    torch.testing.assert_close(parameters(ddgan.identity_encoder), before, rtol=0, atol=0)
    judge = parameters(ddgan.discriminators.degradation)
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


class Ones(Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        return {"images": torch.ones(2, 3, 4, 4)}


def toy(step) -> Stage:  # noqa: ANN001
    net = nn.Linear(1, 1)
    return Stage("toy", 4, Ones(), net, {"sgd": torch.optim.SGD(net.parameters(), 0.1)}, step)


def constant(value: float):  # noqa: ANN202
    return lambda number, batch: {"loss": value}


def test_damaged_and_foreign_checkpoints_are_refused(benchmark, config, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "toy.pt"
    with pytest.raises(DireidError, match="no such checkpoint"):
        checkpoint.load(path)
    path.parent.mkdir()
    path.write_bytes(b"")
    with pytest.raises(DireidError, match=r"toy\.pt: not a readable checkpoint.*delete it"):
        checkpoint.load(path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(DireidError, match=r"toy\.pt: not a readable checkpoint"):
        checkpoint.load(path)
    path.unlink()
    fit(toy(constant(0.0)), CPU, config, tmp_path, benchmark)
    other = paper_dolls(1, train_people=8, test_people=4, images_per_camera=2, height=32, width=16)
    hashes = f"{benchmark.split_hash[:12]}.*{other.split_hash[:12]}"
    with pytest.raises(DireidError, match=f"trained on split {hashes}"):
        fit(toy(constant(0.0)), CPU, config, tmp_path, other)


def test_a_checkpoint_of_other_settings_is_refused(benchmark, config, small, tmp_path) -> None:
    train_identity("identity", 2, True, benchmark, config, CPU, tmp_path)
    other = load_preset("tiny", small | {"identity": small["identity"] | {"rate": 0.5}})
    with pytest.raises(DireidError, match=r"other settings \(identity\.rate: 0\.001, now 0\.5\)"):
        train_identity("identity", 2, True, benchmark, other, CPU, tmp_path)
    elsewhere = load_preset("tiny", small | {"workers": 1, "save_every": 7})  # decides nothing
    train_identity("identity", 2, True, benchmark, elsewhere, CPU, tmp_path)


def test_a_checkpoint_past_the_asked_steps_is_refused(benchmark, config, tmp_path: Path) -> None:
    train_identity("identity", 4, True, benchmark, config, CPU, tmp_path)
    with pytest.raises(DireidError, match=r"identity\.pt: already at step 4, asked for 2"):
        train_identity("identity", 2, True, benchmark, config, CPU, tmp_path)


def test_a_file_of_another_program_is_no_checkpoint(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(DireidError, match=r"other\.pt: not a readable checkpoint"):
        checkpoint.load(tmp_path / "other.pt")


def test_lines_after_the_last_checkpoint_are_written_again(benchmark, config, tmp_path) -> None:
    def step(number: int, batch: dict) -> dict:
        if number == 3 and not (tmp_path / "again").exists():
            raise KeyboardInterrupt
        return {"loss": float(number)}

    log = tmp_path / "logs" / "toy.jsonl"
    for cut in ('{"step": 3, "lo', '{"step": 3, "loss": 3.0}', "{}"):
        with pytest.raises(KeyboardInterrupt):
            fit(toy(step), CPU, config, tmp_path, benchmark)
        assert [json.loads(line)["step"] for line in log.open()] == [0, 1, 2]
        with log.open("a") as file:
            file.write(cut)  # step 2 comes again too: its checkpoint was never written
        (tmp_path / "again").touch()
        fit(toy(step), CPU, config, tmp_path, benchmark)
        assert [json.loads(line) for line in log.open()] == [
            {"step": number, "loss": float(number)} for number in range(4)
        ]
        (tmp_path / "again").unlink()
        (tmp_path / "checkpoints" / "toy.pt").unlink()


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


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_every_ablation_trains_and_is_tested(ablation: str, benchmark, small, tmp_path) -> None:
    settings = small | {"ddgan": {"batch": 2}} if ablation == "without_dil" else small
    config = load_preset("tiny", settings, ablation)
    nets = train(config, benchmark, CPU, tmp_path, METHOD)
    x = torch.rand(3, 3, 32, 16, generator=torch.Generator().manual_seed(0))
    wide = {"f_inv_only": 16, "f_sen_only": nets.identity.encoder.features}
    expected = wide.get(ablation, 16 + nets.identity.encoder.features)
    loaded = load_networks(tmp_path, CPU, config, benchmark)
    with torch.no_grad():
        vectors = nets.dfen.eval().embed(x)
        assert vectors.shape == (3, expected)
        torch.testing.assert_close(loaded.dfen.eval().embed(x), vectors, rtol=0, atol=0)
    trunk = parameters(nets.ddgan.generator.content_encoder.trunk)
    untouched = torch.equal(trunk, parameters(nets.identity.encoder.trunk))
    assert untouched == (ablation == "without_dil")
    assert len(nets.ddgan.generator.content_encoder.lateral) == (
        1 if ablation == "without_multi_scale" else 4
    )
    attended = nets.dfen(x).attention is not None
    assert attended == (ablation == "without_multi_scale")


@pytest.mark.parametrize(
    "later",
    [{"smoothing": 5}, {"replay": 1}, {"cycle": 45}, {"gradient_penalty": 0.01},
     {"poor_cameras": [2]}],
)  # fmt: skip
def test_every_later_idea_trains(later: dict, benchmark, small, tmp_path: Path) -> None:
    config = load_preset("tiny", small | {"later": later})
    nets = train(config, benchmark, CPU, tmp_path, METHOD)
    assert all(p.isfinite().all() for p in nets.dfen.parameters())
    logged = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    name = {"gradient_penalty": "cross/D_r_penalty", "poor_cameras": "cross/D_d"}
    (idea,) = later
    assert f'"{name.get(idea, idea)}"' in logged.replace("cross/cycle", "cycle")


def test_later_ideas_are_off_by_default() -> None:
    for preset in ("tiny", "small", "paper"):
        later = load_preset(preset).later
        assert not any(later.model_dump().values())


def test_the_literal_paper_trains(benchmark, small, tmp_path: Path) -> None:
    nets = train(load_preset("tiny", small | LITERAL), benchmark, CPU, tmp_path, METHOD)
    assert all(p.isfinite().all() for p in nets.dfen.parameters())
    assert '"cross/D_d"' in (tmp_path / "logs" / "ddgan.jsonl").read_text()


def test_a_stage_brings_those_that_it_builds_on() -> None:
    assert wanted_stages(["dfen"]) == METHOD
    assert wanted_stages(["tricks", "identity"]) == ("tricks", "identity")
    assert wanted_stages(["ddgan", "resnet"]) == ("resnet", "identity", "ddgan")
    with pytest.raises(DireidError, match="unknown stage 'dfn': choose from resnet, tricks"):
        wanted_stages(["dfn"])


def test_a_stage_reads_no_setting_but_its_own(benchmark, config, small, tmp_path: Path) -> None:
    """What ``stage_settings`` leaves out may be anything: the weights are the same, bit by bit."""
    other = {
        "identity": {
            "network": {"scales": [3], "content": 8, "code": 8, "critic_base": 4},
            "self_degradation": "noise", "ddgan": {"rate": 1e-2, "steps": 2},
            "dfen": {"rate": 1e-2, "attention": False}, "later": {"cycle": 1},
            "readings": {"equation_3": "x_j"}, "identity": {"degraded": 1.0},
        },
        "ddgan": {"dfen": {"rate": 1e-2, "attention": False}, "identity": {"degraded": 1.0}},
    }  # fmt: skip
    train(config, benchmark, CPU, tmp_path / "ours", ("ddgan",))
    for stage, changes in other.items():
        changed = load_preset("tiny", merge(small, changes))
        assert changed.stage_settings(stage) == config.stage_settings(stage)
        train(changed, benchmark, CPU, tmp_path / stage, (stage,))
        ours, theirs = (
            checkpoint.load(tmp_path / folder / "checkpoints" / f"{stage}.pt")["networks"]
            for folder in ("ours", stage)
        )
        assert all(torch.equal(ours[name], theirs[name]) for name in ours), stage
    changed = load_preset("tiny", merge(small, {"identity": {"rate": 1e-2}}))
    assert changed.stage_settings("identity") != config.stage_settings("identity")
    assert config.stage_settings("resnet")["identity"]["steps"] == config.fair_steps


def test_the_competitor_sees_degraded_images(benchmark, config, tmp_path, monkeypatch) -> None:
    """A share of each batch goes through F_deg, and the labels stay whose they were."""
    shares = []

    def spy(self, images, chance, generator, rank=0, processes=1):  # noqa: ANN001, ANN202
        mixed = real(self, images, chance, generator, rank, processes)
        shares.append((mixed != images).flatten(1).any(dim=1).float().mean().item())
        assert chance == config.identity.degraded
        return mixed

    real = SelfDegradation.some
    monkeypatch.setattr(SelfDegradation, "some", spy)
    long = config.model_copy(
        update={"identity": config.identity.model_copy(update={"steps": 40}), "save_every": 100}
    )
    train(long, benchmark, CPU, tmp_path, ("tricks", "augmented"))
    assert len(shares) == long.fair_steps  # and none for the tricks alone
    assert 0.4 < sum(shares) / len(shares) < 0.6
    states = [
        checkpoint.load(tmp_path / "checkpoints" / f"{name}.pt") for name in ("tricks", "augmented")
    ]
    assert states[0]["step"] == states[1]["step"] == long.fair_steps
    assert not torch.equal(*(s["networks"]["neck.classifier.weight"] for s in states))


def test_samples_are_stored_at_intervals_and_change_nothing(benchmark, small, tmp_path) -> None:
    runs = {}
    for every in (0, 2):
        config = load_preset("tiny", small | {"sample_every": every})
        nets = train(config, benchmark, CPU, tmp_path / str(every), ("ddgan",))
        runs[every] = nets.ddgan.state_dict()
    assert not (tmp_path / "0" / "samples").exists()
    samples = sorted((tmp_path / "2" / "samples").iterdir())
    assert [path.name for path in samples] == ["ddgan_000002.png", "ddgan_000004.png"]
    with Image.open(samples[0]) as image:
        assert image.size == (6 * 18 + 2, 2 * 34 + 2)  # rows of six, with borders of 2 pixels
    assert all(torch.equal(runs[0][name], value) for name, value in runs[2].items())


def test_tensorboard_shows_what_the_log_says(benchmark, config, tmp_path: Path) -> None:
    board = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train_identity("identity", 4, True, benchmark, config, CPU, tmp_path)
    events = board.EventAccumulator(str(tmp_path / "tensorboard" / "identity"))
    events.Reload()
    lines = map(json.loads, (tmp_path / "logs" / "identity.jsonl").read_text().splitlines())
    shown = {event.step: event.value for event in events.Scalars("triplet")}
    assert shown == pytest.approx({line["step"]: line["triplet"] for line in lines}, abs=1e-5)
    assert len(shown) == 4


def test_the_average_is_what_a_run_hands_over(benchmark, small, tmp_path: Path) -> None:
    settings = small | {"ddgan": small["ddgan"] | {"average": 0.5}}
    config = load_preset("tiny", settings)
    nets = train(config, benchmark, CPU, tmp_path, ("ddgan",))
    state = checkpoint.load(tmp_path / "checkpoints" / "ddgan.pt")
    name = next(k for k in state["networks"] if k.startswith("generator.decoder") and "weight" in k)
    average = state["average"]["module" + name.removeprefix("generator")]
    assert torch.equal(nets.ddgan.state_dict()[name], average)
    assert not torch.equal(state["networks"][name], average)
    loaded = load_networks(tmp_path, CPU, config, benchmark).ddgan.state_dict()
    assert torch.equal(loaded[name], average)


def test_weights_are_not_tested_on_people_they_learnt(benchmark, config, tmp_path: Path) -> None:
    train(config, benchmark, CPU, tmp_path, ("identity",))
    swapped = type(benchmark)(
        benchmark.name, train=benchmark.query + benchmark.gallery,
        query=tuple(r for r in benchmark.train if r.camid == 2),
        gallery=tuple(r for r in benchmark.train if r.camid == 1),
    )  # fmt: skip
    hashes = f"{benchmark.split_hash[:12]}.*{swapped.split_hash[:12]}.*8 of whose 8 test people"
    with pytest.raises(DireidError, match=f"identity.pt: trained on split {hashes}"):
        load_networks(tmp_path, CPU, config, swapped)
    elsewhere = type(benchmark)("another set", swapped.train, swapped.query, swapped.gallery)
    assert load_networks(tmp_path, CPU, config, elsewhere).identity is not None


def test_two_folders_may_number_their_people_alike(benchmark, config, tmp_path: Path) -> None:
    """In folders of a user's own it is images that tell whether people were seen before."""
    other = paper_dolls(3, train_people=8, test_people=8, images_per_camera=2, height=32, width=16)

    def as_folder(of, train, test):  # noqa: ANN001, ANN202
        def numbered(records):  # noqa: ANN001, ANN202
            numbers = {pid: n for n, pid in enumerate(sorted({r.pid for r in records}))}
            return tuple(replace(r, pid=numbers[r.pid]) for r in records)

        test = numbered(test)
        train = tuple(replace(r, pid=r.pid + 500) for r in numbered(train))
        return type(benchmark)(
            "folder", train=train, query=tuple(r for r in test if r.camid == 2),
            gallery=tuple(r for r in test if r.camid == 1),
        )  # fmt: skip

    mine = as_folder(benchmark, benchmark.train, benchmark.query + benchmark.gallery)
    train(config, mine, CPU, tmp_path, ("identity",))
    theirs = as_folder(other, other.train, other.query + other.gallery)
    assert load_networks(tmp_path, CPU, config, theirs).identity is not None
    swapped = as_folder(benchmark, benchmark.query + benchmark.gallery, benchmark.train)
    with pytest.raises(DireidError, match="8 of whose 8 test people"):
        load_networks(tmp_path, CPU, config, swapped)


def test_replayed_images_are_seen_by_f_inv_alone(config, monkeypatch) -> None:
    network = DFEN(config.network, 8).eval()
    x, again = torch.rand(2, 3, 3, 32, 16, generator=torch.Generator().manual_seed(0))
    sizes = []
    real = network.identity_encoder.forward
    monkeypatch.setattr(
        network.identity_encoder, "forward", lambda x: sizes.append(len(x)) or real(x)
    )
    seen = network(x, again)
    assert sizes == [3]
    for name, branch in network(x).branches().items():
        torch.testing.assert_close(getattr(seen, name).logits, branch.logits)
    torch.testing.assert_close(seen.replayed.logits, network(again).invariant.logits)


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
    before = parameters(ddgan.generator.content_encoder)
    dfen = train_dfen(ddgan, identity, *common)
    after = parameters(dfen.content_encoder)
    assert after.isfinite().all()
    assert not torch.equal(before, after)


def test_hidden_labels_teach_nothing(benchmark, small, tmp_path: Path) -> None:
    """Whoever is on the unlabelled images, all stages end in the same weights, bit by bit."""
    config = load_preset("tiny", merge(small, {"labels": {"cameras": [1]}}))
    hidden = hide_labels(benchmark, **config.labels.model_dump())
    pids = sorted({r.pid for r in hidden.train})
    other = dict(zip(pids, [*pids[1:], pids[0]], strict=True))
    shifted = replace(
        hidden,
        train=tuple(r if r.labelled else replace(r, pid=other[r.pid]) for r in hidden.train),
    )
    ours, theirs = (
        train(config, data, CPU, tmp_path / name, METHOD)
        for name, data in (("ours", hidden), ("theirs", shifted))
    )
    assert torch.equal(parameters(ours.dfen), parameters(theirs.dfen))
    whole = train(load_preset("tiny", small), benchmark, CPU, tmp_path / "whole", METHOD)
    assert not torch.equal(parameters(ours.dfen), parameters(whole.dfen))


def test_stage_2_sees_swapped_and_degraded_images_in_their_shares(
    benchmark, small, tmp_path: Path, monkeypatch
) -> None:
    shares = {"swapped": [], "degraded": []}

    def spying(of, name):  # noqa: ANN001, ANN202
        real = of.some

        def some(self, images, chance, *rest):  # noqa: ANN001, ANN002, ANN202
            mixed = real(self, images, chance, *rest)
            assert mixed.shape == images.shape and 0 <= mixed.min() and mixed.max() <= 1
            shares[name].append((mixed != images).flatten(1).any(dim=1).float().mean().item())
            return mixed

        monkeypatch.setattr(of, "some", some)

    changes = {"dfen": {"steps": 40, "swapped": 0.25, "degraded": 0.75}, "save_every": 100}
    config = load_preset("tiny", merge(small, changes))
    common = (benchmark, config, CPU, tmp_path)
    identity = train_identity("identity", 2, True, *common)
    ddgan = train_ddgan(identity.encoder, *common)
    spying(Memory, "swapped")
    spying(SelfDegradation, "degraded")
    train_dfen(ddgan, identity, *common)
    for name, values in shares.items():
        assert len(values) == 40
        n = 40 * config.identity.batch
        p = getattr(config.dfen, name)
        assert abs(sum(values) / 40 - p) < 4 * (p * (1 - p) / n) ** 0.5


def test_a_swap_changes_the_chosen_images_alone(benchmark, config) -> None:
    generator = DDGAN(config.network, benchmark.people).generator
    memory = Memory(generator, benchmark.train, config, CPU)
    x = torch.rand(64, 3, *config.size, generator=torch.Generator().manual_seed(0))
    random = torch.Generator().manual_seed(1)
    mixed = memory.some(x, 0.5, random)
    random.manual_seed(1)
    whole = memory.replay(x, random)  # draws its codes first, as the other does
    kept = (mixed == x).flatten(1).all(dim=1)
    assert 16 < kept.sum() < 48
    torch.testing.assert_close(mixed[~kept], whole[~kept], rtol=1e-4, atol=1e-5)
    assert torch.equal(memory.some(x, 0.0, random), x)


def test_swaps_go_on_beyond_the_remembered_code(benchmark, config, monkeypatch) -> None:
    generator = DDGAN(config.network, benchmark.people).generator
    memory = Memory(generator, benchmark.train, config, CPU)
    x = torch.rand(200, 3, *config.size, generator=torch.Generator().manual_seed(0))
    used = []
    monkeypatch.setattr(memory, "_decode", lambda images, codes: used.append(codes) or images)
    for strength in (1.0, 3.0):
        memory.some(x, 1.0, torch.Generator().manual_seed(1), strength)
    with torch.no_grad():
        own = generator.degradation_encoder(x)
    near, far = (codes - own for codes in used)
    way = (far * near).sum(dim=1) / (near**2).sum(dim=1)
    torch.testing.assert_close(far, way[:, None] * near, rtol=1e-3, atol=1e-4)  # the same direction
    assert 1 <= way.min() < 1.2 and 2.8 < way.max() <= 3.001
    assert abs(way.mean() - 2) < 4 * (2 / 12**0.5) / 200**0.5


def test_e_id_may_see_degraded_images(benchmark, small, tmp_path: Path) -> None:
    plain = load_preset("tiny", small)
    degraded = load_preset("tiny", merge(small, {"identity": {"e_id_degraded": 0.5}}))
    ours, theirs = (
        train(config, benchmark, CPU, tmp_path / name, ("identity", "tricks"))
        for name, config in (("plain", plain), ("degraded", degraded))
    )
    assert torch.equal(parameters(ours.tricks), parameters(theirs.tricks))
    assert not torch.equal(parameters(ours.identity), parameters(theirs.identity))
    assert plain.stage_settings("tricks") == degraded.stage_settings("tricks")
    other = degraded.model_copy(update={"self_degradation": "noise"})
    assert other.stage_settings("identity") != degraded.stage_settings("identity")
    assert other.stage_settings("tricks") == degraded.stage_settings("tricks")
