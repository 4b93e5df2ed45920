"""The networks of section 3.2: against torchvision, closed forms, and the paper's rules."""

from pathlib import Path

import pytest
import torch
import torchvision

from direid.config import DFEN as Settings
from direid.config import Readings, load_preset
from direid.errors import DireidError
from direid.models import DDGAN, DFEN, IdentityNetwork
from direid.models.blocks import reflect, reflect_by_slices
from direid.models.content_encoder import ContentEncoder
from direid.models.decoder import adain
from direid.models.resnet import ResNet

TINY = load_preset("tiny").network


def images(number: int, net=TINY, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.rand(number, 3, net.height, net.width, generator=random)


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def moving(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


@pytest.mark.parametrize("depth", [18, 50])
def test_resnet_is_torchvisions(depth: int) -> None:
    theirs = torchvision.models.get_model(f"resnet{depth}").eval()
    ours = ResNet(depth, 64, 7, 2, last_stride=2).eval()
    state = {k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")}
    ours.load_state_dict(state)
    theirs.fc = torch.nn.Identity()
    x = torch.rand(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x)[-1].mean(dim=(2, 3)), theirs(x))


def test_resnet_stops_after_the_asked_stage() -> None:
    net = ResNet(18, 16, 3, 1, 1).eval()
    x = torch.rand(1, 3, 32, 16)
    all_maps, some = net(x), net(x, stages=2)
    assert [m.shape[1] for m in all_maps] == net.channels == [16, 16, 32, 64, 128]
    assert [tuple(m.shape[2:]) for m in all_maps] == [(32, 16), (16, 8), (8, 4), (4, 2), (4, 2)]
    assert len(some) == 3
    torch.testing.assert_close(some[2], all_maps[2])


def test_imagenet_weights_are_refused_where_there_are_none() -> None:
    with pytest.raises(DireidError, match="depth 10 at base 32; set network.pretrained=false"):
        ResNet(10, 32, 3, 1, 1).load_imagenet()


def test_imagenet_weights_that_cannot_be_downloaded_name_the_remedy(monkeypatch) -> None:
    def offline(*arguments: object, **options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("direid.models.resnet.get_model", offline)
    with pytest.raises(DireidError, match=r"resnet18.*\.pth.*network\.pretrained=false"):
        ResNet(18, 64, 7, 2, 1).load_imagenet()


def test_adain_gives_each_channel_the_asked_mean_and_deviation() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 16, 8, generator=random) * 5 + 2
    scale, shift = torch.randn(2, 2, 3, generator=random)
    y = adain(x, scale, shift)
    torch.testing.assert_close(y.mean(dim=(2, 3)), shift, atol=1e-4, rtol=1e-4)
    deviation = y.std(dim=(2, 3), correction=0)
    torch.testing.assert_close(deviation, (1 + scale).abs(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [1, 2])
def test_reflection_by_slices_is_torchs_with_its_gradient(size: int) -> None:
    x = torch.rand(2, 3, 7, 5, dtype=torch.float64, requires_grad=True)
    ours, theirs = reflect_by_slices(x, size), reflect(x, size)
    assert torch.equal(ours, theirs)
    assert torch.equal(theirs, torch.nn.functional.pad(x, (size,) * 4, mode="reflect"))
    weight = torch.rand_like(ours)
    gradients = [torch.autograd.grad(y, x, weight)[0] for y in (ours, theirs)]
    torch.testing.assert_close(*gradients)


def test_content_cannot_be_shrunk() -> None:
    encoder = ContentEncoder(TINY).eval()
    x = images(2)
    before = encoder.content(x)
    with torch.no_grad():
        encoder.fuse[0].weight.mul_(100)
    torch.testing.assert_close(encoder.content(x), before, atol=1e-3, rtol=1e-3)


def test_content_encoder_heads_agree_with_the_whole() -> None:
    encoder = ContentEncoder(TINY).eval()
    x = images(2)
    whole = encoder(x)
    torch.testing.assert_close(encoder.content(x), whole.map)
    torch.testing.assert_close(encoder.invariant(x), whole.invariant)


def test_swap_ab_is_content_of_a_with_degradation_of_b() -> None:
    torch.manual_seed(0)
    made = DDGAN(TINY, people=5).eval().generator
    a, b = images(2, seed=1), images(2, seed=2)
    content = [made.content_encoder.content(x) for x in (a, b)]
    for synthetic in (False, True):
        second = made.self_degradation_encoder if synthetic else made.degradation_encoder
        code = [made.degradation_encoder(a), second(b)]
        seen = made(a, b, synthetic, identify=True, cycle=not synthetic)
        for name, (c, d) in {"aa": (0, 0), "ab": (0, 1), "ba": (1, 0), "bb": (1, 1)}.items():
            alone = made.decoder(content[c], code[d])
            torch.testing.assert_close(getattr(seen.swaps, name), alone, atol=1e-5, rtol=1e-4)
        assert not torch.allclose(seen.swaps.ab, seen.swaps.ba)
        torch.testing.assert_close(seen.content_b, content[1], atol=1e-5, rtol=1e-4)
        logits = made.neck(made.content_encoder.invariant(torch.cat([a, b]))).logits
        torch.testing.assert_close(seen.logits, logits, atol=1e-5, rtol=1e-4)
    seen = made(a, b, False, cycle=True)
    again = [made.content_encoder.content(x) for x in (seen.swaps.ab, seen.swaps.ba)]
    codes = [made.degradation_encoder(x) for x in (seen.swaps.ab, seen.swaps.ba)]
    close = {"atol": 1e-5, "rtol": 1e-4}
    torch.testing.assert_close(seen.cycled_a, made.decoder(again[0], codes[1]), **close)
    torch.testing.assert_close(seen.cycled_b, made.decoder(again[1], codes[0]), **close)


def test_what_is_not_asked_for_is_not_made(monkeypatch) -> None:
    made = DDGAN(TINY, people=5).eval().generator
    monkeypatch.setattr(made.decoder, "forward", None)
    monkeypatch.setattr(made.neck, "forward", None)
    seen = made(images(2), images(2), synthetic=True, decode=False)
    assert seen.swaps is seen.logits is seen.cycled_a is None


def test_degradation_encoders_do_not_share_weights() -> None:
    made = DDGAN(TINY, people=5).generator
    mine = {id(p) for p in made.degradation_encoder.parameters()}
    assert mine.isdisjoint(id(p) for p in made.self_degradation_encoder.parameters())


def test_teacher_stays_frozen_and_in_evaluation_mode() -> None:
    nets = DDGAN(TINY, people=5).train()
    assert not nets.identity_encoder.training
    assert nets.generator.training
    players = [*nets.generator.parameters(), *nets.discriminators.parameters()]
    trained = {id(p) for p in players if p.requires_grad}
    assert trained.isdisjoint(id(p) for p in nets.identity_encoder.parameters())
    everything = {id(p) for p in nets.parameters() if p.requires_grad}
    assert trained == everything


def test_degradation_score_is_bounded_and_one_an_image() -> None:
    judge = DDGAN(TINY, people=5).discriminators.degradation
    with torch.no_grad():
        for net in judge.nets:
            net[-1].bias.fill_(1e4)
    scores = judge.scale_scores(images(3))
    assert scores.shape == (3, TINY.critic_scales)
    torch.testing.assert_close(scores, torch.full_like(scores, TINY.score_bound))
    torch.testing.assert_close(judge.score(images(3)), scores.mean(dim=1))


def test_dfen_joins_f_inv_with_the_attended_f_sen() -> None:
    torch.manual_seed(0)
    dfen = DFEN(TINY, people=5).eval()
    x = images(3)
    seen = dfen(x)
    assert ((seen.attention > 0) & (seen.attention < 1)).all()
    f_inv, f_sen = dfen.content_encoder.invariant(x), dfen.identity_encoder(x)
    expected = torch.cat([f_inv, f_sen * seen.attention], dim=1)
    torch.testing.assert_close(seen.both.feature, expected)
    torch.testing.assert_close(seen.sensitive.feature, f_sen)
    torch.testing.assert_close(dfen.embed(x), seen.both.retrieval)


def test_dfen_never_trains_the_judge() -> None:
    dfen = DFEN(TINY, people=5)
    dfen(images(4)).both.logits.sum().backward()
    assert all(p.grad is None for p in dfen.degradation_discriminator.parameters())
    assert all(p.grad is not None for p in dfen.attention.parameters())


@pytest.mark.parametrize(
    ("weights", "there", "still"),
    [
        ((1, 0, 0), ["invariant"], ["identity_encoder", "sensitive_neck", "both_neck"]),
        ((0, 1, 0), ["sensitive"], ["content_encoder", "invariant_neck", "both_neck"]),
        ((0, 0, 1), ["both"], ["invariant_neck", "sensitive_neck"]),
        ((0.5, 0.5, 1), ["invariant", "sensitive", "both"], []),
    ],
)
def test_a_branch_without_weight_is_neither_run_nor_trained(weights, there, still) -> None:
    settings = Settings(**dict(zip(("invariant", "sensitive", "both"), weights, strict=True)))
    dfen = DFEN(TINY, 5, settings)
    seen = dfen(images(4))
    assert list(seen.branches()) == there
    losses = [branch.logits.sum() + branch.feature.sum() for branch in seen.branches().values()]
    torch.stack(losses).sum().backward()
    for name, network in dfen.named_children():
        moved = [p.grad is not None for p in network.parameters() if p.requires_grad]
        assert all(moved), name  # several processes rely on it
        assert (name not in still) or not moved
    torch.testing.assert_close(
        dfen.eval().embed(images(4)), list(dfen(images(4)).branches().values())[-1].retrieval
    )


def test_attention_reads_what_it_is_told_to() -> None:
    torch.manual_seed(0)
    x = images(4)
    one = DFEN(TINY, 5, readings=Readings(equation_13="score")).eval()
    judge = one.degradation_discriminator
    expected = torch.sigmoid(one.attention.layers(judge.score(x)[:, None]))
    torch.testing.assert_close(one(x).attention, expected)
    scales = DFEN(TINY, 5).eval()
    judge = scales.degradation_discriminator
    expected = torch.sigmoid(scales.attention.layers(judge.scale_scores(x)))
    torch.testing.assert_close(scales(x).attention, expected)
    off = DFEN(TINY, 5, Settings(attention=False)).eval()
    off.degradation_discriminator.forward = None  # type: ignore[method-assign]  # never asked
    seen = off(x)
    assert seen.attention is None
    joined = torch.cat([seen.invariant.feature, seen.sensitive.feature], dim=1)
    torch.testing.assert_close(seen.both.feature, joined)


def test_plain_baseline_has_no_neck() -> None:
    plain = IdentityNetwork(TINY, people=5, bnneck=False).eval()
    seen = plain(images(2))
    torch.testing.assert_close(seen.retrieval, seen.feature)
    tricks = IdentityNetwork(TINY, people=5).eval()
    assert not tricks.neck.norm.bias.requires_grad


@pytest.mark.parametrize(
    ("preset", "content", "patches"),
    [
        ("tiny", (48, 32, 16), [(16, 8), (8, 4)]),
        ("small", (128, 32, 16), [(32, 16), (16, 8)]),
        ("paper", (128, 64, 32), [(64, 32), (32, 16), (16, 8)]),
    ],
)
def test_presets_are_one_set_of_classes(preset: str, content: tuple, patches: list) -> None:
    net = load_preset(preset).network
    x = images(2, net)
    nets = DDGAN(net, people=5).eval()
    with torch.no_grad():
        seen = nets.generator.content_encoder(x)
        assert tuple(seen.map.shape[1:]) == content
        assert seen.invariant.shape == (2, net.invariant)
        assert nets.generator.transfer(x, x).shape == x.shape
        assert [tuple(m.shape[2:]) for m in nets.discriminators.reality(x)] == patches
        features = DFEN(net, people=5).identity_encoder.features
        assert features == net.base * 8 * (4 if net.depth == 50 else 1)


def test_the_books_table_of_the_full_model_is_the_model() -> None:
    page = (Path(__file__).parent.parent / "book" / "networks.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.split("\n")]
    table = {row[1].strip("`"): (row[2], row[4]) for row in rows if len(row) == 5}
    net = load_preset("paper").network
    ddgan, dfen = DDGAN(net, 100).eval(), DFEN(net, 100).eval()
    x = images(2, net)

    def shapes(*outputs: torch.Tensor) -> str:
        return ", ".join(str(tuple(out.shape)).replace("(2,", "(B,") for out in outputs)

    made, judges = ddgan.generator, ddgan.discriminators
    with torch.no_grad():
        content, code = made.content_encoder(x), made.degradation_encoder(x)
        seen = dfen(x)
        outputs = {
            "generator.content_encoder": content,
            "generator.degradation_encoder": [code],
            "generator.self_degradation_encoder": [made.self_degradation_encoder(x)],
            "generator.decoder": [made.decoder(content.map, code)],
            "discriminators.reality": judges.reality(x),
            "discriminators.degradation": [judges.degradation.scale_scores(x)],
            "identity_encoder": [ddgan.identity_encoder(x)],
            "attention": [seen.attention],
            "invariant_neck": [seen.invariant.logits],
            "sensitive_neck": [seen.sensitive.logits],
            "both_neck": [dfen.embed(x), seen.both.logits],
        }
    assert set(table) - {"Network", "---"} == set(outputs)
    for name, values in outputs.items():
        network = (ddgan if hasattr(ddgan, name.split(".")[0]) else dfen).get_submodule(name)
        assert table[name] == (f"{count(network):,}", shapes(*values)), name
    encoder = made.content_encoder
    for number in (
        count(ddgan), moving(made), moving(judges), count(dfen), moving(dfen), count(encoder.trunk),
        count(encoder.lateral) + count(encoder.fuse), count(encoder.identity),
    ):  # fmt: skip
        assert f"{number:,}" in page


def test_paper_preset_is_the_full_model() -> None:
    net = load_preset("paper").network
    nets = DDGAN(net, people=1)
    resnet50 = 23_508_032  # torchvision's ResNet-50 without its classifier
    assert count(nets.identity_encoder) == resnet50
    assert count(nets.generator.content_encoder.trunk) == resnet50
    assert len(nets.generator.content_encoder.lateral) == 4
    assert len(nets.discriminators.reality.nets) == 3
    assert len(nets.discriminators.degradation.nets) == 3
