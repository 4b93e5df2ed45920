"""Plans, the runner, its tables: against trainings without it, and numbers worked out by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from direid import pipeline
from direid.config import ABLATIONS, merge, with_changes
from direid.data.paper_dolls import paper_dolls
from direid.data.records import PARTS, read_image
from direid.errors import DireidError
from direid.experiments import Plan, ablation_plan, difference, read_plan, run_plan, tables, verdict
from direid.experiments.plan import Cell, make_plan
from direid.experiments.published import COMPETITORS, PAPER
from direid.pipeline import evaluate, load_benchmark
from direid.training.compute import Compute
from direid.training.stages import train

PLANS = sorted((Path(__file__).parents[1] / "book" / "plans").glob("*.toml"))


@pytest.fixture(scope="session")
def images(tmp_path_factory) -> Path:
    """A folder of 8 training and 4 test people."""
    root = tmp_path_factory.mktemp("images") / "dolls"
    dolls = paper_dolls(0, train_people=8, test_people=4, images_per_camera=2, height=32, width=16)
    for part in PARTS:
        (root / part).mkdir(parents=True)
        for record in getattr(dolls, part):
            file = root / part / f"{record.pid:04d}_c{record.camid}_{Path(record.name).stem}.png"
            Image.fromarray(read_image(record)).save(file)
    return root


def plan_of(small: dict, **changes) -> Plan:
    settings = {key: value for key, value in small.items() if key != "device"}
    values = {
        "name": "a test", "preset": "tiny", "data": ["folder"],
        "methods": ["resnet", "augmented", "di_reid", "without_attention", "f_sen_only"],
        "seeds": [0, 1], "settings": settings,
    }  # fmt: skip
    return make_plan(values | changes)


@pytest.fixture(scope="session")
def done(small, images, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("experiment") / "out"
    run_plan(plan_of(small), out, {"folder": images}, device="cpu")
    return out


def test_every_cell_is_what_its_own_training_gives(small, images, done, tmp_path) -> None:
    """Stages shared between methods change nothing: each cell equals a run of its own."""
    plan = plan_of(small)
    for cell in plan.cells():
        stored = json.loads((done / "cells" / f"{cell.name}.json").read_text())
        config = plan.config(cell, images).model_copy(update={"device": "cpu"})
        stage = cell.method if cell.method in ("resnet", "augmented") else "dfen"
        benchmark, compute = load_benchmark(config), Compute("cpu")
        networks = train(config, benchmark, compute, tmp_path / cell.name, (stage,))
        results = evaluate(networks, benchmark, config, compute)
        assert stored["rows"] == results.rows
        name = results.rows[-1]["method"]
        expected = np.round(results.scores[name].rank1_per_query, 5)
        assert stored["per_query"][name]["rank1"] == expected.tolist()
        assert stored["split_hash"] == benchmark.split_hash
        assert str(images) not in json.dumps(stored)  # no path of a machine
    assert not (done / "runs" / "folder-split0-seed0").exists()  # checkpoints go when all is done


def test_equal_budgets_are_counted(small, done) -> None:
    spent = {c.method: json.loads((done / "cells" / f"{c.name}.json").read_text())["budget"]
             for c in plan_of(small).cells()}  # fmt: skip
    # 4 steps of 4 x 2 in stages 0 and 2, and 4 steps of 2 pairs in stage 1, of which 2 identify
    # both images: 64 + 8 labelled images, so 9 steps for a baseline
    assert spent["di_reid"] == {
        "reid_steps": 8, "ddgan_steps": 4, "labelled_images": 72, "stage_1_images": 16,
    }  # fmt: skip
    for method in ("resnet", "augmented"):
        assert spent[method]["reid_steps"] == 9
        assert spent[method]["labelled_images"] == spent["di_reid"]["labelled_images"]


def test_what_is_done_is_not_done_again(small, images, done) -> None:
    before = {p: p.stat().st_mtime_ns for p in (done / "cells").iterdir()}
    run_plan(plan_of(small), done, {"folder": images}, device="cpu")
    assert {p: p.stat().st_mtime_ns for p in (done / "cells").iterdir()} == before


def test_a_plan_that_was_stopped_goes_on_to_the_same(small, images, done, tmp_path, monkeypatch):
    calls = []

    def stops(*args):  # noqa: ANN002, ANN202
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args)

    real = pipeline.evaluate
    monkeypatch.setattr(pipeline, "evaluate", stops)
    with pytest.raises(KeyboardInterrupt):
        run_plan(plan_of(small), tmp_path, {"folder": images}, device="cpu")
    assert len(list((tmp_path / "cells").iterdir())) == 2
    assert "2 of 10 cells done" in (tmp_path / "tables.md").read_text()
    run_plan(plan_of(small), tmp_path, {"folder": images}, device="cpu")
    for file in (done / "cells").iterdir():
        ours, theirs = (
            json.loads((out / "cells" / file.name).read_text()) for out in (tmp_path, done)
        )
        for changing in ("seconds", "machine"):
            del ours[changing], theirs[changing]
        assert ours == theirs


def test_a_cell_of_other_settings_is_refused(small, images, done) -> None:
    changed = plan_of(merge(small, {"dfen": {"rate": 0.5}}))
    with pytest.raises(DireidError, match=r"dfen\.rate: 0\.001, now 0\.5"):
        run_plan(changed, done, {"folder": images})
    with pytest.raises(DireidError, match="holds the experiment 'a test', not 'another'"):
        run_plan(plan_of(small, name="another"), done, {"folder": images})


def test_more_methods_may_be_added(small, images, tmp_path) -> None:
    few = plan_of(small, methods=["resnet"], seeds=[0])
    run_plan(few, tmp_path, {"folder": images}, device="cpu")
    (file,) = (tmp_path / "cells").iterdir()
    before = file.stat().st_mtime_ns
    more = plan_of(small, methods=["resnet", "tricks"], seeds=[0])
    assert len(run_plan(more, tmp_path, {"folder": images}, device="cpu")) == 2
    assert file.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"data": ["mars"]}, "unknown data set 'mars'"),
        ({"methods": ["magic"]}, "unknown method 'magic'"),
        ({"preset": "huge"}, "unknown preset 'huge'"),
        ({"splits": [0, 0]}, "names something twice"),
        ({"settings": {"ddgan": {"stepz": 1}}}, "unknown key 'ddgan.stepz'"),
        ({"variants": {"di_reid": {}}}, "the name of a method of its own"),
        ({"variants": {"ours": {"method": "magic"}}}, "variant 'ours': method 'magic', choose"),
        ({"variants": {"ours": {"label": 3}}}, "variant 'ours': label 3, expected a text"),
        ({"colour": 1}, "unknown key 'colour'"),
    ],
)
def test_a_wrong_plan_is_refused_in_one_line(changes: dict, said: str, small: dict) -> None:
    with pytest.raises(DireidError, match=said) as error:
        plan_of(small, **changes)
    assert "\n" not in str(error.value)


def test_a_variant_is_its_method_but_for_its_settings(small, images, tmp_path) -> None:
    plan = plan_of(
        small, seeds=[0], methods=["augmented", "noise", "control"],
        variants={
            "noise": {"method": "augmented", "label": "with noise", "self_degradation": "noise"},
            "control": {
                "method": "without_dil_but_identification", "dfen": {"degraded": 0.5, "rate": 2e-3}
            },
        },
    )  # fmt: skip
    plain, noise, control = (plan.config(cell) for cell in plan.cells())
    assert plain.model_copy(update={"self_degradation": "noise"}) == noise
    assert control.ddgan.weights.reconstruction == 0 and not control.dfen.attention
    assert (control.dfen.degraded, control.dfen.rate) == (0.5, 2e-3)
    assert (plan.label("noise"), plan.label("control")) == ("with noise", "control")
    cells = run_plan(plan, tmp_path, {"folder": images}, device="cpu")
    assert [set(cell["seconds"]) for cell in cells] == [
        {"augmented"}, {"augmented"}, {"identity", "ddgan", "dfen"},
    ]  # fmt: skip
    assert cells[0]["per_query"] != cells[1]["per_query"]
    assert "with noise" in (tmp_path / "tables.md").read_text()


def test_a_quick_plan_runs_the_same_cells_in_few_steps(small, images, tmp_path) -> None:
    plan = plan_of(small, methods=["tricks", "di_reid", "without_dil"])
    quick = plan.quick()
    assert [cell.method for cell in quick.cells()] == ["tricks", "di_reid", "without_dil"]
    for cell in quick.cells():
        ours, theirs = quick.config(cell), plan.config(cell)
        steps = {
            "identity": ours.identity.steps,
            "dfen": ours.dfen.steps,
            "ddgan": ours.ddgan.steps,
        }
        assert steps == {
            "identity": 8, "dfen": 8, "ddgan": 0 if cell.method == "without_dil" else 8
        }  # fmt: skip
        back = {name: {"steps": getattr(theirs, name).steps} for name in steps}
        assert with_changes(ours, back) == theirs  # nothing else is different
    cells = run_plan(quick, tmp_path, {"folder": images}, device="cpu")
    assert {cell["plan"] for cell in cells} == {"a test, quick"}
    assert "3 of 3 cells done" in (tmp_path / "tables.md").read_text()


def test_files_that_are_no_plan(tmp_path) -> None:
    with pytest.raises(DireidError, match="cannot read the plan"):
        read_plan(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(DireidError, match=r"bad\.toml: not a plan in TOML"):
        read_plan(tmp_path / "bad.toml")


def test_a_missing_folder_stops_before_anything_is_trained(small, tmp_path) -> None:
    with pytest.raises(DireidError, match="folder needs the folder of its images"):
        run_plan(plan_of(small), tmp_path / "out")
    assert not (tmp_path / "out" / "runs").exists()
    with pytest.raises(DireidError, match="root of 'caviar'"):
        run_plan(plan_of(small), tmp_path / "out", {"caviar": tmp_path})


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_the_books_plans_are_plans(path: Path) -> None:
    plan = read_plan(path)
    assert plan.about
    assert plan.reference in plan.methods
    cells = list(plan.cells())
    assert len(cells) == len(set(cells))


def test_an_ablation_declares_every_row_of_table_3_and_its_control() -> None:
    plan = ablation_plan("tiny", "paper_dolls", splits=2, seeds=3, settings={"ddgan": {"steps": 6}})
    assert set(plan.methods) == {"resnet", "tricks", "augmented", "di_reid", *ABLATIONS}
    assert set(PAPER["caviar"]) <= set(plan.methods)
    assert len(list(plan.cells())) == 2 * 3 * len(plan.methods)
    without = plan.config(Cell("paper_dolls", 1, 2, "without_dil"))
    assert (without.ddgan.steps, without.split, without.seed) == (0, 1, 2)
    assert plan.config(Cell("paper_dolls", 1, 2, "di_reid")).ddgan.steps == 6


# Tables ------------------------------------------------------------------------------------------


def cell(method: str, split: int, rank1: list[float], data: str = "caviar") -> dict:
    per_query = {key: rank1 for key in ("rank1", "rank5", "rank10", "map")}
    row = {"method": method} | {
        key: {"mean": 100 * np.mean(rank1), "spread": 1} for key in per_query
    }
    return {
        "data": data, "split": split, "seed": 0, "method": method, "rows": [row],
        "protocol": "single_shot", "query_pids": [1, 1, 2, 2][: len(rank1)],
        "per_query": {method: per_query}, "budget": {"reid_steps": 1200}, "seconds": {"dfen": 2.0},
    }  # fmt: skip


CELLS = [
    cell("augmented", 0, [0, 0, 1, 1]), cell("di_reid", 0, [1, 0, 1, 1]),
    cell("augmented", 1, [0, 0, 0, 0]), cell("di_reid", 1, [0, 1, 1, 1]),
]  # fmt: skip


def test_differences_by_hand() -> None:
    """Differences of 25 and 75 points: mean 50, and t(0.975, 1) = 12.7062 times 25 either way."""
    found = difference(CELLS, "caviar", "di_reid", "augmented")
    assert (found["mean"], found["n"]) == (50, 2)
    assert found["over_splits"] == pytest.approx([50 - 12.7062 * 25, 50 + 12.7062 * 25], abs=0.01)
    # person 1 gains 50 in both splits, person 2 gains 0 and 100: 50 whoever is drawn
    assert found["over_people"] == pytest.approx([50, 50])
    # person 1 gains 50, person 2 nothing: a test set of two drawn people has 0, 25 or 50
    one = difference(CELLS[:2], "caviar", "di_reid", "augmented")
    assert one["over_splits"] is None
    assert one["over_people"] == pytest.approx([0, 50])
    assert difference(CELLS, "caviar", "di_reid", "resnet") is None


def test_differences_of_other_rows() -> None:
    """A row of DI-REID's cell that found nobody: 0 minus what the competitor found."""
    nobody = {key: [0.0] * 4 for key in ("rank1", "rank5", "rank10", "map")}
    cells = [c | {"per_query": c["per_query"] | {"a half": nobody}} for c in CELLS]
    plain = difference(cells, "caviar", "di_reid", "augmented")
    half = difference(cells, "caviar", "di_reid", "augmented", row="a half")
    turned = difference(cells, "caviar", "augmented", "di_reid", reference_row="a half")
    own = difference(cells, "caviar", "di_reid", "di_reid", reference_row="a half")
    assert half["mean"] == -turned["mean"] < 0
    assert own["mean"] + half["mean"] == pytest.approx(plain["mean"])


