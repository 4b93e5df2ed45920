"""Trained networks at work: against slow loops over single images, and files read back."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from direid import use
from direid.cli import main
from direid.config import load_preset, merge
from direid.data.records import hide_labels, read_image
from direid.errors import DireidError
from direid.evaluation.report import save_json
from direid.training.compute import Compute
from direid.training.stages import METHOD, load_networks, train


@pytest.fixture(scope="module")
def run(benchmark, small, tmp_path_factory) -> Path:
    """A run of a few steps."""
    out = tmp_path_factory.mktemp("use") / "run"
    config = load_preset("tiny", small)
    train(config, benchmark, Compute("cpu"), out, METHOD)
    save_json(config.model_dump(mode="json"), out / "config.json")
    return out


@pytest.fixture(scope="module")
def crops(benchmark, tmp_path_factory) -> Path:
    """Folders «lost» and «seen»; the latter holds the former's images, too, under other names."""
    root = tmp_path_factory.mktemp("crops")
    for name, records in (
        ("lost", benchmark.query), ("seen", benchmark.gallery + benchmark.query)
    ):  # fmt: skip
        (root / name).mkdir()
        for number, record in enumerate(records):
            Image.fromarray(read_image(record)).save(root / name / f"{number:03d}.png")
    return root


def one(path: Path) -> torch.Tensor:
    pixels = np.asarray(Image.open(path).convert("RGB"), dtype=np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def test_a_search_is_the_cosine_of_every_pair(run: Path, crops: Path) -> None:
    trained = use.load(run, ("ddgan", "dfen"), "cpu")
    found = use.search(trained, crops / "lost", crops / "seen", top=5)
    files = {name: sorted((crops / name).iterdir()) for name in ("lost", "seen")}
    vectors = {
        name: [trained.networks.dfen.embed(one(path))[0].numpy() for path in paths]
        for name, paths in files.items()
    }
    judge = trained.networks.ddgan.discriminators.degradation
    for q, a in enumerate(vectors["lost"]):
        cosines = np.array([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in vectors["seen"]])
        np.testing.assert_allclose(
            found.similarity[q], np.sort(cosines)[::-1][:5], rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(cosines[found.nearest[q]], found.similarity[q], atol=1e-5)
        assert found.similarity[q, 0] == pytest.approx(1, abs=1e-5)  # the very same picture
        assert found.degradation[q] == pytest.approx(
            judge.score(one(files["lost"][q])).item(), abs=1e-4
        )


def test_the_command_writes_what_was_found_and_nothing_twice(
    run: Path, crops: Path, tmp_path: Path, capsys
) -> None:
    lost, seen, out = str(crops / "lost"), str(crops / "seen"), tmp_path / "found"
    command = ["search", "--run", str(run), "--query", lost, "--gallery", seen, "--top", "3",
               "--device", "cpu", "--out", str(out)]  # fmt: skip
    assert main(command) == 0
    with (out / "matches.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    count = len(list((crops / "lost").iterdir()))
    assert len(lines) == 3 * count
    assert [line["rank"] for line in lines[:3]] == ["1", "2", "3"]
    assert all((crops / "seen" / line["match"]).exists() for line in lines)
    assert Image.open(out / "matches.png").width > 300
    assert main(command) == 2
    assert "exists; choose a new folder" in capsys.readouterr().err


def test_the_command_swaps(run: Path, crops: Path, tmp_path: Path, capsys) -> None:
    a, b, c = (str(path) for path in sorted((crops / "lost").iterdir())[:3])
    command = ["swap", "--run", str(run), "--content", a, b, "--degradation", c, "--device", "cpu"]
    assert main([*command, "--out", str(tmp_path / "swaps.png")]) == 0
    assert Image.open(tmp_path / "swaps.png").height > 100
    assert main([*command, "--out", str(tmp_path / "swaps.png")]) == 2
    assert "exists; choose a new file" in capsys.readouterr().err


def test_an_exported_network_is_the_network(run: Path, crops: Path, tmp_path: Path, capsys) -> None:
    path = tmp_path / "model.pt2"
    assert main(["export", "--run", str(run), "--out", str(path)]) == 0
    assert "RGB images (B, 3, 32, 16) in [0, 1]" in capsys.readouterr().out
    exported = torch.export.load(path).module()
    dfen = use.load(run, ("dfen",), "cpu").networks.dfen
    images = torch.cat([one(file) for file in sorted((crops / "seen").iterdir())[:5]])
    for count in (1, 5):
        vectors = exported(images[:count])
        raw = dfen.embed(images[:count])
        expected = raw / raw.norm(dim=1, keepdim=True)
        torch.testing.assert_close(vectors, expected, rtol=1e-4, atol=1e-5)
    assert main(["export", "--run", str(run), "--out", str(path)]) == 2


def test_mistakes_are_told(run: Path, crops: Path, tmp_path: Path) -> None:
    trained = use.load(run, ("dfen",), "cpu")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DireidError, match="empty: no image file there"):
        use.search(trained, tmp_path / "empty", crops / "seen")
    with pytest.raises(DireidError, match="no such folder; expected a folder of image files"):
        use.search(trained, crops / "lost", tmp_path / "nowhere")
    (tmp_path / "empty" / "a.png").write_bytes(b"no picture")
    with pytest.raises(DireidError, match=r"a\.png: not a readable image"):
        use.search(trained, tmp_path / "empty", crops / "seen")
    with pytest.raises(DireidError, match="stage tricks is not trained there"):
        use.load(run, ("dfen", "tricks"), "cpu")
    with pytest.raises(DireidError, match=r"config\.json: cannot read"):
        use.load(tmp_path, ("dfen",), "cpu")


def test_networks_of_few_labels_load_again(benchmark, small, tmp_path: Path) -> None:
    """Eight people were seen, five were told apart: the classifiers have five outputs."""
    config = load_preset("tiny", merge(small, {"labels": {"people": 5}}))
    hidden = hide_labels(benchmark, people=5)
    train(config, hidden, Compute("cpu"), tmp_path, METHOD)
    nets = load_networks(tmp_path, Compute("cpu"), config, hidden)
    x = torch.rand(2, 3, *config.size)
    assert nets.dfen.eval()(x).both.logits.shape == (2, 5)
