"""Equations 1-10, 13 and 14 against values worked out by hand, slow loops, and properties."""

import inspect
import math
import re

import pytest
import torch

from direid import losses
from direid.config import LITERAL, Config, Readings, load_preset
from direid.models.dfen import identity_representation
from direid.models.identity_encoder import Identified

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
    x_i, x_k = tensor(0.2, 0.4), tensor(0.9, 0.7)
    both_x_i = losses.reconstruction_self(x_i + 0.1, x_i - 0.3, x_i)
    assert both_x_i.item() == pytest.approx(0.4)
    one_each = losses.reconstruction_cross(x_i + 0.1, x_k + 0.2, x_i, x_k)
    assert one_each.item() == pytest.approx(0.3)


def test_identity_preserving_self_by_hand_in_both_readings() -> None:
    f_ij, f_ji = tensor(1.0, 2.0), tensor(3.0, 3.0)
    f_i, f_j = tensor(0.0, 4.0), tensor(3.0, 5.0)
    first = (1 + 2) / 2
    ours = losses.identity_preserving_self(f_ij, f_ji, f_i, f_j)
    assert ours.item() == first + (3 + 1) / 2
    printed = losses.identity_preserving_self(f_ij, f_ji, f_i, f_j, "x_j")
    assert printed.item() == first + (0 + 2) / 2


@pytest.mark.parametrize("reading", ["x_i", "x_j"])
def test_identity_preserving_moves_the_decoded_images_only(reading: str) -> None:
    fake = tensor(1.0, 2.0).requires_grad_()
    real, other = tensor(0.0, 4.0).requires_grad_(), tensor(0.5, 9.0).requires_grad_()
    for value in (
        losses.identity_preserving_self(fake, fake, real, other, reading),
        losses.identity_preserving_cross(fake, fake, real, other),
    ):
        fake.grad = None
        value.backward()
        assert fake.grad is not None and fake.grad.tolist() == [1.0, -1.0]
        assert real.grad is None and other.grad is None


def test_identity_preserving_cross_by_hand() -> None:
    f_ik, f_ki, f_i, f_k = tensor(1.0), tensor(2.0), tensor(4.0), tensor(2.5)
    assert losses.identity_preserving_cross(f_ik, f_ki, f_i, f_k).item() == 3.5


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
    literal = losses.degradation_ranking_self(*arguments, reading="x_i")
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
    assert losses.degradation_ranking_self(x_i, x_j, x_j, perfect, 1.0, "x_i").item() == 1


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


def test_identification_leaves_out_who_is_unknown() -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 5, generator=random, dtype=F64, requires_grad=True)
    people = torch.tensor([2, -100, 0, -100])
    value = losses.identification(logits, people, logits, torch.full((4,), -100))
    by_hand = -(logits[0].log_softmax(0)[2] + logits[2].log_softmax(0)[0]) / 2
    assert value.item() == pytest.approx(by_hand.item())
    (gradient,) = torch.autograd.grad(value, logits)
    assert gradient[[1, 3]].abs().max() == 0
    assert gradient[[0, 2]].abs().min() > 0


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
    value = losses.reid(Identified(x, x, logits), people, 0.3, 0.1)
    assert value.item() == pytest.approx(
        (entropy + losses.batch_hard_triplet(x, people, 0.3)).item()
    )
    # with the rest of a batch: hard samples come from it, the classified ones do not
    rest, others = x + 0.1, people + 1

    def gather(part: torch.Tensor) -> torch.Tensor:
        return torch.cat([part, others if part is people else rest])

    value = losses.reid(Identified(x, x, logits), people, 0.3, 0.1, gather)
    whole = losses.batch_hard_triplet(torch.cat([x, rest]), torch.cat([people, others]), 0.3)
    assert value.item() == pytest.approx((entropy + whole).item())


def test_multi_classifier_leaves_out_what_has_no_weight_and_total_weighs() -> None:
    random = torch.Generator().manual_seed(3)
    people = torch.tensor([0, 0, 1, 1])
    seen = {}
    for name in ("invariant", "sensitive", "both"):
        x, logits = (torch.randn(4, n, generator=random, dtype=F64) for n in (5, 2))
        seen[name] = Identified(x, x, logits)
    weights = {"invariant": 0.5, "sensitive": 0.0, "both": 2.0}
    terms = losses.multi_classifier(seen, people, weights, 0.3, 0.1)
    assert set(terms) == {"invariant", "both"}
    expected = 0.5 * losses.reid(seen["invariant"], people, 0.3, 0.1)
    expected += 2.0 * losses.reid(seen["both"], people, 0.3, 0.1)
    assert losses.total(terms, weights).item() == pytest.approx(expected.item())


def test_identity_representation_by_hand() -> None:
    f_inv, f_sen = tensor(1.0, 2.0)[None], tensor(4.0, 6.0, 8.0)[None]
    attention = tensor(0.5, 1.0, 0.0)[None]
    joined = identity_representation(f_inv, f_sen, attention)
    assert joined.tolist() == [[1.0, 2.0, 2.0, 6.0, 0.0]]
    assert identity_representation(f_inv, f_sen, None).tolist() == [[1.0, 2.0, 4.0, 6.0, 8.0]]


def test_printed_generator_loss_is_the_printed_half_of_the_value() -> None:
    fake = tensor(2.0, -0.5).requires_grad_()
    value = losses.reality_generator([[fake]], "printed")
    by_hand = sum(math.log(1 - 1 / (1 + math.exp(-v))) for v in fake.tolist()) / 2
    assert value.item() == pytest.approx(by_hand)
    (printed,) = torch.autograd.grad(value, fake)
    (ours,) = torch.autograd.grad(losses.reality_generator([[fake]]), fake)
    assert (printed * ours > 0).all()  # the same direction


