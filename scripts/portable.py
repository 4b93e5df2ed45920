"""Run the tests and the book as other processors would, and record what moved.

Training amplifies rounding: instructions of another width, another library or another number of
threads add in another order, and after some hundred steps a network is another one. What a chapter
prints and what a test asserts must not hang on that. Each of :data:`SETTINGS` makes the libraries
choose the code that they would choose elsewhere; under each, ``pytest --nbval`` runs, and a short
training shows how far the numbers really drift. A setting that this processor cannot run is left
out and named.

    python -m scripts.portable                        # every test and chapter: three hours
    python -m scripts.portable book/ranking.ipynb     # that alone; the rest of the store stays
    python -m scripts.portable --only SSE4.1 tests    # under some settings only
    python -m scripts.portable --tiny                 # the preset tiny, under each of TINY
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from scripts.execute_notebooks import ROOT, THREADS

STORE = ROOT / "book" / "results" / "portable.json"
RUNS = ROOT / "runs" / "portable"

ONE = dict.fromkeys(THREADS, "1")
TWO = dict.fromkeys(THREADS, "2") | {
    "OMP_WAIT_POLICY": "passive"
}  # two tests run beside each other
AVX512 = {
    "ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "MKL_CBWR": "AVX512",
    "OPENBLAS_CORETYPE": "SkylakeX",
}  # fmt: skip
AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}  # fmt: skip
SSE = {
    "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
}  # fmt: skip
SETTINGS = {
    "as it is": ONE,
    "AVX-512 without AMX, two threads": TWO | AVX512,
    "AVX2, Intel's libraries": ONE | AVX2 | {"MKL_CBWR": "AVX2", "OPENBLAS_CORETYPE": "Haswell"},
    "AVX2, Zen, two threads": TWO | AVX2 | {"OPENBLAS_CORETYPE": "Zen"},
    "SSE4.1": ONE | SSE,
}
TINY = ("as it is", "AVX2, Intel's libraries")
CHOICES = {variable for setting in SETTINGS.values() for variable in setting}
STEPS = (0, 20, 98)  # of the short training, where its loss is recorded


def environment(setting: dict[str, str]) -> dict[str, str]:
    """This process's environment with the choices of a setting and no other ones."""
    kept = {name: value for name, value in os.environ.items() if name not in CHOICES}
    return kept | setting


def runs_here(setting: dict[str, str]) -> bool:
    """Whether this processor has the instructions that a setting asks for."""
    probe = "import torch; print(torch.backends.cpu.get_cpu_capability().lower())"
    wanted = setting.get("ATEN_CPU_CAPABILITY")
    return wanted is None or _python(["-c", probe], setting).strip() == wanted


def tests(targets: list[str], setting: dict[str, str]) -> dict[str, dict]:
    """Run ``pytest --nbval``; of each file the number of tests that ran, and those that failed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "junit.xml"
        command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-n", "2"]
        command += ["--dist", "loadscope", "-o", "junit_family=xunit1", f"--junitxml={report}"]
        ended = subprocess.run([*command, *targets], cwd=ROOT, env=environment(setting))
        if not report.exists():
            raise SystemExit(f"pytest ended with {ended.returncode} and without a report")
        return read(report)


def read(report: Path) -> dict[str, dict]:
    """Of each file in a JUnit report: the number of tests that ran, and each failure's text."""
    files: dict[str, dict] = {}
    for case in ET.parse(report).iter("testcase"):
        if case.find("skipped") is not None:
            continue
        file = files.setdefault(case.attrib["file"], {"ran": 0, "failed": {}})
        file["ran"] += 1
        for found in (*case.iter("failure"), *case.iter("error")):
            text = re.sub(r"(\x1b|#x1B)\[[\d;]*m", "", found.text or "")
            file["failed"][case.attrib["name"]] = text.strip()[-2000:]
    return dict(sorted(files.items()))


def short_training() -> list[float]:
    """Equation 2 at each of :data:`STEPS` of a hundred steps of stage 1."""
    from direid import book, pictures
    from direid.training.ddgan import train_ddgan

    start = book.load(ROOT / "book")
    config = book.settings({"ddgan": {"steps": 100}, "log_every": 1})
    teacher = start.networks.identity.encoder
    with tempfile.TemporaryDirectory() as folder:
        train_ddgan(teacher, start.benchmark, config, start.compute, Path(folder))
        steps, values = pictures.read_logs(Path(folder), "ddgan")["self/reconstruction"]
    at = dict(zip(steps.tolist(), values.tolist(), strict=True))
    return [at[step] for step in STEPS]


