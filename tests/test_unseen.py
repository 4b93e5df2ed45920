"""Photographs of the same people under faults that the training did not have."""

import numpy as np
import torch

from benchmarks import unseen
from direid.config import load_preset, merge
from direid.data.loaders import Images
from direid.data.paper_dolls import paper_dolls
from direid.experiments import difference
from direid.experiments.plan import Cell, make_plan
from direid.models import DDGAN, DFEN, IdentityNetwork
from direid.training.compute import Compute

SIZE = {"train_people": 2, "test_people": 6, "images_per_camera": 2, "height": 32, "width": 16}


def _dark(small: dict):
    config = load_preset("tiny", merge(small, {"data": "paper_dolls_dark"}))
    return config, paper_dolls(0, degradation="illumination", **SIZE)


def test_the_other_camera_is_the_other_benchmark_and_both_are_darker_and_blurred(small) -> None:
    config, benchmark = _dark(small)
    found = unseen.photographed(benchmark, config)
    other = paper_dolls(0, degradation="resolution", **SIZE).query
    for ours, theirs in zip(found["the other camera"], other, strict=True):
        assert ours.name == theirs.name and np.array_equal(ours.image, theirs.image)
    images = {
        name: Images(records, 32, 16).all()
        for name, records in (("dark", benchmark.query), ("poor", other), *found.items())
    }
    both = images["both at once"]
    assert both.mean() < images["poor"].mean() - 0.05  # as the dark camera sees

    def edges(x: torch.Tensor) -> float:  # of what is bright and dark, as shares of the brightness
        return float((x.diff(dim=2).abs().mean(dim=(1, 2, 3)) / x.mean(dim=(1, 2, 3))).mean())

    assert edges(both) < edges(images["dark"])
    again = unseen.photographed(benchmark, config)["both at once"]
    pairs = zip(found["both at once"], again, strict=True)
    assert all(np.array_equal(a.image, b.image) for a, b in pairs)


def test_cells_can_be_compared_in_pairs(small) -> None:
    config, benchmark = _dark(small)
    plan = make_plan({
        "name": "x", "preset": "tiny", "data": ["paper_dolls_dark"], "splits": [0, 1],
        "methods": ["tricks", "di_reid"], "settings": small,
    })  # fmt: skip
    torch.manual_seed(0)
    nets = {
        "tricks": IdentityNetwork(config.network, 2),
        "di_reid": DFEN(config.network, 2, config.dfen, config.readings),
    }
    queries = unseen.photographed(benchmark, config)
    restored = unseen.restored(DDGAN(config.network, 2), benchmark, config)
    common = queries, restored, benchmark, config, Compute("cpu")
    cells = [
        cell
        for split in (0, 1)
        for method in plan.methods
        for cell in unseen.cells_of(
            plan, Cell("paper_dolls_dark", split, 0, method), nets[method], *common
        )
    ]
    assert {cell["data"] for cell in cells} == set(unseen.TESTS)
    found = difference(cells, "both at once", "di_reid", "tricks")
    means = {
        c["method"]: c["rows"][0]["rank1"]["mean"] for c in cells if c["data"] == "both at once"
    }
    assert found["n"] == 2
    np.testing.assert_allclose(found["mean"], means["di_reid"] - means["tricks"], atol=0.01)
    gain = difference(cells, "as in training", "tricks_restored", "tricks")
    assert gain["n"] == 2
    assert len(set(cells[0]["query_pids"]) & set(cells[-1]["query_pids"])) == 0  # other people


def test_restoring_gives_each_image_its_own_content_and_one_code(small) -> None:
    config, benchmark = _dark(small)
    torch.manual_seed(0)
    ddgan = DDGAN(config.network, 2)
    found = Images(unseen.restored(ddgan, benchmark, config), 32, 16).all()
    made = ddgan.eval().generator
    clean = Images([r for r in benchmark.train if r.camid == 1], 32, 16).all()
    one = Images(benchmark.query[3:4], 32, 16).all()
    with torch.no_grad():
        code = made.degradation_encoder(clean).mean(dim=0, keepdim=True)
        expected = made.decoder(made.content_encoder.content(one), code).clamp(0, 1)
    torch.testing.assert_close(found[3:4], expected, atol=1 / 255, rtol=0)
