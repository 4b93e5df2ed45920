"""What stands in more than one file says the same in each."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read_yaml(name: str):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_conda_environment_is_pyproject():
    """Conda gives Python and pip; pip gives what pyproject.toml names, every extra included."""
    *conda, last = read_yaml("environment.yml")["dependencies"]
    assert set(conda) == {f"python{PROJECT['requires-python']}", "pip"}
    (line,) = last["pip"]
    extras = re.fullmatch(r"-e \.\[(.*)\]", line)
    assert extras, f"expected one editable install of this folder, found {line!r}"
    assert set(extras[1].split(",")) == set(PROJECT["optional-dependencies"])


def test_make_installs_every_extra():
    (extras,) = re.findall(r"--editable '\.\[(.*)\]'", (ROOT / "Makefile").read_text("utf-8"))
    assert set(extras.split(",")) == set(PROJECT["optional-dependencies"])


def test_only_lower_bounds_at_run_time():
    """A ceiling would break the environments of those who install the package into theirs."""
    for requirement in PROJECT["dependencies"]:
        assert re.fullmatch(r"[a-z0-9-]+>=[\d.]+", requirement), requirement


def test_the_book_is_built_by_the_version_that_reads_its_settings():
    (requirement,) = [r for r in PROJECT["optional-dependencies"]["book"] if "jupyter-book" in r]
    assert requirement.endswith(",<2")


def test_citation_is_the_package():
    citation = read_yaml("CITATION.cff")
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation["preferred-citation"]["year"] == 2020


def test_licence_is_apache():
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in licence and "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence


def test_ci_runs_the_test_command():
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").rstrip().endswith("exec make test")


def test_the_repository_has_one_address():
    """It stands in _config.yml; wherever else it is written out it must be the same."""
    address = read_yaml("_config.yml")["repository"]["url"]
    files = [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), *ROOT.glob("*.cff"), *ROOT.glob("book/*.md")]
    for path in [*files, *ROOT.glob("book/*.ipynb"), *ROOT.glob("direid/**/*.py")]:
        for found in re.findall(r"https://github\.com/[\w.-]+/direid\b", path.read_text("utf-8")):
            assert found == address, f"{path.name} says {found}"
