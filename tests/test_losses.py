"""Equations 1-10 and 14 against values worked out by hand, slow loops, and their own properties."""

import math

import pytest
import torch

from direid import losses

F64 = torch.float64


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=F64)


def test_invariable_content_is_the_mean_distance() -> None:
    a, b = tensor(0.0, 1.0, 2.0, 3.0), tensor(1.0, 1.0, 0.0, 7.0)
    assert losses.invariable_content(a, b).item() == (1 + 0 + 2 + 4) / 4


def test_invariable_content_falls_as_the_contents_meet() -> None:
    a, b = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)
    values = [losses.invariable_content(a, a + t * (b - a)).item() for t in (1.0, 0.5, 0.1, 0.0)]
    assert values == sorted(values, reverse=True)
    assert values[-1] == 0


def test_reconstruction_adds_its_two_images() -> None:
    x_i = tensor(0.2, 0.4)
    value = losses.reconstruction(x_i + 0.1, x_i, x_i - 0.3, x_i)
    assert value.item() == pytest.approx(0.4)


def test_identity_preserving_moves_the_decoded_image_only() -> None:
    fake = tensor(1.0, 2.0).requires_grad_()
    real = tensor(0.0, 4.0).requires_grad_()
    value = losses.identity_preserving(fake, real, fake, real)
    value.backward()
    assert value.item() == pytest.approx(2 * (1 + 2) / 2)
    assert fake.grad is not None and fake.grad.tolist() == [1.0, -1.0]
    assert real.grad is None


def test_reality_discriminator_is_the_printed_value_negated() -> None:
    real, fake = tensor(0.3, -1.2), tensor(2.0, -0.5)

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    printed = sum(math.log(sigmoid(v)) for v in real.tolist()) / 2
    printed += sum(math.log(1 - sigmoid(v)) for v in fake.tolist()) / 2
    value = losses.reality_discriminator([[real], [real]], [[fake], [fake]])
    assert value.item() == pytest.approx(-2 * printed, abs=1e-12)


def test_reality_losses_pull_a_fake_score_in_opposite_directions() -> None:
    fake = tensor(0.5).requires_grad_()
    (up,) = torch.autograd.grad(losses.reality_generator([[fake]]), fake)
    (down,) = torch.autograd.grad(losses.reality_discriminator([[tensor(0.0)]], [[fake]]), fake)
    assert up.item() == pytest.approx(-1 / (1 + math.exp(0.5)))  # minimising raises the score
    assert down.item() == pytest.approx(1 / (1 + math.exp(-0.5)))


def test_reality_weighs_scales_equally_whatever_their_size() -> None:
    maps = [torch.full((1, 1, 8, 4), 1.0), torch.full((1, 1, 2, 1), -1.0)]
    expected = (math.log1p(math.exp(-1)) + math.log1p(math.exp(1))) / 2
    assert losses.reality_generator([maps]).item() == pytest.approx(expected)


def test_ranking_self_by_hand() -> None:
    # first: 0.2 - 0.9 + 0.5 -> 0; second: 0.6 - 0.8 + 0.5 = 0.3 (printed: 0.6 - 0.2 + 0.5 = 0.9)
    arguments = tensor(0.2), tensor(0.9), tensor(0.8), tensor(0.6), 0.5
    assert losses.degradation_ranking_self(*arguments).item() == pytest.approx(0.3)
    literal = losses.degradation_ranking_self(*arguments, literal=True)
    assert literal.item() == pytest.approx(0.9)


def test_ranking_self_is_zero_beyond_the_margin_and_higher_when_worse() -> None:
    good, bad = tensor(-2.0), tensor(2.0)
    assert losses.degradation_ranking_self(good, bad, bad, good, 1.0).item() == 0
    kept = [
        losses.degradation_ranking_self(good, tensor(s), bad, good, 1.0).item()
        for s in (-1.0, -1.5, -2.0, -3.0)
    ]
    assert kept == [0.0, 0.5, 1.0, 2.0]


