"""Stage 1's two kinds of step: whom each loss moves and whom it must not, readings, later ideas."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from direid import losses
from direid.config import LITERAL, Config, Later, Readings, load_preset
from direid.degradations import SelfDegradation
from direid.errors import DireidError
from direid.models import DDGAN
from direid.training.compute import Compute
from direid.training.ddgan import check_cameras, ddgan_stage, frozen
from direid.training.phases import CrossPhase, Phase, SelfPhase

CPU = Compute("cpu")


def with_(config: Config, **groups: object) -> Config:
    """``config`` with other readings, later ideas or ddgan settings."""
    return Config.model_validate(config.model_dump() | groups)


def batch(size: int = 2) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(3)
    x_i, x_k = torch.rand(2, size, 3, 32, 16, generator=random)
    labels = torch.arange(size)
    x_j = SelfDegradation("resolution")(x_i, torch.Generator().manual_seed(0))
    poor = torch.zeros(size, dtype=torch.bool)
    return {"image_i": x_i, "label_i": labels, "image_k": x_k, "label_k": labels + 1,
            "image_j": x_j, "poor_i": poor, "poor_k": ~poor}  # fmt: skip


def phases(nets: DDGAN, config: Config) -> Iterator[Phase]:
    for kind in (SelfPhase, CrossPhase):
        yield kind(nets, CPU, config, batch())


def part(nets: DDGAN, name: str) -> nn.Module:
    return nets.get_submodule(name)


E_C, E_D, E_D_, G, NECK = (
    "generator.content_encoder", "generator.degradation_encoder",
    "generator.self_degradation_encoder", "generator.decoder", "generator.neck",
)  # fmt: skip
D_R, D_D, E_ID = "discriminators.reality", "discriminators.degradation", "identity_encoder"
NETWORKS = (E_C, E_D, E_D_, G, NECK, D_R, D_D, E_ID)
ROUTES = {
    ("self", "invariable_content"): {E_C},
    ("self", "reconstruction"): {E_C, E_D, G},
    ("self", "identity_preserving"): {E_C, E_D, E_D_, G},
    ("self", "reality"): {E_C, E_D_, G},
    ("self", "degradation"): {E_C, E_D, E_D_, G},
    ("cross", "identification"): {E_C, NECK},
    ("cross", "reconstruction"): {E_C, E_D, G},
    ("cross", "identity_preserving"): {E_C, E_D, G},
    ("cross", "reality"): {E_C, E_D, G},
    ("cross", "degradation"): {E_C, E_D, G},
    ("self", "D_r"): {D_R},
    ("self", "D_d"): {D_D},
    ("cross", "D_r"): {D_R},
}
LATER_ROUTES = {
    ("cross", "cycle"): {E_C, E_D, G},
    ("self", "D_r_penalty"): {D_R},
    ("self", "D_d_penalty"): {D_D},
    ("cross", "D_r_penalty"): {D_R},
    ("cross", "D_d_penalty"): {D_D},
    ("cross", "D_d"): {D_D},  # the camera says which images are bad
}


def moved(nets: DDGAN, loss: Tensor) -> set[str]:
    """The networks that ``loss`` has a gradient for."""
    names, parts = [], []
    for name in NETWORKS:
        for p in part(nets, name).parameters():
            if p.requires_grad:
                names.append(name)
                parts.append(p)
    gradients = torch.autograd.grad(loss, parts, retain_graph=True, allow_unused=True)
    return {n for n, g in zip(names, gradients, strict=True) if g is not None and g.any()}


@pytest.mark.parametrize(
    ("later", "routes"),
    [
        ({}, ROUTES),
        ({"cycle": 1, "gradient_penalty": 1, "poor_cameras": (1,)}, ROUTES | LATER_ROUTES),
    ],
)
def test_each_loss_moves_its_networks_and_no_other(later: dict, routes: dict, config) -> None:
    torch.manual_seed(0)
    wide = config.ddgan.model_dump() | {"epsilon": 100.0}  # no hinge is closed
    config = with_(config, later=later, ddgan=wide)
    nets = DDGAN(config.network, people=8).train()
    seen = set()
    for phase in phases(nets, config):
        for name, loss in phase.discriminator_losses().items():
            assert moved(nets, loss) == routes[phase.name, name], (phase.name, name)
            seen.add((phase.name, name))
        with frozen(nets.discriminators):
            for name, loss in phase.generator_losses().items():
                assert moved(nets, loss) == routes[phase.name, name], (phase.name, name)
                seen.add((phase.name, name))
    assert seen == set(routes)


def test_a_step_moves_each_player_in_its_turn_and_the_teacher_never(benchmark, config) -> None:
    torch.manual_seed(0)
    nets = DDGAN(config.network, benchmark.people).train()
    stage = ddgan_stage(nets, benchmark, config, CPU)
    teacher = {name: value.clone() for name, value in nets.identity_encoder.state_dict().items()}
    for number in range(4):
        before = {name: [p.clone() for p in part(nets, name).parameters()] for name in NETWORKS}
        stage.step(number, stage.batches[number])
        still = {
            name for name in NETWORKS
            if all(map(torch.equal, part(nets, name).parameters(), before[name]))
        }  # fmt: skip
        assert still == ({E_ID, NECK} if number % 2 == 0 else {E_ID, E_D_, D_D})
    for name, value in nets.identity_encoder.state_dict().items():  # its batch statistics too
        assert torch.equal(value, teacher[name]), name
    assert all(p.requires_grad for p in nets.discriminators.parameters())


def test_generated_images_never_teach_d_d(config: Config, monkeypatch) -> None:
    """Its loss is the same whatever G paints, and it is asked about real pairs' order by nobody."""
    torch.manual_seed(0)
    nets = DDGAN(config.network, people=8).train()
    judged = []
    real = nets.discriminators.degradation.forward
    monkeypatch.setattr(
        nets.discriminators.degradation, "forward", lambda x: judged.append(x) or real(x)
    )
    for phase in phases(nets, config):
        judged.clear()
        phase.discriminator_losses()
        wanted = [phase.x_i, phase.batch["image_j"]] if phase.name == "self" else []
        assert [x.shape[0] for x in judged] == ([4] if wanted else [])
        if wanted:
            torch.testing.assert_close(judged[0], torch.cat(wanted), rtol=0, atol=0)
            assert not judged[0].requires_grad


