"""Settings: unknown keys and bad values are refused, and what is saved is what was used."""

from pathlib import Path

import pytest

from direid.config import (
    ABLATIONS,
    PRESETS,
    Config,
    Network,
    differences,
    load_preset,
    parse_settings,
    read_config,
    with_changes,
)
from direid.errors import DireidError


def test_settings_lie_over_the_preset_and_leave_the_rest() -> None:
    plain = load_preset("tiny")
    changed = load_preset("tiny", parse_settings(["ddgan.weights.reality=0", "ddgan.steps=7"]))
    assert changed.ddgan.steps == 7
    assert changed.ddgan.weights.reality == 0
    assert changed.ddgan.rate == plain.ddgan.rate
    assert changed.network == plain.network


def test_lists_and_booleans_are_read() -> None:
    config = load_preset("paper", parse_settings(["network.scales=3", "network.pretrained=false"]))
    assert config.network.scales == (3,)
    assert config.network.pretrained is False
    assert load_preset("tiny", parse_settings(["labels.cameras=1"])).labels.cameras == (1,)
    assert parse_settings(["network.scales=1,2"]) == {"network": {"scales": [1, 2]}}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": {"hight": 64}}, "unknown key 'network.hight': choose from height, width"),
        ({"ddgan": {"weights": {"x": 1}}}, "unknown key 'ddgan.weights.x': choose from invar"),
        ({"sede": 1}, "unknown key 'sede'"),
        ({"ddgan": {"steps": -1}}, "ddgan.steps: .*greater than or equal to 0, got -1"),
        ({"ddgan": {"steps": 0}}, "^ddgan.steps=0 trains no D_d.*set dfen.attention=false"),
        ({"dfen": {"both": 0}}, "^dfen: both=0 leaves one branch.*got 0.5 and 0.5$"),
        (
            {"ddgan": {"steps": 0}, "dfen": {"attention": False, "swapped": 0.5}},
            "leave dfen.swapped",
        ),
        ({"dfen": {"swapped": 1.5}}, "dfen.swapped: .*got 1.5"),
        ({"labels": {"people": -1}}, "labels.people: .*got -1"),
        ({"later": {"replay": 1}, "dfen": {"invariant": 0}}, "^later.smoothing.*dfen.invariant=0"),
        ({"later": {"poor_cameras": [1]}, "readings": {"ranking": "printed"}}, "^later.poor_cam"),
        (
            {"later": {"gradient_penalty": 1}, "compile": True},
            "^later.gradient_penalty.*choose one",
        ),
        ({"later": {"smoothing": -1}}, "later.smoothing: .*got -1"),
        ({"readings": {"equation_3": "x_k"}}, "readings.equation_3: .*'x_i' or 'x_j', got 'x_k'"),
        ({"ddgan": {"steps": "many"}}, "ddgan.steps: .*got 'many'"),
        ({"ddgan": {"rate": float("inf")}}, "ddgan.rate: .*finite"),
        ({"network": {"stem_stride": 3}}, "network.stem_stride: .*got 3"),
        ({"network": {"encoder_layers": 7}}, "network: .*encoder_layers=7 halves 64 x 32"),
        ({"network": {"height": 65}}, "network.height: .*multiple of 16, got 65"),
        ({"network": {"scales": ["9"]}}, "network.scales"),
        ({"precision": "float8"}, "precision: .*got 'float8'"),
    ],
)
def test_bad_settings_are_one_line(settings: dict, message: str) -> None:
    with pytest.raises(DireidError, match=message) as caught:
        load_preset("tiny", settings)
    assert "\n" not in str(caught.value)


def test_a_drawn_benchmark_s_own_self_degradation_is_taken_unless_told_otherwise() -> None:
    assert load_preset("tiny", {"data": "paper_dolls"}).self_degradation == "resolution"
    dark = {"data": "paper_dolls_dark"}
    assert load_preset("tiny", dark).self_degradation == "illumination"
    both = load_preset("tiny", {"data": "paper_dolls_both"})
    assert both.self_degradation == "resolution+illumination"
    assert load_preset("tiny", dark | {"self_degradation": "noise"}).self_degradation == "noise"


