"""Kill a training at random moments, again and again, and see that it ends as if nothing happened.

Starts ``direid train`` as a process of its own, kills it with signal 9 (which no program can catch)
after a random time, starts it again with ``--resume``, and so on, until it has been killed as often
as asked and then left to finish. Then every checkpoint and log must equal those of a run that was
never disturbed, bit by bit. Some kills fall into start-up, some between steps, some into the middle
of writing a checkpoint: where each one fell is printed.

    python scripts/stress_resume.py                    # 20 kills of a small run, three minutes
    python scripts/stress_resume.py --kills 100 --seed 7
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from direid.data.folder import write
from direid.data.paper_dolls import paper_dolls

SETTINGS = [
    "network.height=32", "network.width=16", "network.base=8", "network.content=16",
    "network.invariant=16", "network.scale_channels=8", "network.encoder_base=8",
    "network.decoder_hidden=16", "network.critic_base=8", "identity.people=4",
    "identity.images=2", "identity.steps={steps}", "ddgan.batch=2", "ddgan.steps={steps}",
    "dfen.steps={steps}", "ddgan.average=0.9", "later.smoothing=1", "clip=1", "save_every=3",
    "log_every=1", "sample_every=10",
]  # fmt: skip
STAGES = ("identity", "ddgan", "dfen")


def command(people: Path, out: Path, steps: int) -> list[str]:
    """The training, of some hundred steps on a few drawn people."""
    words = ["train", "--preset", "tiny", "--data", "folder", "--root", str(people)]
    words += ["--device", "cpu"]
    words += [word for s in SETTINGS for word in ("--set", s.format(steps=steps))]
    resume = ["--resume"] if (out / "config.json").exists() else []
    return [sys.executable, "-m", "direid", *words, "--out", str(out), *resume]


def read(out: Path, stage: str) -> dict:
    """A stage's checkpoint."""
    return torch.load(out / "checkpoints" / f"{stage}.pt", weights_only=True)


def where(out: Path) -> str:
    """How far a run has come, and whether it died while writing."""
    half = sorted(path.name for path in (out / "checkpoints").glob("*.partial"))
    if half:
        return f"while writing {half[0].removesuffix('.partial')}.pt"
    for stage in reversed(STAGES):
        if (out / "checkpoints" / f"{stage}.pt").exists():
            return f"{stage}, after the checkpoint of step {read(out, stage)['step']}"
    return "before the first checkpoint"


def equal(a: object, b: object) -> bool:
    """Whether two checkpoints hold the same, bit by bit; the time that was taken aside."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        keys = a.keys() - {"seconds"}
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[k], b[k]) for k in keys)
    if isinstance(a, list | tuple):
        return isinstance(b, type(a)) and len(a) == len(b) and all(map(equal, a, b))
    return a == b


def begun(out: Path, since: float) -> bool:
    """Whether a training has written to its log after ``since``, seconds of the clock."""
    return any(path.stat().st_mtime > since for path in (out / "logs").glob("*.jsonl"))


def disturb(
    out: Path, line: list[str], chance: random.Random, share: float
) -> subprocess.CompletedProcess | None:
    """Start a run and kill it: one time in six at any moment of its start, else while it trains.

    Returns:
        None, or how it ended if it did before it could be killed.
    """
    started, early = time.time(), chance.random() < 1 / 6
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if early:
        time.sleep(chance.uniform(0, 4))
    else:
        while process.poll() is None and not begun(out, started):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 2 * share))
    process.kill()
    said = process.communicate()[1]
    if process.returncode == -signal.SIGKILL:
        return None
    return subprocess.CompletedProcess(line, process.returncode, stderr=said)


def main() -> int:
    """Run the test; 0 if the disturbed run equals the undisturbed one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, metavar="N", help="(default 20)")
    parser.add_argument("--steps", type=int, default=100, metavar="N", help="of each stage")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    options = parser.parse_args()
    chance, folder = random.Random(options.seed), Path(tempfile.mkdtemp())
    people, calm, wild = (folder / name for name in ("people", "calm", "wild"))
    write(paper_dolls(0, train_people=8, test_people=4, height=32, width=16), people)

    subprocess.run(command(people, calm, options.steps), check=True, capture_output=True)
    whole = sum(read(calm, stage)["seconds"] for stage in STAGES)
    print(f"undisturbed: {whole:.1f} s of training")
    kills = 0
    while kills < options.kills:
        line = command(people, wild, options.steps)
        ended = disturb(wild, line, chance, whole / options.kills)
        if ended is None:
            kills += 1
            print(f"kill {kills:>3}: {where(wild)}", flush=True)
        elif ended.returncode == 0:
            print("finished before it was killed: from the beginning", flush=True)
            shutil.rmtree(wild)
        else:
            print(f"it did not start again: {ended.stderr}", file=sys.stderr)
            return 1
    subprocess.run(command(people, wild, options.steps), check=True, capture_output=True)
    different = [
        stage
        for stage in STAGES
        if not equal(read(calm, stage), read(wild, stage))
        or (calm / "logs" / f"{stage}.jsonl").read_text()
        != (wild / "logs" / f"{stage}.jsonl").read_text()
    ]
    shutil.rmtree(folder)
    if different:
        print(f"DIFFERENT after {kills} kills: {', '.join(different)}", file=sys.stderr)
        return 1
    print(f"equal, bit by bit, after {kills} kills: weights, averages, optimisers, logs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
