"""The measures behind «does it work?»: closed forms, and one pass over untrained networks."""

import numpy as np
import pytest
import torch

from benchmarks import claims, score
from direid.config import load_preset, merge
from direid.data.paper_dolls import paper_dolls
from direid.models import DDGAN, IdentityNetwork
from direid.training.compute import Compute

RNG = np.random.default_rng(0)


def test_the_power_of_all_frequencies_is_the_variance() -> None:
    x = torch.rand(5, 3, 16, 8, generator=torch.Generator().manual_seed(0))
    grey = x.mean(dim=1)
    torch.testing.assert_close(claims.spectrum(x, 1)[:, 0], grey.var(dim=(1, 2), correction=0))
    wave = torch.cos(torch.arange(16) * 2 * torch.pi * 4 / 16)  # a quarter of a cycle a pixel
    waves = wave[None, None, :, None].expand(1, 3, 16, 8)
    assert claims.spectrum(waves, 4)[0].argmax() == 2  # of 0-1/8, 1/8-1/4, 1/4-3/8, 3/8-1/2


def test_sharpness_of_one_bright_pixel() -> None:
    x = torch.zeros(1, 3, 5, 5)
    x[:, :, 2, 2] = 1
    assert claims.sharpness(x).item() == pytest.approx((4 + 4) / 9)  # inner 3 x 3: -4 and four ones


def test_what_cannot_be_told_apart_is_told_half_the_time() -> None:
    groups = np.repeat(np.arange(50), 8)
    a, b = RNG.normal(size=(2, 400, 3))
    assert abs(claims._told_apart(a, b, groups) - 0.5) < 0.07
    assert claims._told_apart(a, b + 10, groups) == 1


def test_neighbours_are_other_people() -> None:
    levels, pids = RNG.random(400), np.repeat(np.arange(100), 4)
    by_level = levels[:, None] + 1e-3 * RNG.normal(size=(400, 2))
    assert claims._neighbours_r2(by_level, levels, pids) > 0.98
    of_person = RNG.random(100)[pids]  # a person's four images have one level and one code
    by_person = RNG.normal(size=(100, 8))[pids]
    assert claims._neighbours_r2(by_person, of_person, pids) < 0.2  # his own would give 1


def test_all_claims_are_measured_on_untrained_networks(small) -> None:
    config = load_preset("tiny", merge(small, {"data": "paper_dolls"}))
    size = {"train_people": 2, "test_people": 12, "height": 32, "width": 16}
    people, clean = paper_dolls(0, **size), paper_dolls(0, degrade_queries=False, **size)
    torch.manual_seed(0)
    ddgan, judge = DDGAN(config.network, 2).eval(), IdentityNetwork(config.network, 2).eval()
    for network in (ddgan, judge):
        network.requires_grad_(False)
    of = claims.Trained(
        config, Compute("cpu"), people.query, people.gallery, clean.query, ddgan, judge
    )
    found = {name: claim(of, "resolution") for name, claim in claims.CLAIMS.items()}
    for way in ("bad to good", "good to bad"):
        shares = found["disentanglement"][way]
        assert all(0 <= shares[key] <= 1 for key in ("kept", "before", "donor"))
        assert np.isfinite(shares["moved"])
    assert found["disentanglement"]["probes"]["one statistic"]["level"] > 0.2
    camera = found["authenticity"]["the camera itself"]
    assert abs(camera["coarse"] - 0.5) < 0.25 < found["authenticity"]["decoder, E_d"]["everything"]
    assert found["manifold"]["spearman"]["plain statistic"] > 0.5
    assert -1 <= found["manifold"]["spearman"]["D_d, shifted"] <= 1


def test_a_shifted_score_is_the_mean_over_eighteen_views() -> None:
    class Corner(torch.nn.Module):  # a score that depends on where things are
        def score(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, 0, 0, 0]

    x = torch.rand(3, 3, 6, 5, generator=torch.Generator().manual_seed(1))
    views = [
        view[:, 0, max(dy, 0), max(dx, 0)]  # the border is repeated outwards
        for view in (x, x.flip(3))
        for dy in (-2, 0, 2)
        for dx in (-2, 0, 2)
    ]
    torch.testing.assert_close(claims.shifted(Corner(), x), torch.stack(views).mean(dim=0))


def test_a_judge_alone_orders_better_than_an_untrained_one(small) -> None:
    config = score.settings("paper_dolls", 0, steps=60).model_copy(
        update={"network": load_preset("tiny", small).network}
    )
    people = paper_dolls(0, train_people=12, test_people=20, height=32, width=16)
    torch.manual_seed(0)
    untrained = DDGAN(config.network, 12).eval().discriminators.degradation
    found = score.correlations(score.train_judge(config, people), people.query, config)
    before = score.correlations(untrained, people.query, config)
    assert found["D_d"] > max(0.3, before["D_d"] + 0.1)
    assert found["plain statistic"] == before["plain statistic"] > 0.6