def test_the_printed_second_term_of_equation_5_cannot_vanish_when_equation_2_holds() -> None:
    x_i, x_j = tensor(-2.0), tensor(2.0)
    perfect = x_i  # equation 2: x_ji = x_i, so their scores agree
    assert losses.degradation_ranking_self(x_i, x_j, x_j, perfect, 1.0).item() == 0
    assert losses.degradation_ranking_self(x_i, x_j, x_j, perfect, 1.0, literal=True).item() == 1


def test_ranking_cross_keeps_the_order_of_the_real_pair() -> None:
    s_i, s_k = tensor(0.0, 3.0, 1.0), tensor(2.0, 1.0, 1.0)  # k worse; i worse; a tie
    swapped_right = losses.degradation_ranking_cross(s_i, s_k, s_k, s_i, 1.0)
    assert swapped_right.item() == 0
    not_swapped = losses.degradation_ranking_cross(s_i, s_i, s_k, s_k, 1.0)
    assert not_swapped.item() == pytest.approx((2 + 2 + 0) / 3)  # epsilon twice, none for a tie


def test_ranking_cross_is_symmetric_in_the_pair() -> None:
    random = torch.Generator().manual_seed(0)
    s_i, s_ik, s_k, s_ki = torch.randn(4, 9, generator=random, dtype=F64)
    forth = losses.degradation_ranking_cross(s_i, s_ik, s_k, s_ki, 0.7)
    back = losses.degradation_ranking_cross(s_k, s_ki, s_i, s_ik, 0.7)
    assert forth.item() == pytest.approx(back.item())


def test_degradation_order_raises_the_degraded_score() -> None:
    s_i, s_j = tensor(0.1).requires_grad_(), tensor(0.0).requires_grad_()
    losses.degradation_order(s_i, s_j, 1.0).backward()
    assert s_i.grad is not None and s_i.grad.item() > 0  # descent lowers the original's score
    assert s_j.grad is not None and s_j.grad.item() < 0


def test_identification_of_even_odds_is_log_of_the_people() -> None:
    logits, people = torch.zeros(3, 7, dtype=F64), torch.tensor([0, 3, 6])
    value = losses.identification(logits, people, logits, people)
    assert value.item() == pytest.approx(2 * math.log(7))


def test_triplet_equals_a_slow_loop_with_uneven_people() -> None:
    random = torch.Generator().manual_seed(1)
    people = torch.tensor([0, 0, 1, 1, 1, 2, 2, 0])
    x = torch.randn(8, 5, generator=random, dtype=F64)
    terms = []
    for a in range(8):
        same = [math.dist(x[a], x[b]) for b in range(8) if people[a] == people[b] and a != b]
        other = [math.dist(x[a], x[b]) for b in range(8) if people[a] != people[b]]
        terms.append(max(0.0, max(same) - min(other) + 0.3))
    value = losses.batch_hard_triplet(x, people, 0.3)
    assert value.item() == pytest.approx(sum(terms) / 8, abs=1e-9)


def test_triplet_has_a_finite_gradient_where_features_coincide() -> None:
    x = torch.zeros(4, 3, requires_grad=True)
    losses.batch_hard_triplet(x, torch.tensor([0, 0, 1, 1]), 0.3).backward()
    assert x.grad is not None and x.grad.isfinite().all()


def test_reid_is_cross_entropy_plus_triplet() -> None:
    random = torch.Generator().manual_seed(2)
    logits = torch.randn(4, 3, generator=random, dtype=F64)
    x = torch.randn(4, 6, generator=random, dtype=F64)
    people = torch.tensor([0, 0, 2, 2])
    target = torch.nn.functional.one_hot(people, 3).to(F64) * 0.9 + 0.1 / 3
    entropy = -(target * logits.log_softmax(1)).sum(1).mean()
    value = losses.reid(logits, x, people, 0.3, 0.1)
    assert value.item() == pytest.approx(
        (entropy + losses.batch_hard_triplet(x, people, 0.3)).item()
    )


def test_half_precision_input_is_computed_in_float32() -> None:
    features = torch.full((4, 8), 300.0, dtype=torch.float16)  # 300 squared overflows float16
    features[2:] = 0
    value = losses.batch_hard_triplet(features, torch.tensor([0, 0, 1, 1]), 0.3)
    assert value.dtype == torch.float32
    assert value.isfinite()