def test_fakes_are_detached_in_the_discriminators_turn(config: Config) -> None:
    nets = DDGAN(config.network, people=8).train()
    for readings in ({}, LITERAL["readings"], {"ranking": "predicted"}):
        for phase in phases(nets, with_(config, readings=readings)):
            for loss in phase.discriminator_losses().values():
                assert moved(nets, loss) <= {D_R, D_D}


def test_a_loss_of_weight_zero_is_not_computed(config: Config, small: dict, monkeypatch) -> None:
    def never(*arguments: object, **options: object) -> Tensor:
        raise AssertionError("computed")

    for name in ("degradation_ranking_self", "degradation_ranking_cross", "identification",
                 "reality_generator", "identity_preserving_self", "identity_preserving_cross",
                 "invariable_content", "cycle_reconstruction", "gradient_penalty",
                 "domain_score", "reality_discriminator"):  # fmt: skip
        monkeypatch.setattr(losses, name, never)
    off = dict.fromkeys(type(config.ddgan.weights).model_fields, 0) | {"reconstruction": 1}
    only = load_preset("tiny", small | {"ddgan": {"weights": off}})
    nets = DDGAN(config.network, people=8)
    for phase in phases(nets, only):
        assert set(phase.generator_losses()) == {"reconstruction"}
        assert set(phase.discriminator_losses()) <= {"D_d"}


def test_no_image_is_decoded_for_nobody_and_each_is_encoded_once(
    config, small, monkeypatch
) -> None:
    nets = DDGAN(config.network, people=8)
    decoded, encoded = [], []
    paint, read = nets.generator.decoder.forward, nets.generator.content_encoder.trunk.forward
    monkeypatch.setattr(
        nets.generator.decoder, "forward", lambda c, d: decoded.append(len(c)) or paint(c, d)
    )
    monkeypatch.setattr(
        nets.generator.content_encoder.trunk, "forward",
        lambda x, stages=4: encoded.append(len(x)) or read(x, stages),
    )  # fmt: skip
    for phase in phases(nets, config):
        phase.discriminator_losses()
        phase.generator_losses()
    assert decoded == [8, 8]  # four images a pair, two pairs, one batch, either phase
    assert encoded == [4, 4]
    decoded.clear()
    off = dict.fromkeys(type(config.ddgan.weights).model_fields, 0)
    for kept in ("invariable_content", "identification"):
        only = load_preset("tiny", small | {"ddgan": {"weights": off | {kept: 1}}})
        for phase in phases(nets, only):
            phase.generator_losses()
    assert decoded == []


