"""What is stored in book/results is what the plans say, whole, and free of the machine's paths."""

import json
import re
from pathlib import Path

import pytest

from direid.experiments import read_cells, read_plan, tables
from direid.experiments.plan import BASELINES, make_plan

BOOK = Path(__file__).parents[1] / "book"
EXPERIMENTS = sorted(path.parent for path in (BOOK / "results").glob("*/plan.json"))
PATH = re.compile(r"(?<![\w.:/~])/(?:home|root|Users|tmp|mnt|work)/\w")


@pytest.mark.parametrize("folder", EXPERIMENTS, ids=lambda folder: folder.name)
def test_an_experiment_is_its_plan_and_its_tables_are_its_cells(folder: Path) -> None:
    """Every cell is there, of the settings in the plan; the tables can be made again from them."""
    plan = make_plan(json.loads((folder / "plan.json").read_text(encoding="utf-8")))
    assert plan == read_plan(BOOK / "plans" / f"{folder.name}.toml")
    cells = read_cells(plan, folder)
    assert len(cells) == len(list(plan.cells()))
    assert tables(plan, cells) == (folder / "tables.md").read_text(encoding="utf-8")
    hashes: dict[tuple, set] = {}
    for cell in cells:
        assert cell["versions"]["torch"] and cell["machine"]["cpu"]
        hashes.setdefault((cell["data"], cell["split"]), set()).add(cell["split_hash"])
    assert all(len(found) == 1 for found in hashes.values())  # all methods on the same people
    assert len(set.union(*hashes.values())) == len(hashes)  # and every split on others
    for cell in cells:  # equal budgets: within one batch of images
        alike = (c for c in cells if c["data"] == cell["data"])
        theirs = next(c for c in alike if c["budget"]["ddgan_steps"])  # a method of two networks
        gap = cell["budget"]["labelled_images"] - theirs["budget"]["labelled_images"]
        if cell["method"] in BASELINES:
            identity = cell["config"]["identity"]
            assert 0 <= gap < identity["people"] * identity["images"]


def test_there_is_an_experiment() -> None:
    assert EXPERIMENTS


@pytest.mark.parametrize("path", sorted((BOOK / "results").rglob("*.json")), ids=str)
def test_no_result_tells_where_it_was_made(path: Path) -> None:
    assert not PATH.search(path.read_text(encoding="utf-8"))


def test_the_evaluation_meets_its_targets() -> None:
    stored = json.loads((BOOK / "results" / "evaluation.json").read_text(encoding="utf-8"))
    assert stored["targets"]
    assert all(target["met"] for target in stored["targets"])
