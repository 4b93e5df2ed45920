"""The README: its numbers are those of the stored run, and what it names exists."""

import json
import re
from pathlib import Path

from benchmarks.report import summary
from direid.arguments import parser
from direid.cli import COMMANDS
from direid.config import PRESETS, Config, load_preset, parse_settings
from direid.evaluation.report import table
from direid.experiments import difference, read_cells, read_plan, verdict
from direid.experiments.plan import make_plan
from direid.experiments.published import PAPER

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SPEED = json.loads((ROOT / "book" / "results" / "speed.json").read_text(encoding="utf-8"))
REPORT = json.loads((ROOT / "book" / "results" / "tiny.json").read_text(encoding="utf-8"))


def test_the_table_is_the_stored_runs() -> None:
    assert table(REPORT["rows"]) in README


def test_the_gap_is_the_stored_runs() -> None:
    for baseline in ("ResNet + tricks", "ResNet + tricks + F_deg"):
        (line,) = [x for x in REPORT["paired"] if x["method"] == f"DI-REID − {baseline}"]
        assert f"{line['rank1']['mean']:.1f} ± {line['rank1']['spread']:.1f}" in README


def test_time_and_memory_are_the_stored_runs() -> None:
    minutes = round(sum(REPORT["seconds"].values()) / 60)
    assert f"{minutes} minutes on two cores" in README
    assert f"{REPORT['machine']['peak_memory']} of memory" in README
    assert REPORT["machine"]["cores"] == 2


def test_the_stored_run_is_what_make_run_would_run() -> None:
    stored = Config.model_validate(REPORT["config"])  # a setting that is newer has its default
    assert stored == load_preset("tiny", {"data": "paper_dolls"})


def test_the_speed_is_the_stored_one() -> None:
    assert summary(SPEED) in README
    assert SPEED["options"]["batch"] == 2 and SPEED["machine"]["cores"] == 2
    met = {row["target"]: row for row in SPEED["targets"]}
    assert all(row["met"] for row in met.values())
    assert all(not row["wrong"] and row["largest_difference"] < 1e-5 for row in SPEED["agreement"])
    said = {
        "floor ratio": "{:.2f} times", "times faster than plain": "{:.2f} times as long",
        "times faster in bfloat16": "{:.2f} times as fast",
    }  # fmt: skip
    for target, words in said.items():
        assert words.format(met[target]["value"]) in README, target
    shares = SPEED["profile"]["paper"]["shares"]
    convolutions = shares["convolution forward"] + shares["convolution backward"]
    assert f"convolutions take {100 * convolutions:.0f}% of it" in README
    paper = next(row for row in SPEED["steps"] if row["preset"] == "paper")["floor"]
    assert f"{sum(paper['flops'].values()) / 1e9:,.0f} GFLOP" in README
    assert f"{max(paper['flops_per_second'].values()) / 1e9:.0f} GFLOP/s" in README


def test_the_comparison_is_the_stored_one() -> None:
    stored = (ROOT / "book" / "results" / "tables" / "tables.md").read_text(encoding="utf-8")
    for heading in ("## Table 1: single-shot", "## Differences"):
        assert stored.split(heading)[1].split("\n\n")[2] in README
    for name in ("caviar", "mlr_viper"):
        plan = read_plan(ROOT / "book" / "plans" / "tables.toml")
        cells = read_cells(plan, ROOT / "book" / "results" / "tables")
        found = difference(cells, name, "di_reid", "augmented")
        said = {"caviar": "undecided", "mlr_viper": "a gain"}  # "beats its strongest competitor"
        assert verdict(found) == said[name]
        control = difference(cells, name, "di_reid", "without_dil_but_identification")
        assert verdict(control) == "undecided"  # "neither benchmark shows"
        low, high = control["over_splits"]
        size = f"{abs(control['mean']):.1f}"
        where = f"{size} points ahead" if control["mean"] > 0 else f"{size} behind"
        assert where in README and f"{low:.1f} to {high:.1f})" in README
        assert f"{PAPER[name]['di_reid'][0]}" in README


def test_every_command_is_understood() -> None:
    commands = re.findall(r"^\.venv/bin/direid (.*?)(?:\s+#.*)?$", README, re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        parser(COMMANDS).parse_args(command.split())
    settings = re.findall(r"--set ([\w.]+=[\w.]+)", README)
    assert settings
    load_preset("tiny", parse_settings(settings))


def test_every_file_and_preset_it_names_exists() -> None:
    for name in re.findall(r"`((?:direid|book)/[\w./]+)`", README):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"\]\(([\w./]+)\)", README):
        assert (ROOT / name).exists(), name
    assert set(re.findall(r"^\| `(\w+)` \|.*\d+ × ", README, re.MULTILINE)) == set(PRESETS)


def points(name: str, method: str, rival: str, on: str = "paper_dolls") -> tuple[str, str]:
    """The difference that a stored experiment found on a benchmark, and its interval."""
    folder = ROOT / "book" / "results" / name
    plan = make_plan(json.loads((folder / "plan.json").read_text(encoding="utf-8")))
    found = difference(read_cells(plan, folder), on, method, rival)
    low, high = found["over_splits"]
    return f"{found['mean']:.1f}", f"{low:.1f} to {high:.1f}"


def test_what_the_readme_says_of_whether_it_works_is_stored() -> None:
    text = " ".join(README.split("## Does it work?")[1].split("\n## ")[0].split())
    gain, interval = points("ablation", "di_reid", "augmented")
    assert f"by {gain} Rank-1 points over five splits (95 %: {interval})" in text
    for name, where in (("ablation", "paper_dolls"), ("ablation_mlr_viper", "mlr_viper")):
        without, _ = points(name, "di_reid", "without_dil", where)
        assert abs(float(without)) < 0.5, where  # «do as well, there and on MLR-VIPeR»
    more, interval = points("ablation_caviar", "without_dil", "di_reid", "caviar")
    assert f"on CAVIAR they find {more} points more ({interval})" in text
    swaps, interval = points("unlabelled", "di_reid_swaps", "augmented")
    assert f"it finds {swaps} points more than the same rival (95 %: {interval}" in text
    far, _ = points("unlabelled", "far_swaps", "far")
    assert f"{far} if F_deg is far" in text
