"""The report: numbers of independent origin, strict and whole files, no trace of the machine."""

import json
import math
import os
import platform
import re
import socket

import numpy as np
import pytest
import torch

import direid
from direid.errors import DireidError
from direid.evaluation.ranks import Scores, by_level
from direid.evaluation.report import environment, paired_row, row, save_json, table, write_report


def scores(rank1, rank5, rank10, ap):
    """Scores whose queries have these chances (one number per query)."""
    cmc = np.ones((len(rank1), 20))
    cmc[:, :4], cmc[:, 4:9], cmc[:, 9:] = (np.array(r)[:, None] for r in (rank1, rank5, rank10))
    return Scores(cmc, np.array(ap), np.array(ap))


def report(**changed):
    rows = [
        {"method": "ResNet | plain"} | {key: {"mean": mean, "spread": 1.25} for key, mean in means}
        for means in [
            (("rank1", 61.24), ("rank5", 80.0), ("rank10", 100.0), ("map", 55.55), ("minp", 20.0))
        ]  # fmt: skip
    ]
    return {
        "title": "A title",
        "rows": rows,
        "config": {"preset": "tiny", "identity": {"steps": 350}},
        "data": {"name": "paper_dolls", "split_hash": "abc123", "counts": {"query": 400}},
        "seeds": {"split": 3},
        "budget": {"ResNet": {"steps": 700, "images": 33600}, "DI-REID": {"steps": 1050, "gan": 8}},
        "seconds": {"identity": 50.0, "evaluation": 2.5},
        "pictures": [{"file": "pictures/a b.png", "caption": "Figure 5.", "alt": "a [grid]"}],
    } | environment() | changed  # fmt: skip


def markdown(tmp_path, **changed):
    write_report(report(**changed), tmp_path)
    return (tmp_path / "report.md").read_text(encoding="utf-8")


def cells(text, heading):
    """The cells of the first table under a heading."""
    lines = text.split(heading, 1)[1].strip().splitlines()
    lines = lines[next(i for i, line in enumerate(lines) if line.startswith("|")) :]
    lines = lines[: next((i for i, line in enumerate(lines) if not line.startswith("|")), None)]
    split = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [split[0], *split[2:]]


def test_a_row_is_in_percent_with_the_standard_error_over_people():
    rank1 = np.random.default_rng(10).uniform(size=300)
    line = row("ours", scores(rank1, rank1 / 2, [0.25] * 300, 1 - rank1), np.arange(300), seed=0)
    assert line["method"] == "ours"
    assert line["rank1"]["mean"] == pytest.approx(100 * rank1.mean(), abs=1e-3)
    assert line["rank1"]["spread"] == pytest.approx(100 * rank1.std() / math.sqrt(300), rel=0.1)
    assert line["rank5"]["mean"] == pytest.approx(50 * rank1.mean(), abs=1e-3)
    assert line["rank10"] == {"mean": 25.0, "spread": 0.0, "interval": [25.0, 25.0]}
    low, high = line["rank1"]["interval"]  # 95 %: 1.96 standard errors either way
    assert high - low == pytest.approx(2 * 1.96 * 100 * rank1.std() / math.sqrt(300), rel=0.1)
    assert line["map"]["mean"] == pytest.approx(100 * (1 - rank1).mean(), abs=1e-3)


def test_a_row_of_one_person_has_no_spread(tmp_path):
    line = row("ours", scores([0, 1], [1, 1], [1, 1], [0.5, 1]), [7, 7], seed=0)
    assert line["rank1"] == {"mean": 50.0, "spread": None, "interval": None}
    assert "50.0" in table([line]) and "±" not in table([line])


def test_a_paired_row_cancels_what_is_hard_for_both(tmp_path):
    hard = np.random.default_rng(1).uniform(0, 0.8, size=200)
    theirs = scores(hard, hard, hard, hard)
    ours = scores(hard + 0.1, hard, hard - 0.05, hard + 0.2)
    line = paired_row("ours − theirs", ours, theirs, np.arange(200), seed=0)
    means = {key: value["mean"] for key, value in line.items() if key != "method"}
    assert means == {"rank1": 10, "rank5": 0, "rank10": -5, "map": 20, "minp": 20}
    assert all(value["spread"] < 1e-9 for key, value in line.items() if key != "method")
    table_of = cells(markdown(tmp_path, paired=[line]), "## Differences")
    assert table_of[1][:2] == ["ours − theirs", "10.0 ± 0.0"]