def test_a_baseline_sees_as_many_labelled_images_as_the_whole_method() -> None:
    settings = {
        "identity": {"people": 4, "images": 4, "steps": 100},
        "dfen": {"steps": 50},
        "ddgan": {"steps": 41, "batch": 8},
    }
    config = load_preset("tiny", settings)
    assert config.fair_steps == 100 + 50 + 20 * 2 * 8 // 16


def test_ablations_are_settings_laid_over_the_others() -> None:
    table_3 = {
        "without_dil",
        "without_multi_scale",
        "without_attention",
        "f_inv_only",
        "f_sen_only",
    }
    assert table_3 <= set(ABLATIONS)
    config = load_preset("paper", {"dfen": {"steps": 5}}, "without_attention")
    assert (config.dfen.attention, config.dfen.steps) == (False, 5)
    contrary = {"ddgan": {"steps": 9, "batch": 4}}
    with pytest.raises(
        DireidError, match=r"without_dil changes what was set \(ddgan.steps: 9, now 0"
    ):
        load_preset("paper", contrary, "without_dil")
    assert load_preset("paper", contrary, "without_attention").ddgan.steps == 9
    assert load_preset("paper", ablation="without_dil").fair_steps == 12_000 + 24_000
    with pytest.raises(DireidError, match="unknown ablation 'x': choose from without_dil, "):
        load_preset("tiny", ablation="x")


def test_cameras_are_read_as_a_list() -> None:
    config = load_preset("tiny", parse_settings(["later.poor_cameras=1,3"]))
    assert config.later.poor_cameras == (1, 3)


def test_unknown_preset_names_the_known() -> None:
    with pytest.raises(DireidError, match="unknown preset 'huge': choose from tiny, small, paper"):
        load_preset("huge")


def test_a_whole_number_may_be_chosen_from_a_list() -> None:
    config = load_preset("tiny", parse_settings(["network.depth=18", "network.last_stride=2"]))
    assert (config.network.depth, config.network.last_stride) == (18, 2)


@pytest.mark.parametrize("key", ["preset", "data", "root", "seed", "device"])
def test_what_has_an_option_is_not_a_setting(key: str) -> None:
    with pytest.raises(DireidError, match=f"use the option --{key}"):
        parse_settings([f"{key}=x"])


def test_differences_are_named_with_both_values() -> None:
    old = load_preset("tiny").training_settings()
    new = load_preset("tiny", {"seed": 2, "ddgan": {"weights": {"reality": 0}}, "workers": 3})
    said = differences(old, new.training_settings())
    assert said == "seed: 0, now 2; ddgan.weights.reality: 1.0, now 0.0"
    assert differences(old, old) == ""


def test_changes_are_checked_like_any_setting() -> None:
    config = load_preset("tiny")
    assert with_changes(config, {"seed": 3, "ddgan": {"steps": 9}}).ddgan.steps == 9
    with pytest.raises(DireidError, match="seed: .*got -1"):
        with_changes(config, {"seed": -1})


@pytest.mark.parametrize("pair", ["steps", "=3", "ddgan=1 ddgan.steps=2"])
def test_malformed_pairs_are_refused(pair: str) -> None:
    with pytest.raises(DireidError, match="--set"):
        parse_settings(pair.split())


@pytest.mark.parametrize("preset", PRESETS)
def test_saved_configuration_reads_back_equal(preset: str, tmp_path: Path) -> None:
    config = load_preset(preset, {"seed": 3})
    path = tmp_path / "config.json"
    path.write_text(config.model_dump_json())
    assert read_config(path) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "Invalid JSON"), ('{"sede": 1}', "unknown key 'sede'"), (None, "cannot read")],
)
def test_bad_saved_configuration_names_its_file(text: str | None, message: str, tmp_path) -> None:
    path = tmp_path / "config.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DireidError, match=message) as caught:
        read_config(path)
    assert str(path) in str(caught.value)


def test_paper_preset_is_the_defaults_that_the_paper_states() -> None:
    paper = load_preset("paper")
    assert paper.size == (256, 128)
    assert paper.network == Network()
    assert paper.ddgan == Config().ddgan
