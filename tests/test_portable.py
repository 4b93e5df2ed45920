"""The record of what moves on other processors, and the range that a chapter prints instead."""

import json
import subprocess
import sys

import pytest

from direid.book import between
from scripts import portable


def test_between_prints_the_range_and_checks_the_number():
    assert between(28.4, 22, 34) == "22 to 34"
    assert between(0.1, 0.1, 0.25) == between(0.25, 0.1, 0.25) == "0.1 to 0.25"
    for outside in (21.9, 34.1, float("nan")):
        with pytest.raises(AssertionError, match=r"lies outside 22 to 34"):
            between(outside, 22, 34)


def test_a_setting_is_free_of_the_choices_of_the_shell(monkeypatch):
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    monkeypatch.setenv("KEPT", "yes")
    found = portable.environment({"OMP_NUM_THREADS": "2"})
    assert "ATEN_CPU_CAPABILITY" not in found
    assert found["OMP_NUM_THREADS"] == "2" and found["KEPT"] == "yes"


def test_a_setting_reaches_torch():
    setting = portable.SETTINGS["SSE4.1"]
    assert portable.runs_here(setting)
    assert not portable.runs_here(setting | {"ATEN_CPU_CAPABILITY": "avx1024"})


def test_the_failures_of_a_run_of_pytest_are_told_by_file(tmp_path):
    (tmp_path / "test_one.py").write_text(
        "import pytest\n"
        "def test_holds(): pass\n"
        "def test_moves(): assert 0.3 == 0.2\n"
        "@pytest.mark.skip\n"
        "def test_is_left_out(): pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=yes"]
    command += ["-o", "junit_family=xunit1", "--junitxml=report.xml", "test_one.py"]
    subprocess.run(command, cwd=tmp_path, capture_output=True)
    (found,) = portable.read(tmp_path / "report.xml").values()
    assert found["ran"] == 2
    assert list(found["failed"]) == ["test_moves"]
    assert "assert 0.3 == 0.2" in found["failed"]["test_moves"]


def test_nothing_that_is_compared_moved_under_any_setting():
    stored = json.loads(portable.STORE.read_text(encoding="utf-8"))
    losses = {tuple(found["loss"]) for found in stored["settings"].values()}
    assert len(losses) == len(stored["settings"]) > 0, "two settings are the same arithmetic"
    for name, found in stored["settings"].items():
        for file, results in found["files"].items():
            assert results["ran"] and not results["failed"], f"{name}: {file}"