def test_table_lines_up_and_keeps_its_columns():
    text = table(report()["rows"] + [report()["rows"][0] | {"method": "DI-REID"}])
    lines = text.splitlines()
    assert len({len(line) for line in lines}) == 1
    header, _, first, second = lines
    assert [cell.strip() for cell in header.strip("|").split("|")] == [
        "Method", "Rank-1", "Rank-5", "Rank-10", "mAP", "mINP"
    ]  # fmt: skip
    assert first.startswith(r"| ResNet \| plain | 61.2 ± 1.2 | 80.0 ± 1.2 | 100.0 ± 1.2 | 5")
    assert second.startswith("| DI-REID")


def test_report_json_holds_the_report(tmp_path):
    given = report(extra=np.float32(0.5), codes=torch.tensor([1, 2]), pair=(np.int64(3), np.True_))
    write_report(given, tmp_path)
    saved = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert saved["extra"] == 0.5 and saved["codes"] == [1, 2] and saved["pair"] == [3, True]
    for key in set(given) - {"extra", "codes", "pair"}:
        assert saved[key] == given[key], key


def test_report_md_says_what_was_done(tmp_path):
    text = markdown(tmp_path, methods={"ResNet": "the baseline"})
    assert text.startswith("# A title\n")
    assert cells(text, "## Results")[1] == [
        r"ResNet \| plain", "61.2 ± 1.2", "80.0 ± 1.2", "100.0 ± 1.2", "55.5 ± 1.2", "20.0 ± 1.2"
    ]  # fmt: skip
    assert "standard error over" in text and "- **ResNet**: the baseline" in text
    assert cells(text, "## Budget") == [
        ["Method", "steps", "images", "gan"],
        ["ResNet", "700", "33,600", ""],
        ["DI-REID", "1,050", "", "8"],
    ]
    assert cells(text, "## Time")[1:] == [
        ["identity", "50.0"], ["evaluation", "2.5"], ["all", "52.5"]
    ]  # fmt: skip
    assert "![a (grid)](<pictures/a b.png>)\n\n*Figure 5.*" in text
    assert "- split hash: abc123" in text and "- counts:\n  - query: 400" in text
    assert "- split: 3" in text
    assert f"- torch: {torch.__version__}" in text
    settings = re.search(r"```json\n(.*?)```", text, re.S).group(1)
    assert json.loads(settings) == report()["config"]


def test_report_md_shows_rank1_by_level_in_percent(tmp_path):
    levels = np.arange(40) / 40
    scored = by_level(1 - levels, levels, np.arange(40), bins=2)
    text = markdown(tmp_path, by_level={"ResNet": scored})
    table_of_levels = cells(text, "## Rank-1 by degradation level")
    assert table_of_levels[0] == ["Level", "0.00–0.49", "0.49–0.97"]
    assert table_of_levels[1] == ["queries", "20", "20"]
    assert [cell.split(" ± ")[0] for cell in table_of_levels[2]] == ["ResNet", "76.2", "26.2"]
    assert "by degradation level" not in markdown(tmp_path, by_level=None)


@pytest.mark.parametrize("bad", [float("nan"), np.float32("inf"), np.array([1.0, np.nan])])
def test_a_number_that_is_not_finite_is_named_and_nothing_is_written(tmp_path, bad):
    with pytest.raises(DireidError, match=r"report\.budget\.ResNet\.steps.*(nan|inf)"):
        write_report(report(budget={"ResNet": {"steps": bad}}), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_saving_replaces_the_file_at_once_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "numbers.json"
    save_json({"a": [1, 2.5, None, "é"]}, path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": [1, 2.5, None, "é"]}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DireidError, match=r"numbers\.json: cannot be written \(No space"):
        save_json({"a": 1}, path)
    assert json.loads(path.read_text(encoding="utf-8"))["a"] == [1, 2.5, None, "é"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DireidError, match=r"file.report\.json: cannot be written"):
        write_report(report(), tmp_path / "file")


def test_what_json_does_not_know_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"a\.json\.where: .*Path"):
        save_json({"where": tmp_path}, tmp_path / "a.json")


def test_environment_names_versions_and_machine_but_not_whose_it_is():
    found = environment()
    assert found["versions"]["torch"] == torch.__version__
    assert found["versions"]["direid"] == direid.__version__
    assert found["versions"]["numpy"] == np.__version__
    assert found["versions"]["python"] == platform.python_version()
    assert found["machine"]["threads"] == torch.get_num_threads()
    assert found["machine"]["cores"] == os.cpu_count()
    assert found["machine"]["device"] == "cpu" and found["machine"]["cpu"]
    text = json.dumps(found)
    assert os.getcwd() not in text and os.path.expanduser("~") not in text
    assert socket.gethostname() not in found["machine"].values()