def test_printed_generator_loss_vanishes_where_the_discriminator_is_sure() -> None:
    fake = tensor(-12.0).requires_grad_()  # surely decoded
    (printed,) = torch.autograd.grad(losses.reality_generator([[fake]], "printed"), fake)
    (ours,) = torch.autograd.grad(losses.reality_generator([[fake]]), fake)
    assert abs(printed.item()) < 1e-4 and abs(ours.item()) > 0.99


def test_least_squares_by_hand() -> None:
    real, fake = tensor(0.5, 2.0), tensor(3.0, -1.0)
    d = losses.reality_discriminator([[real]], [[fake]], "least_squares")
    assert d.item() == (0.25 + 1) / 2 + (9 + 1) / 2
    g = losses.reality_generator([[fake], [real]], "least_squares")
    assert g.item() == (4 + 4) / 2 + (0.25 + 1) / 2


def test_predicted_order_spreads_a_real_pair_and_leaves_a_tie() -> None:
    s_i = tensor(0.0, 1.0, 5.0).requires_grad_()
    s_k = tensor(0.4, 0.8, 5.0)
    value = losses.degradation_order_predicted(s_i, s_k, 1.0)
    assert value.item() == pytest.approx((0.6 + 0.8 + 0) / 3)
    value.backward()
    assert s_i.grad is not None
    assert s_i.grad.tolist() == pytest.approx([1 / 3, -1 / 3, 0.0])  # the better one goes down


def test_cycle_reconstruction_by_hand() -> None:
    x_i, x_k = tensor(0.2, 0.4), tensor(0.5, 0.5)
    assert losses.cycle_reconstruction(x_i + 0.1, x_k - 0.2, x_i, x_k).item() == pytest.approx(0.3)


def test_gradient_penalty_of_a_linear_judge_is_its_squared_slope() -> None:
    slope = torch.arange(24, dtype=F64).view(3, 4, 2).requires_grad_()
    images = torch.rand(5, 3, 4, 2, dtype=F64, requires_grad=True)
    value = losses.gradient_penalty((images * slope).sum(dim=(1, 2, 3)), images)
    assert value.item() == pytest.approx((slope**2).sum().item())
    value.backward()  # differentiable again: d/dslope of slope^2
    assert slope.grad is not None
    torch.testing.assert_close(slope.grad, 2 * slope.detach())


def test_domain_score_wants_one_of_bad_images_and_zero_of_good_ones() -> None:
    score = tensor(0.5, 0.5, 3.0)
    poor = torch.tensor([True, False, True])
    assert losses.domain_score(score, poor).item() == (0.25 + 0.25 + 4) / 3


def test_smoothing_is_the_divergence_and_moves_the_replayed_image_only() -> None:
    p, q = tensor(0.2, 0.8), tensor(0.6, 0.4)
    first, second = p.log()[None].requires_grad_(), (q.log() + 3.0)[None].requires_grad_()
    value = losses.prediction_smoothing(first, second)
    by_hand = 0.2 * math.log(0.2 / 0.6) + 0.8 * math.log(0.8 / 0.4)
    assert value.item() == pytest.approx(by_hand)
    value.backward()
    assert first.grad is None and second.grad is not None and second.grad.abs().sum() > 0
    assert losses.prediction_smoothing(first, first).item() == pytest.approx(0)


def test_every_equation_has_a_function_that_names_it() -> None:
    functions = [getattr(losses, name) for name in losses.__all__ if name.islower()]
    functions.append(identity_representation)
    named: dict[int, set[str]] = {}
    for function in functions:
        first = inspect.getdoc(function).splitlines()[0]
        if found := re.match(r"Equations? ([\d, and]+)", first):
            for number in re.findall(r"\d+", found[1]):
                named.setdefault(int(number), set()).add(function.__name__)
    assert sorted(named) == list(range(1, 15))
    alone = {number: names for number, names in named.items() if number not in (4, 7)}
    assert all(len(names) == 1 for names in alone.values())
    assert named[4] == named[7] == {"reality_discriminator", "reality_generator"}  # two players


def test_the_literal_paper_is_one_choice_of_readings_and_every_one_is_explained() -> None:
    literal, default = load_preset("paper", LITERAL).readings, Readings()
    for field in Readings.model_fields:
        assert getattr(literal, field) != getattr(default, field)
        assert f"``{field}``" in (Readings.__doc__ or "")
    assert Config().readings == default


def test_sums_stay_in_float64_and_leave_half_precision() -> None:
    for dtype, wanted in ((F64, F64), (torch.bfloat16, torch.float32)):
        x = torch.rand(4, 3).to(dtype)
        people = torch.tensor([0, 0, 1, 1])
        values = [
            losses.invariable_content(x, x + 1), losses.reality_generator([[x]]),
            losses.reality_discriminator([[x]], [[x]]), losses.degradation_order(x, x, 1.0),
            losses.degradation_ranking_cross(x, x, x, x + 1, 1.0),
            losses.identification(x, people, x, people), losses.batch_hard_triplet(x, people, 0.3),
            losses.prediction_smoothing(x, x), losses.domain_score(x[:, 0], people > 0),
        ]  # fmt: skip
        assert all(value.dtype == wanted for value in values)


def test_half_precision_input_is_computed_in_float32() -> None:
    features = torch.full((4, 8), 300.0, dtype=torch.float16)  # 300 squared overflows float16
    features[2:] = 0
    value = losses.batch_hard_triplet(features, torch.tensor([0, 0, 1, 1]), 0.3)
    assert value.dtype == torch.float32
    assert value.isfinite()
