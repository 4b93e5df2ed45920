"""The benchmark of the evaluation runs, and its baseline and random data are what they say."""

import json

import numpy as np
import pytest

from benchmarks import evaluation
from benchmarks.evaluation import TARGETS, TASKS
from benchmarks.retrieval import SIZES, random_case, sorted_scores
from direid.evaluation import ranks


def test_the_quick_form_measures_everything_once(tmp_path, capsys):
    assert evaluation.main(["--quick", "--out", str(tmp_path / "quick.json")]) == 0
    report = json.loads((tmp_path / "quick.json").read_text())
    assert {row["what"] for row in report["tasks"]} == set(evaluation.MEASURES)
    assert all(row["seconds"] > 0 and row["growth_gib"] >= 0 for row in report["tasks"])
    by_kind = {row["what"]: row for row in report["tasks"]}
    assert by_kind["sorted"]["largest_difference"] < 1e-12
    assert by_kind["sorted"]["scaled"] == 3
    assert 0.1 < by_kind["features"]["map"] < by_kind["rerank"]["map"] < 1
    assert report["versions"]["numpy"] and report["machine"]["cores"] and report["seed"] == 0
    assert "scaled x 3" in capsys.readouterr().out


def test_a_measurement_in_a_fresh_process_scores_the_same():
    task = evaluation.QUICK[1]
    apart, here = evaluation._in_a_fresh_process(task), evaluation.MEASURES[task.what](task)
    assert apart["map"] == pytest.approx(here["map"]) and 0 <= apart["growth_gib"] < 0.5


@pytest.mark.parametrize("name", ["toy", "mlr_cuhk03"])
def test_the_random_case_has_the_shape_it_says(name):
    size = SIZES[name]
    query, gallery, query_pids, gallery_pids, query_camids, gallery_camids = random_case(size, 8, 0)
    assert query.shape == (size.queries, 8) and gallery.shape == (size.gallery, 8)
    assert query.dtype == gallery.dtype == np.float32
    assert len(np.unique(gallery_pids)) == size.people + size.distractors
    assert set(gallery_camids) | set(query_camids) == set(range(size.cameras))
    ranks.evaluate(query, gallery, query_pids, gallery_pids, query_camids, gallery_camids)


def test_the_baseline_puts_wrong_images_first_among_equals():
    case = np.zeros((1, 3)), np.array([1]), np.array([1, 2, 2]), np.array([0]), np.array([1, 1, 1])
    np.testing.assert_allclose(sorted_scores(*case)[:, 0], [1 / 3, 1 / 3, 0])


def test_the_targets_are_about_the_tasks_they_name():
    about = [(TASKS[i].what, TASKS[i].size, TASKS[i].width, key) for i, key, _ in TARGETS]
    assert about == [
        ("distance", "market1501", 64, "seconds"),
        ("distance", "msmt17", 64, "seconds"),
        ("distance", "mlr_cuhk03", 64, "seconds"),
        ("features", "msmt17", 2048, "seconds"),
        ("features", "msmt17", 2048, "growth_gib"),
        ("rerank", "market1501", 2048, "seconds"),
        ("rerank", "market1501", 2048, "growth_gib"),
        ("rerank", "msmt17", 512, "growth_gib"),
    ]