def test_equations_3_and_5_as_printed(config: Config) -> None:
    torch.manual_seed(0)
    nets = DDGAN(config.network, people=8).eval()
    printed_readings = {"equation_3": "x_j", "equation_5": "x_i"}
    phase = next(phases(nets, config))
    ours = phase.generator_losses()
    printed = next(phases(nets, with_(config, readings=printed_readings))).generator_losses()
    fakes = phase.made.swaps
    real_i, real_j = nets.identity_encoder(phase.x_i), nets.identity_encoder(phase.x_j)
    x_ij, x_ji = nets.identity_encoder(fakes.ab), nets.identity_encoder(fakes.ba)
    first = (x_ij - real_i).abs().mean()
    torch.testing.assert_close(ours["identity_preserving"], first + (x_ji - real_i).abs().mean())
    torch.testing.assert_close(printed["identity_preserving"], first + (x_ji - real_j).abs().mean())
    score = nets.discriminators.degradation.score
    s_i, s_j, s_ij, s_ji = (score(x) for x in (phase.x_i, phase.x_j, fakes.ab, fakes.ba))
    first = (s_i - s_ij + 1).clamp_min(0).mean()
    torch.testing.assert_close(ours["degradation"], first + (s_ji - s_j + 1).clamp_min(0).mean())
    torch.testing.assert_close(printed["degradation"], first + (s_ji - s_i + 1).clamp_min(0).mean())
    same = set(ours) - {"identity_preserving", "degradation"}
    assert all(torch.equal(ours[name], printed[name]) for name in same)