def tiny(name: str) -> dict:
    """What ``make run`` finds under a setting: the rows of the report, and the differences."""
    out = RUNS / f"tiny {name}"
    resume = ["--resume"] if out.exists() else []
    command = ["-m", "direid", "run", "--preset", "tiny", "--data", "paper_dolls", "--out"]
    _python([*command, str(out), *resume], SETTINGS[name])
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return {key: report[key] for key in ("rows", "paired", "machine", "versions")}


def table(stored: dict) -> str:
    """The settings, where the short training's loss stood under each, and how many tests failed."""
    steps = " | ".join(f"step {step}" for step in STEPS)
    lines = [f"| Setting | {steps} | tests | failed |", "|---|" + "---:|" * (len(STEPS) + 2)]
    for name, found in stored["settings"].items():
        loss = " | ".join(f"{value:.6f}" for value in found["loss"])
        ran = sum(file["ran"] for file in found["files"].values())
        failed = sum(len(file["failed"]) for file in found["files"].values())
        lines.append(f"| {name} | {loss} | {ran:,} | {failed} |")
    return "\n".join(lines)


def tiny_table(stored: dict, report: dict) -> str:
    """Rank-1 of each method where ``make results`` ran, and under each of :data:`TINY`."""
    runs = {report["machine"]["cpu"]: report["rows"]}
    runs |= {f"{r['machine']['cpu']}, {name}": r["rows"] for name, r in stored["tiny"].items()}
    lines = ["| Rank-1 | " + " | ".join(runs) + " |", "|---|" + "---:|" * len(runs)]
    for rows in zip(*runs.values(), strict=True):
        scores = " | ".join(f"{row['rank1']['mean']:.1f}" for row in rows)
        lines.append(f"| {rows[0]['method']} | {scores} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 when nothing that the store holds has failed."""
    from direid.evaluation.report import environment as machine_and_versions
    from direid.evaluation.report import save_json

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("targets", nargs="*", help="files for pytest; default: all tests and book")
    parser.add_argument("--only", action="append", choices=list(SETTINGS), help="a setting")
    parser.add_argument("--tiny", action="store_true", help="run the preset tiny, and no test")
    options = parser.parse_args(arguments)

    stored = {"title": "The tests and the book under the settings of other processors"}
    stored |= {"steps": STEPS, "settings": {}, "tiny": {}}
    if STORE.exists():
        stored |= json.loads(STORE.read_text(encoding="utf-8"))
    stored |= machine_and_versions()
    for name in options.only or (TINY if options.tiny else SETTINGS):
        setting = SETTINGS[name]
        if not runs_here(setting):
            print(f"{name}: not on this processor")
            continue
        print(f"{name}:", *(f"{key}={value}" for key, value in setting.items()), flush=True)
        if options.tiny:
            stored["tiny"][name] = tiny(name)
        else:
            found = stored["settings"].setdefault(name, {"environment": setting, "files": {}})
            results = tests(options.targets or ["tests", "book"], setting)
            here = {"cpu": stored["machine"]["cpu"]}  # the store may grow on several machines
            found["files"] |= {file: result | here for file, result in results.items()}
            if "loss" not in found:
                code = "from scripts.portable import short_training; print(short_training())"
                found["loss"] = json.loads(_python(["-c", code], setting))
        save_json(stored, STORE)
    print(table(stored))
    failed = [
        f"{name}: {file}, {test}\n{text}"
        for name, found in stored["settings"].items()
        for file, results in found["files"].items()
        for test, text in results["failed"].items()
    ]
    print("\n\n".join(failed) or "nothing moved that is compared")
    return int(bool(failed))


def _python(command: list[str], setting: dict[str, str]) -> str:
    """What this Python prints, run under a setting in the repository's folder."""
    quiet = environment(setting) | {"TQDM_DISABLE": "1", "CUDA_VISIBLE_DEVICES": ""}
    ended = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=quiet, stdout=subprocess.PIPE, text=True
    )
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {ended.returncode}")
    return ended.stdout


if __name__ == "__main__":
    sys.exit(main())
