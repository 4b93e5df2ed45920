"""The plain training steps, written out from the paper, are what the package's steps must equal."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import measure, speed
from benchmarks.measure import (
    KINDS,
    Step,
    ddgan_step,
    dfen_step,
    matrix_rates,
    random_pair,
    random_people,
    small_benchmark,
)
from benchmarks.report import agreement, targets
from benchmarks.shares import GROUPS, OTHER, group_of
from direid.config import Config, load_preset
from direid.models import DDGAN, DFEN
from direid.training.compute import Compute

SMALL = {
    "device": "cpu",
    "network": {"height": 32, "width": 16, "base": 8, "content": 16, "invariant": 16,
                "scale_channels": 8, "encoder_base": 8, "decoder_hidden": 16, "critic_base": 8},
    "identity": {"people": 3, "images": 3},
    "ddgan": {"batch": 2},
}  # fmt: skip
CPU = Compute("cpu")
STAGE = {kind: stage for stage, kinds in KINDS.items() for kind in kinds}
LOSSES = {
    "self": ["D_r", "D_d", "invariable_content", "reconstruction", "identity_preserving", "reality",
             "degradation"],
    "cross": ["D_r", "identification", "reconstruction", "identity_preserving", "reality",
              "degradation"],
    "dfen": ["invariant", "sensitive", "both"],
}  # fmt: skip


def config(**changes: object) -> Config:
    settings = SMALL | {"ddgan": SMALL["ddgan"] | changes.pop("ddgan", {})} | changes
    return load_preset("tiny", settings)


def networks(kind: str, config: Config, dtype: torch.dtype = torch.float32) -> nn.Module:
    people = small_benchmark(config).people
    torch.manual_seed(0)
    if kind == "dfen":
        return DFEN(config.network, people).to(dtype).train()
    return DDGAN(config.network, people).to(dtype).train()


def stepper(implementation: str, kind: str, nets: nn.Module, config: Config) -> Step:
    dfen = kind == "dfen"
    dtype = next(nets.parameters()).dtype
    batch = random_people(config) if dfen else random_pair(config)
    batch = {k: v.to(dtype) if v.is_floating_point() else v for k, v in batch.items()}
    make = dfen_step if dfen else ddgan_step
    return make(implementation, nets, batch, small_benchmark(config), config, CPU)


def number(kind: str) -> int:
    return KINDS[STAGE[kind]].index(kind)


def first_losses(implementation: str, kind: str, config: Config) -> dict[str, float]:
    nets = networks(kind, config)
    return stepper(implementation, kind, nets, config)(number(kind))


def rows(ours: dict[str, float], theirs: dict[str, float]) -> list[dict]:
    common = {"preset": "tiny", "stage": "ddgan", "precision": "float32", "compile": False}
    return [
        common | {"implementation": "package", "losses": ours},
        common | {"implementation": "plain", "losses": theirs},
    ]


def wrong(ours: dict[str, float], theirs: dict[str, float]) -> list[str]:
    (row,) = agreement(rows(ours, theirs))
    return row["wrong"]


@pytest.mark.parametrize("kind", LOSSES)
def test_package_and_plain_have_the_same_losses(kind: str) -> None:
    ours, theirs = (first_losses(i, kind, config()) for i in ("package", "plain"))
    assert list(ours) == list(theirs) == [f"{kind}/{name}" for name in LOSSES[kind]]
    assert wrong(ours, theirs) == []
    assert min(ours.values()) > 1e-3  # none is trivially equal


@pytest.mark.parametrize("kind", LOSSES)
def test_another_weight_in_one_network_is_noticed(kind: str) -> None:
    ours = first_losses("package", kind, config())
    nets = networks(kind, config())
    encoder = nets.content_encoder if kind == "dfen" else nets.generator.content_encoder
    with torch.no_grad():
        encoder.trunk.conv1.weight[0, 0, 0, 0] += 0.1
    theirs = stepper("plain", kind, nets, config())(number(kind))
    assert wrong(ours, theirs)


def test_another_margin_is_noticed() -> None:
    other = config(ddgan={"epsilon": 0.999})
    for kind, expected in (
        ("self", ["self/D_d", "self/degradation"]),
        ("cross", ["cross/degradation"]),
    ):
        ours, theirs = first_losses("package", kind, config()), first_losses("plain", kind, other)
        assert wrong(ours, theirs) == expected


def after_steps(implementation: str, kind: str, config: Config) -> dict[str, Tensor]:
    """All parameters after two steps, in float64, where rounding cannot decide a sign in Adam."""
    nets = networks(kind, config, torch.float64)
    step = stepper(implementation, kind, nets, config)
    for repeat in range(2):
        step(2 * repeat + number(kind))
    return {name: parameter.detach() for name, parameter in nets.named_parameters()}


def farthest(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    return max((a[name] - b[name]).abs().max().item() for name in a)


@pytest.mark.parametrize("kind", LOSSES)
def test_package_and_plain_move_the_networks_alike(kind: str) -> None:
    before = dict(networks(kind, config(), torch.float64).named_parameters())
    ours, theirs = (after_steps(i, kind, config()) for i in ("package", "plain"))
    assert farthest(ours, theirs) < 1e-8
    assert farthest(ours, before) > 1e-4


@pytest.mark.parametrize("kind", ["self", "cross"])
@pytest.mark.parametrize(
    "name", ["reconstruction", "identity_preserving", "reality", "degradation"]
)
def test_another_lambda_is_noticed(kind: str, name: str) -> None:
    other = config(ddgan={"weights": {name: 7.0}})
    assert farthest(*(after_steps("package", kind, c) for c in (config(), other))) > 1e-5
    ours, theirs = after_steps("package", kind, config()), after_steps("plain", kind, other)
    assert farthest(ours, theirs) > 1e-5


def test_agreement_names_what_differs_and_what_is_missing() -> None:
    ours = {"a": 1.0, "b": 100.0, "c": 0.5, "mine": 0.0}
    theirs = {"a": 1.0, "b": 100.0009, "c": 0.50002, "theirs": 0.0}
    assert wrong(ours, theirs) == ["c", "mine", "theirs"]
    assert wrong({"a": float("nan")}, {"a": 1.0}) == ["a"]
    assert agreement(rows(ours, theirs)[:1]) == []


def test_targets_are_compared_with_their_bounds() -> None:
    def row(implementation: str, precision: str, seconds: float) -> dict:
        times = {"median": seconds / 2}
        return {"preset": "paper", "stage": "ddgan", "implementation": implementation,
                "compile": False,
                "precision": precision, "seconds": {"self": times, "cross": times},
                "peak_memory_gib": 3.1, "floor": {"ratio": 2.0}}  # fmt: skip

    steps = [row("package", "float32", 3.0), row("plain", "float32", 4.5)]
    steps.append(row("package", "bfloat16", 1.5))
    found = {r["target"]: r for r in targets(steps)}
    assert [(r["value"], r["met"]) for r in found.values()] == [
        (2.0, True), (1.5, True), (2.0, True), (3.1, False), (1.5, True),
    ]  # fmt: skip
    assert all(r["stage_2"] is None for r in targets(steps))
    assert all(r["met"] is None for r in targets([]))


def test_the_rate_of_a_matrix_product_counts_all_its_operations(monkeypatch) -> None:
    def as_many_seconds_as_operations(work: Callable[[], object], seconds: float) -> float:
        with FlopCounterMode(display=False) as counter:
            work()
        return counter.get_total_flops()

    monkeypatch.setattr(measure, "_fastest", as_many_seconds_as_operations)
    assert set(matrix_rates().values()) == {1.0}


class Event:
    def __init__(self, name: str, above: "Event | None" = None) -> None:
        self.name, self.cpu_parent = name, above


def test_an_operation_is_grouped_by_its_name_or_by_what_it_is_part_of() -> None:
    adam = Event("Optimizer.step#Adam.step")
    convolution = Event("aten::mkldnn_convolution")
    assert group_of(Event("aten::mul_", adam)) == "optimiser"
    assert group_of(Event("aten::empty", convolution)) == "convolution forward"
    assert group_of(Event("aten::convolution_backward")) == "convolution backward"
    assert group_of(Event("aten::native_group_norm_backward")) == "normalisation"
    assert group_of(Event("aten::leaky_relu_backward")) == "activation"
    assert group_of(Event("aten::unknown")) == OTHER
    assert 8 <= len({*GROUPS.values(), "optimiser", OTHER}) <= 12


@pytest.mark.slow
def test_the_script_measures_the_tiny_preset(tmp_path: Path, capsys) -> None:
    out = tmp_path / "speed.json"
    arguments = ["--preset", "tiny", "--repeats", "1", "--profile", "--out", str(out)]
    assert speed.main(arguments) == 0
    report = json.loads(out.read_text())
    assert set(report) == {
        "title", "definitions", "options", "seed", "steps", "agreement", "targets", "loading",
        "profile", "versions", "machine", "config",
    }  # fmt: skip
    assert [(r["stage"], r["implementation"], r["precision"]) for r in report["steps"]] == [
        (stage, *variant)
        for stage in KINDS
        for variant in (("package", "float32"), ("package", "bfloat16"), ("plain", "float32"))
    ]
    for row in report["steps"]:
        assert set(row["seconds"]) == set(KINDS[row["stage"]])
        assert 0 < row["baseline_memory_gib"] <= row["peak_memory_gib"] < 8
        assert row["images_per_second"] > 0
        assert ("floor" in row) == (row["implementation"] == "package" and "32" in row["precision"])
    assert [row["wrong"] for row in report["agreement"]] == [[], []]
    assert sum(report["profile"]["tiny"]["shares"].values()) == pytest.approx(1)
    assert report["loading"]["tiny"]["real_pairs"]["workers_2"]["images_per_second"] > 0
    assert report["targets"] == []  # of the preset paper alone
    printed = capsys.readouterr().out
    assert "| tiny, self + cross" in printed and "plain, float32" in printed
    assert str(tmp_path) not in out.read_text()