@pytest.mark.parametrize("reading", ["printed", "least_squares"])
def test_the_adversarial_reading_reaches_both_players(reading: str, config: Config) -> None:
    torch.manual_seed(0)
    nets = DDGAN(config.network, people=8).eval()
    judge = nets.discriminators.reality
    for phase in phases(nets, with_(config, readings={"adversarial": reading})):
        made = phase.made.swaps
        fakes = (made.ab, made.bb) if phase.name == "self" else (made.ab, made.ba)
        maps = [[m for m in judge(x)] for x in (phase.x_i, phase.x_k, *fakes)]
        g = losses.reality_generator(maps[2:], reading)
        d = losses.reality_discriminator(maps[:2], maps[2:], reading)
        torch.testing.assert_close(phase.generator_losses()["reality"], g, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(phase.discriminator_losses()["D_r"], d, rtol=1e-4, atol=1e-6)


def test_d_d_learns_what_the_reading_says(config: Config) -> None:
    torch.manual_seed(0)
    nets = DDGAN(config.network, people=8).eval()
    score = nets.discriminators.degradation.score

    def of(ranking: str) -> dict[str, Tensor | None]:
        readings = Readings(ranking=ranking).model_dump()
        return {p.name: p.discriminator_losses().get("D_d")
                for p in phases(nets, with_(config, readings=readings))}  # fmt: skip

    first, second = phases(nets, config)
    s_i, s_j, s_k = (score(x) for x in (first.x_i, first.x_j, first.x_k))
    order = losses.degradation_order(s_i, s_j, 1.0)
    assert of("order")["cross"] is None
    torch.testing.assert_close(of("order")["self"], order)
    torch.testing.assert_close(of("predicted")["self"], order)
    predicted = losses.degradation_order_predicted(s_i, s_k, 1.0)
    torch.testing.assert_close(of("predicted")["cross"], predicted)
    s_ij, s_ji = score(first.made.swaps.ab), score(first.made.swaps.ba)
    s_ik, s_ki = score(second.made.swaps.ab), score(second.made.swaps.ba)
    fifth = losses.degradation_ranking_self(s_i, s_ij, s_j, s_ji, 1.0)
    torch.testing.assert_close(of("printed")["self"], fifth)
    tenth = losses.degradation_ranking_cross(s_i, s_ik, s_k, s_ki, 1.0)
    torch.testing.assert_close(of("printed")["cross"], tenth)


def test_semi_supervised_ranking_follows_the_donor_of_the_degradation(config: Config) -> None:
    torch.manual_seed(0)
    nets = DDGAN(config.network, people=8).eval()
    cameras = Later(poor_cameras=(1,)).model_dump()
    phase = list(phases(nets, with_(config, later=cameras)))[1]
    score = nets.discriminators.degradation.score
    real = (score(phase.x_i).square().mean() + (score(phase.x_k) - 1).square().mean()) / 2
    torch.testing.assert_close(phase.discriminator_losses()["D_d"], real)  # camera of k is the poor
    s_ik, s_ki = score(phase.made.swaps.ab), score(phase.made.swaps.ba)
    made = ((s_ik - 1).square().mean() + s_ki.square().mean()) / 2
    torch.testing.assert_close(phase.generator_losses()["degradation"], made)


@pytest.mark.parametrize("cameras", [(7,), (1, 2), (1, 7)])
def test_cameras_that_are_not_there_or_all_there_are_is_refused(cameras, benchmark, config) -> None:
    there = sorted({record.camid for record in benchmark.train})
    assert there == [1, 2]
    config = with_(config, later=Later(poor_cameras=cameras).model_dump())
    with pytest.raises(DireidError, match=r"poor_cameras=.*expected some, not all.*\[1, 2\]"):
        check_cameras(benchmark, config)
    check_cameras(benchmark, with_(config, later=Later(poor_cameras=(2,)).model_dump()))


def test_each_term_compares_the_images_that_its_equation_names(config: Config) -> None:
    """In float64, from the networks up: to exchange any two images of an equation would show."""
    torch.manual_seed(0)
    later = {"cycle": 1}
    nets = DDGAN(config.network, people=8).double().eval()
    with torch.no_grad():  # an untrained judge finds all images alike
        for p in nets.discriminators.parameters():
            p.mul_(1.5)
    doubled = {k: v.double() if v.is_floating_point() else v for k, v in batch().items()}
    config = with_(config, later=later)
    made, d_r = nets.generator, nets.discriminators.reality
    d_d, e_id = nets.discriminators.degradation.score, nets.identity_encoder
    e_c, e_d, e_d_, g = (made.content_encoder.content, made.degradation_encoder,
                         made.self_degradation_encoder, made.decoder)  # fmt: skip
    x_i, x_j, x_k = (doubled[f"image_{name}"] for name in "ijk")
    c_i, c_j, c_k = map(e_c, (x_i, x_j, x_k))
    d_i, d_j, d_k = e_d(x_i), e_d_(x_j), e_d(x_k)
    x_ii, x_ij, x_ji, x_jj = g(c_i, d_i), g(c_i, d_j), g(c_j, d_i), g(c_j, d_j)
    x_ik, x_ki, x_kk = g(c_i, d_k), g(c_k, d_i), g(c_k, d_k)

    def l1(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean()

    def real(x: Tensor) -> Tensor:  # E[log D_r(x)]
        return torch.stack([m.sigmoid().log().mean() for m in d_r(x)]).mean()

    def fake(x: Tensor) -> Tensor:  # E[log(1 - D_r(x))]
        return torch.stack([(1 - m.sigmoid()).log().mean() for m in d_r(x)]).mean()

    def worse(a: Tensor, b: Tensor, sign: Tensor | float = 1.0) -> Tensor:
        return ((d_d(a) - d_d(b)) * sign + 1).clamp_min(0).mean()

    gamma = torch.sign(d_d(x_k) - d_d(x_i))
    logits_i, logits_k = (made.neck(made.content_encoder.invariant(x)).logits for x in (x_i, x_k))
    expected = {
        "self/invariable_content": l1(c_i, c_j),
        "self/reconstruction": l1(x_ii, x_i) + l1(x_ji, x_i),
        "self/identity_preserving": l1(e_id(x_ij), e_id(x_i)) + l1(e_id(x_ji), e_id(x_i)),
        "self/reality": -real(x_ij) - real(x_jj),
        "self/degradation": worse(x_i, x_ij) + worse(x_ji, x_j),
        "self/D_r": -real(x_i) - fake(x_ij) - real(x_k) - fake(x_jj),
        "self/D_d": worse(x_i, x_j),
        "cross/identification": -sum(
            logits.log_softmax(1).gather(1, doubled[f"label_{name}"][:, None]).mean()
            for logits, name in ((logits_i, "i"), (logits_k, "k"))
        ),
        "cross/reconstruction": l1(x_ii, x_i) + l1(x_kk, x_k),
        "cross/identity_preserving": l1(e_id(x_ik), e_id(x_i)) + l1(e_id(x_ki), e_id(x_k)),
        "cross/reality": -real(x_ik) - real(x_ki),
        "cross/degradation": worse(x_i, x_ik, gamma) + worse(x_ki, x_k, gamma),
        "cross/D_r": -real(x_i) - fake(x_ik) - real(x_k) - fake(x_ki),
        "cross/cycle": l1(g(e_c(x_ik), e_d(x_ki)), x_i) + l1(g(e_c(x_ki), e_d(x_ik)), x_k),
    }
    found = {}
    for kind in (SelfPhase, CrossPhase):
        phase = kind(nets, CPU, config, doubled)
        terms = phase.discriminator_losses() | phase.generator_losses()
        found |= {f"{phase.name}/{name}": term for name, term in terms.items()}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-9, atol=1e-11, msg=name)
    alike = [abs(real(a) - real(b)).item() for a, b in ((x_ij, x_ji), (x_jj, x_ji), (x_ik, x_ii))]
    assert min(alike) > 1e-7  # so an exchange would have been seen


def test_content_gets_its_gradient_from_both_images(config: Config) -> None:
    torch.manual_seed(0)
    nets = DDGAN(config.network, people=8).eval()
    phase = next(phases(nets, config))
    loss = phase.generator_losses()["invariable_content"]
    parts = torch.autograd.grad(loss, [phase.made.content_a, phase.made.content_b])
    assert all(part.abs().sum() > 0 for part in parts)


def test_each_term_moves_by_its_lambda(benchmark, config: Config) -> None:
    """Plain descent on twice a lambda goes twice as far."""
    names = [name for name in type(config.ddgan.weights).model_fields]
    for name in names:
        moved = []
        for scale in (1.0, 2.0):
            torch.manual_seed(0)
            off = dict.fromkeys(names, 0) | {name: scale}
            settings = config.ddgan.model_dump() | {"weights": off, "epsilon": 100.0}
            nets = DDGAN(config.network, benchmark.people).double().eval()
            stage = ddgan_stage(nets, benchmark, with_(config, ddgan=settings), CPU)
            plain = torch.optim.SGD(nets.generator.parameters(), 1e-6)
            stage.optimisers["generator"].step = plain.step  # on the gradients as they are
            before = torch.cat([p.detach().flatten().clone() for p in nets.generator.parameters()])
            number = 1 if name == "identification" else 0
            given = {k: v.double() if v.is_floating_point() else v
                     for k, v in stage.batches[number].items()}  # fmt: skip
            stage.step(number, given)
            after = torch.cat([p.detach().flatten() for p in nets.generator.parameters()])
            moved.append(after - before)
        assert moved[0].abs().sum() > 0, name
        torch.testing.assert_close(moved[1], 2 * moved[0], rtol=1e-5, atol=1e-14, msg=name)


def test_losses_and_scores_are_float32_under_half_precision(config: Config) -> None:
    nets = DDGAN(config.network, people=8).train()
    later = {"cycle": 1, "gradient_penalty": 1}
    compute = Compute("cpu", "bfloat16")
    for kind in (SelfPhase, CrossPhase):
        phase = kind(nets, compute, with_(config, later=later), batch())
        assert phase.made.content_a.dtype == torch.bfloat16  # the networks do run in it
        terms = phase.discriminator_losses() | phase.generator_losses()
        assert all(term.dtype == torch.float32 for term in terms.values())
        with compute.autocast():
            score = nets.discriminators.degradation.score(phase.x_i)
        assert score.dtype == torch.float32


def test_content_invariance_is_learnt(config: Config, small: dict) -> None:
    """Equation 1 alone, on one batch: the contents of an image and its copy meet."""
    off = dict.fromkeys(type(config.ddgan.weights).model_fields, 0) | {"invariable_content": 1}
    config = load_preset("tiny", small | {"ddgan": {"weights": off}})
    torch.manual_seed(0)
    nets = DDGAN(config.network, people=8).train()
    optimiser = torch.optim.Adam(nets.generator.parameters(), 1e-2)
    seen = []
    for _ in range(30):
        loss = next(phases(nets, config)).generator_losses()["invariable_content"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen.append(loss.item())
    assert seen[-1] < 0.5 * seen[0]