def test_splits_of_a_drawn_benchmark_have_other_people() -> None:
    same, other = (
        difference([c | {"data": name} for c in CELLS], name, "di_reid", "augmented")
        for name in ("caviar", "paper_dolls")
    )
    assert same["over_people"] == pytest.approx([50, 50])
    low, high = other["over_people"]  # four people now: they gain 50, 0, 50 and 100
    assert low < 50 < high


@pytest.mark.parametrize(
    ("splits", "people", "word"),
    [
        ([0.1, 3], [0.2, 2], "a gain"), ([-3, -0.1], [-2, -0.2], "a loss"),
        ([-0.1, 3], [0.2, 2], "undecided"), ([0.1, 3], [-0.2, 2], "undecided"),
        ([-3, -1], [0.1, 2], "undecided"), (None, [0.2, 2], "one split: open"),
    ],
)  # fmt: skip
def test_both_intervals_must_leave_out_0(splits, people, word) -> None:
    assert verdict({"mean": 1.0, "n": 2, "over_splits": splits, "over_people": people}) == word
    assert verdict(None) == "not run"


def test_tables_keep_the_papers_figures_apart() -> None:
    plan = make_plan({"name": "by hand", "preset": "tiny", "data": ["caviar"], "splits": [0, 1],
                      "methods": ["augmented", "di_reid", "without_dil"]})  # fmt: skip
    text = tables(plan, CELLS)
    (ours,) = [x for x in text.splitlines() if x.startswith("| DI-REID") and "±" in x][:1]
    assert "75.0 ± 0.0" in ours and "51.2" not in ours
    theirs = text.split("not comparable")[1].split("##")[0]
    assert "51.2" in theirs and "42.8" in theirs  # of the paper, and of its best competitor
    assert "4 of 6 cells done" in text
    assert "+50.0" in text and "1,200" in text


def test_the_papers_figures_agree_with_what_it_says_of_them() -> None:
    caviar = PAPER["caviar"]
    assert caviar["di_reid"][0] - caviar["without_dil"][0] == pytest.approx(6.6)  # section 4.6
    gap = caviar["di_reid"][0] - COMPETITORS["CAD-Net"]["caviar"][0]
    assert gap == pytest.approx(8.4)  # section 4.4
    invariant, sensitive = caviar["f_inv_only"], caviar["f_sen_only"]
    assert sensitive[0] > invariant[0]
    assert sensitive[1] < invariant[1] and sensitive[2] < invariant[2]
    for figures in PAPER.values():
        for row in figures.values():
            assert list(row[:3]) == sorted(row[:3])
