"""The command line as a user meets it: whole runs, bad input, killing and resuming."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from direid import data
from direid.cli import main
from direid.config import LITERAL, SWAPS
from direid.data import folder
from direid.data.paper_dolls import paper_dolls
from direid.experiments import read_plan

SMALL = [
    "network.height=32", "network.width=16", "network.base=8", "network.content=16",
    "network.invariant=16", "network.scale_channels=8", "network.encoder_base=8",
    "network.decoder_hidden=16", "network.critic_base=8", "identity.people=4",
    "identity.images=2", "identity.steps=6", "ddgan.batch=2", "ddgan.steps=6", "dfen.steps=6",
    "save_every=2", "log_every=1",
]  # fmt: skip


def arguments(root: Path, out: Path, *more: str) -> list[str]:
    settings = [word for pair in SMALL for word in ("--set", pair)]
    return ["run", "--preset", "tiny", "--data", "folder", "--root", str(root), "--out", str(out),
            "--device", "cpu", *settings, *more]  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small folder of drawn people, as a user's own would be."""
    out = tmp_path_factory.mktemp("images") / "people"
    folder.write(
        paper_dolls(0, train_people=8, test_people=8, images_per_camera=2, height=32, width=16), out
    )
    return out


@pytest.fixture(scope="module")
def finished(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert main(arguments(images, out)) == 0
    return out


def refused(capsys: pytest.CaptureFixture, *words: str) -> str:
    """The one line that a bad command prints; it must exit with 2 and no traceback."""
    assert main(list(words)) == 2
    error = capsys.readouterr().err
    assert error.startswith("direid: error: ")
    assert error.count("\n") == 1, error
    return error


def test_a_run_leaves_all_that_a_reader_needs(finished: Path) -> None:
    report = json.loads((finished / "report.json").read_text())
    for key in ("config", "data", "seeds", "versions", "machine", "seconds", "rows", "budget"):
        assert report[key], key
    assert report["data"]["split_hash"] == json.loads((finished / "split.json").read_text())["hash"]
    config = json.loads((finished / "config.json").read_text())
    assert report["config"] == {k: v for k, v in config.items() if k != "root"}
    assert config["root"] not in (finished / "report.json").read_text()  # a report can be shared
    methods = [row["method"] for row in report["rows"]]
    assert {"ResNet", "ResNet + tricks", "DI-REID"} <= set(methods)
    for row in report["rows"]:
        for score in ("rank1", "rank5", "rank10", "map"):
            assert 0 <= row[score]["mean"] <= 100
            assert row[score]["spread"] >= 0
    assert set(report["seconds"]) >= {"resnet", "tricks", "identity", "ddgan", "dfen", "evaluation"}
    paired = {line["method"]: line["rank1"]["mean"] for line in report["paired"]}
    rank1 = {row["method"]: row["rank1"]["mean"] for row in report["rows"]}
    for baseline in ("ResNet + tricks", "ResNet + tricks + F_deg"):
        gap = rank1["DI-REID"] - rank1[baseline]
        assert paired[f"DI-REID − {baseline}"] == pytest.approx(gap, abs=0.002)
    pictures = [finished / entry["file"] for entry in report["pictures"]]
    kinds = {"swaps", "reconstructions", "ranked_lists", "loss_curves", "degradation_codes"}
    assert kinds <= {picture.stem for picture in pictures}
    for picture in pictures:
        with Image.open(picture) as image:
            assert min(image.size) > 100
    assert "DI-REID" in (finished / "report.md").read_text()
    names = {path.stem for path in (finished / "checkpoints").iterdir()}
    assert names == {"resnet", "tricks", "augmented", "identity", "ddgan", "dfen"}


def test_evaluate_repeats_the_runs_table(finished: Path, capsys) -> None:
    assert main(["evaluate", "--run", str(finished)]) == 0
    printed = capsys.readouterr().out
    rows = json.loads((finished / "report.json").read_text())["rows"]
    for row in rows:
        (line,) = [x for x in printed.splitlines() if x.strip("| ").startswith(row["method"] + " ")
                   and f"{row['map']['mean']:.1f}" in x]  # fmt: skip
        assert f"{row['rank1']['mean']:.1f}" in line


def plain(benchmark: data.Benchmark, root: Path) -> None:
    """Write the images as a person's own folder has them."""
    for part in ("train", "query", "gallery"):
        (root / part).mkdir(parents=True)
        for record in getattr(benchmark, part):
            Image.fromarray(data.read_image(record)).save(root / part / f"{record.name}.png")


def test_evaluate_re_ranks_when_asked(finished: Path, capsys) -> None:
    assert main(["evaluate", "--run", str(finished)]) == 0
    plain_table = capsys.readouterr().out
    assert main(["evaluate", "--run", str(finished), "--rerank"]) == 0
    printed = capsys.readouterr().out
    assert "k1 = 20, k2 = 6, weight 0.3" in printed
    assert plain_table.strip() not in printed


def train_words(root: Path, out: Path, *more: str) -> list[str]:
    return ["train", *arguments(root, out)[1:], *more]


def test_train_then_evaluate_then_the_rest(images: Path, finished: Path, tmp_path, capsys) -> None:
    out = tmp_path / "trained"
    assert main(train_words(images, out, "--stages", "ddgan")) == 0
    printed = capsys.readouterr().out
    assert "trained identity, ddgan" in printed and f"direid evaluate --run {out}" in printed
    names = {path.stem for path in (out / "checkpoints").iterdir()}
    assert names == {"identity", "ddgan"}
    assert main(["evaluate", "--run", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "f_inv after stage 1" in printed and "DI-REID" not in printed
    assert main(arguments(images, out, "--resume")) == 0  # the baselines and the report
    rows = [json.loads((r / "report.json").read_text())["rows"] for r in (out, finished)]
    assert rows[0] == rows[1]


def test_networks_are_tested_on_others_but_not_on_whom_they_learnt(
    images: Path, finished: Path, tmp_path: Path, capsys
) -> None:
    other = tmp_path / "others"
    drawn = paper_dolls(5, train_people=4, test_people=6, images_per_camera=2, height=32, width=16)
    plain(drawn, other)  # a folder of its own, with a name of its own
    words = ["evaluate", "--run", str(finished), "--data", "folder", "--root"]
    assert main([*words, str(other)]) == 0
    assert "DI-REID" in capsys.readouterr().out
    swapped = tmp_path / "swapped"
    whole = data.load("folder", images)
    folder.write(
        data.Benchmark(
            whole.name,
            train=whole.query + whole.gallery,
            query=tuple(r for r in whole.train if r.camid == 2),
            gallery=tuple(r for r in whole.train if r.camid == 1),
        ),
        swapped,
    )
    line = refused(capsys, *words, str(swapped))
    hashes = [whole.split_hash[:12], data.load("folder", swapped).split_hash[:12]]
    assert all(name in line for name in hashes) and "8 of whose 8 test people" in line


def test_an_ablation_is_reported_without_what_it_lacks(images: Path, tmp_path: Path) -> None:
    for ablation, lacks in (("without_dil", "f_inv after stage 1"), ("f_inv_only", "f_sen")):
        out = tmp_path / ablation
        words = arguments(images, out, "--ablation", ablation)
        if ablation == "without_dil":
            at = words.index("ddgan.steps=6")
            del words[at - 1 : at + 1]
        assert main(words) == 0
        report = json.loads((out / "report.json").read_text())
        methods = [row["method"] for row in report["rows"]]
        assert "DI-REID" in methods and not any(lacks in method for method in methods)
        assert set(report["methods"]) == set(methods)
        said = {"without_dil": "f_inv and f_sen, without attention,", "f_inv_only": "f_inv alone"}
        assert report["methods"]["DI-REID"].startswith(said[ablation])
        assert "dfen." in report["title"]


def test_a_refused_run_leaves_its_folder_as_it_was(images, finished, tmp_path, capsys) -> None:
    before = {p.name: p.read_bytes() for p in finished.glob("*.json")}
    more = ["--resume", "--set", "precision=bfloat16"]
    line = refused(capsys, *arguments(images, finished, *more))
    assert "computes in float32" in line and "--set precision=float32" in line
    assert {p.name: p.read_bytes() for p in finished.glob("*.json")} == before
    assert "split: " in refused(capsys, "evaluate", "--run", str(finished), "--split", "-1")


def test_every_equation_can_be_read_as_printed_by_one_word(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "printed"
    words = [*train_words(images, out, "--literal"), "--stages", "identity, ",
             "--set", "readings.equation_5=x_j"]  # fmt: skip
    assert main(words) == 0
    readings = json.loads((out / "config.json").read_text())["readings"]
    assert readings == LITERAL["readings"] | {"equation_5": "x_j"}


def test_swaps_are_one_word_and_the_plan_that_measured_them_has_the_same(
    images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "swapped"
    words = [*train_words(images, out, "--swaps"), "--set", "labels.cameras=1"]
    assert main(words) == 0
    stored = json.loads((out / "config.json").read_text())
    assert stored["labels"]["cameras"] == [1]
    plan = read_plan(Path(__file__).parents[1] / "book" / "plans" / "unlabelled.toml")
    cell = next(c for c in plan.cells() if c.method == "di_reid_swaps")
    measured = plan.config(cell).model_dump()
    for group, settings in SWAPS.items():
        assert {key: stored[group][key] for key in settings} == settings
        assert {key: measured[group][key] for key in settings} == settings


def test_equal_seeds_give_equal_reports(images: Path, finished: Path, tmp_path: Path) -> None:
    assert main(arguments(images, tmp_path / "again")) == 0
    reports = [json.loads((run / "report.json").read_text())
               for run in (finished, tmp_path / "again")]  # fmt: skip
    assert reports[0]["rows"] == reports[1]["rows"]
    assert main(arguments(images, tmp_path / "other", "--seed", "1")) == 0
    other = json.loads((tmp_path / "other" / "report.json").read_text())
    assert other["seeds"]["training"] == 1
    assert other["rows"] != reports[0]["rows"]


def test_a_finished_run_resumes_to_itself(images: Path, finished: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (finished / "checkpoints").iterdir()}
    assert main(arguments(images, finished, "--resume")) == 0
    assert {p: p.stat().st_mtime_ns for p in (finished / "checkpoints").iterdir()} == before


@pytest.mark.slow
def test_a_run_that_is_really_killed_resumes(images: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "direid.cli", *arguments(images, out)]
    for stage in ("tricks", "ddgan", "dfen"):
        more = ["--resume"] if out.exists() else []
        process = subprocess.Popen([*command, *more], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not (out / "checkpoints" / f"{stage}.pt").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not (out / "report.json").exists()
    subprocess.run([*command, "--resume"], check=True, capture_output=True)
    reports = [json.loads((run / "report.json").read_text()) for run in (finished, out)]
    assert reports[0]["rows"] == reports[1]["rows"]


def test_another_runs_folder_is_refused_and_kept(images, finished, capsys) -> None:
    before = (finished / "report.json").read_bytes()
    line = refused(capsys, *arguments(images, finished))
    assert str(finished) in line and "--resume" in line
    line = refused(capsys, *arguments(images, finished, "--resume", "--set", "ddgan.steps=9"))
    assert "ddgan.steps: 6, now 9" in line
    assert (finished / "report.json").read_bytes() == before


def test_bad_words_are_one_line(images: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    base = ["--out", str(out)]
    cases = {
        "unknown preset 'huge': choose from tiny": ["--preset", "huge", "--data", "paper_dolls"],
        "unknown data set 'cifar': choose from": ["--preset", "tiny", "--data", "cifar"],
        "unknown key 'ddgan.step'": ["--preset", "tiny", "--data", "paper_dolls",
                                     "--set", "ddgan.step=3"],
        "device 'abacus' cannot be used": ["--preset", "tiny", "--data", "paper_dolls",
                                           "--device", "abacus"],
        "caviar needs the folder": ["--preset", "tiny", "--data", "caviar"],
        "nowhere": ["--preset", "tiny", "--data", "caviar", "--root", str(tmp_path / "nowhere")],
        "the following arguments are required": ["--preset", "tiny"],
        "unknown ablation 'dil': choose from without_dil": [
            "--preset", "tiny", "--data", "paper_dolls", "--ablation", "dil"],
        "unknown degradation 'fog'": ["--preset", "tiny", "--data", "paper_dolls",
                                      "--set", "self_degradation=fog"],
        "no run to resume": ["--preset", "tiny", "--data", "paper_dolls", "--resume"],
        "use the option --seed": ["--preset", "tiny", "--data", "paper_dolls", "--set", "seed=3"],
        "invalid int value": ["--preset", "tiny", "--data", "paper_dolls", "--seed", "x"],
        "seed: ": ["--preset", "tiny", "--data", "paper_dolls", "--seed", "-1"],
    }  # fmt: skip
    for message, words in cases.items():
        assert message in refused(capsys, "run", *words, *base)
        assert not out.exists(), message
    assert "invalid choice" in refused(capsys, "trian")
    line = refused(capsys, "train", "--preset", "tiny", "--data", "paper_dolls", *base,
                   "--stages", "dfn")  # fmt: skip
    assert "unknown stage 'dfn': choose from resnet" in line and not out.exists()
    assert "config.json: cannot read" in refused(capsys, "evaluate", "--run", str(tmp_path / "x"))
    assert "unknown data set" in refused(capsys, "data", "check", "cifar")


def test_bad_images_are_named_before_anything_is_trained(tmp_path: Path, capsys) -> None:
    root = tmp_path / "people"
    benchmark = paper_dolls(
        0, train_people=4, test_people=4, images_per_camera=2, height=32, width=16
    )
    plain(benchmark, root)
    victim = sorted((root / "query").glob("*.png"))[0]
    out = tmp_path / "out"
    victim.write_bytes(victim.read_bytes()[:40])
    assert str(victim) in refused(capsys, *arguments(root, out))
    victim.write_bytes(b"")
    assert str(victim) in refused(capsys, *arguments(root, out))
    assert not out.exists()


def test_weights_that_cannot_be_had_leave_the_folder_free(
    images: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    def offline(*arguments: object, **options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("direid.models.resnet.get_model", offline)
    out = tmp_path / "out"
    words = ["run", "--preset", "small", "--data", "folder", "--root", str(images),
             "--out", str(out), "--set", "identity.people=4"]  # fmt: skip
    assert "network.pretrained=false" in refused(capsys, *words)
    assert not out.exists()


def test_a_run_goes_on_elsewhere_and_with_moved_images(
    images: Path, finished: Path, tmp_path: Path
) -> None:
    moved, run = tmp_path / "moved", tmp_path / "run"
    shutil.copytree(images, moved)
    shutil.copytree(finished, run)
    (run / "checkpoints" / "dfen.pt").unlink()
    shutil.rmtree(run / "logs")
    assert main([*arguments(moved, run, "--resume"), "--set", "workers=1"]) == 0
    rows = [json.loads((r / "report.json").read_text())["rows"] for r in (run, finished)]
    assert rows[0] == rows[1]


def test_a_very_small_test_set_is_reported(images: Path, tmp_path: Path, capsys) -> None:
    root = tmp_path / "people"
    plain(data.load("folder", images), root)
    people = sorted({path.name.split("_")[0] for path in (root / "gallery").iterdir()})
    for part in ("query", "gallery"):
        for path in (root / part).iterdir():
            if path.name.split("_")[0] not in people[:2] or path.stem.endswith("_1"):
                path.unlink()
    assert len(list((root / "gallery").iterdir())) == 2
    assert main(arguments(root, tmp_path / "out")) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert "pictures/swaps.png" in [picture["file"] for picture in report["pictures"]]
    capsys.readouterr()
    for part in ("query", "gallery"):
        for path in (root / part).glob(f"{people[1]}_*"):
            path.unlink()
    assert "one person in the gallery" in refused(capsys, *arguments(root, tmp_path / "one"))
    assert not (tmp_path / "one").exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            PermissionError(13, "Permission denied", "a/b"),
            "direid: error: a/b: Permission denied\n",
        ),
        (OSError(28, "No space left on device"), "direid: error: No space left on device\n"),
    ],
)
def test_what_the_system_refuses_is_one_line(error, said, capsys, monkeypatch) -> None:
    def fails(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(data, "describe", fails)
    assert main(["data", "list"]) == 2
    assert capsys.readouterr().err == said


def test_too_few_training_people_for_a_batch(images: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    line = refused(capsys, *arguments(images, out, "--set", "identity.people=50"))
    assert "8 training people, fewer than the 50 of a batch" in line
    assert not out.exists()


@pytest.mark.parametrize(
    "command", [[], ["run"], ["train"], ["evaluate"], ["data"], ["data", "list"], ["data", "check"],
                ["data", "build"], ["data", "splits"], ["experiment"], ["ablate"]],
)  # fmt: skip
def test_help_says_what_and_shows_an_example(command: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    assert f"direid {' '.join(command)}".strip() in printed
    assert "example: direid" in printed


def test_data_commands(images: Path, tmp_path: Path, capsys) -> None:
    assert main(["data", "list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in data.NAMES)
    out = tmp_path / "copy"
    assert main(["data", "build", "folder", "--source", str(images), "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    assert main(["data", "check", "folder", "--root", str(out)]) == 0
    split = data.load("folder", images).split_hash
    assert split in capsys.readouterr().out
    assert data.load("folder", out).split_hash == split
    assert "expected a new or empty folder" in refused(
        capsys, "data", "build", "folder", "--source", str(images), "--out", str(out)
    )
    dark, mine = tmp_path / "dark", tmp_path / "mine"
    words = ["data", "build", "folder", "--out", str(dark), "--source"]
    line = refused(capsys, *words, str(images), "--degrade", "illumination", "--cameras", "1")
    assert "is degraded already" in line
    plain(data.load("folder", images), mine)  # as a user's own: nobody knows any level
    words.append(str(mine))
    assert main([*words, "--degrade", "illumination", "--cameras", "2"]) == 0
    assert "cameras 2" in capsys.readouterr().out
    assert {r.camid for r in data.load("folder", dark).query} == {2}
    assert "expected numbers" in refused(capsys, *words, "--cameras", "two")
    file = tmp_path / "splits.json"
    words = ["data", "splits", "folder", "--root", str(images), "--out", str(file), "--count"]
    assert "has splits 0 to 0" in refused(capsys, *words, "2")
    words.append("1")
    assert main(words) == 0
    assert [s["hash"] for s in json.loads(file.read_text())["splits"]] == [split]
    capsys.readouterr()
    assert "is there already" in refused(capsys, *words)


def test_a_plan_and_an_ablation_run_from_the_command_line(images, tmp_path, capsys) -> None:
    settings = [word for pair in SMALL for word in ("--set", pair)]
    words = ["ablate", "--preset", "tiny", "--data", "folder", "--root", str(images)]
    words += ["--out", str(tmp_path / "ablation"), "--device", "cpu", *settings]
    assert main(words) == 0
    printed = capsys.readouterr().out
    for row in ("w/o DIL", "w/o DIL, with its identification", "f_sen only", "+ F_deg"):
        assert row in printed
    assert "10 of 10 cells done" in (tmp_path / "ablation" / "tables.md").read_text()
    plan = tmp_path / "plan.toml"
    plan.write_text('name = "one"\npreset = "tiny"\ndata = ["folder"]\nmethods = ["resnet"]\n'
                    '[settings.identity]\nsteps = 2\npeople = 4\n[settings.ddgan]\nsteps = 2\n'
                    '[settings.dfen]\nsteps = 2\n')  # fmt: skip
    words = ["experiment", str(plan), "--out", str(tmp_path / "one")]
    assert "expected NAME=DIR" in refused(capsys, *words, "--root", "folder")
    assert main([*words, "--root", f"folder={images}", "--device", "cpu"]) == 0
    assert "1 of 1 cells done" in capsys.readouterr().out
