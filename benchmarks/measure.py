"""What one process of the benchmark measures about training steps.

:mod:`benchmarks.speed` starts a process for each :class:`Task`, so that none has the allocator, the
caches or the peak memory of another.
"""

from __future__ import annotations

import gc
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.resnet import BasicBlock, Bottleneck

from benchmarks.plain import PlainDDGAN, PlainDFEN
from direid.config import Config, load_preset
from direid.data.paper_dolls import paper_dolls
from direid.data.records import Benchmark
from direid.degradations import SelfDegradation
from direid.models import DDGAN, DFEN
from direid.training.compute import Batch, Compute
from direid.training.ddgan import ddgan_stage
from direid.training.dfen import dfen_stage

KINDS = {"ddgan": ("self", "cross"), "dfen": ("dfen",)}  # of step, of each stage, in turn
SEED = 0
PEOPLE = 4  # to tell apart, at least
GIB = 2**30
Step = Callable[[int], dict[str, float]]  # number of the step -> losses before anything moved


@dataclass(frozen=True)
class Task:
    """What one process is to measure; the fields are JSON values."""

    what: str  # "steps", "profile" or "loading"
    preset: str
    stage: str = "ddgan"
    implementation: str = "package"  # or "plain"
    precision: str = "float32"
    compile: bool = False
    batch: int = 2  # pairs of a DDGAN step
    people: int = 2  # P of a DFEN step
    images: int = 2  # K
    repeats: int = 5

    def config(self) -> Config:
        """The preset, on the CPU and without ImageNet weights, for batches of these sizes."""
        settings = {
            "seed": SEED, "device": "cpu", "workers": 0, "precision": self.precision,
            "compile": self.compile, "network": {"pretrained": False},
            "identity": {"people": self.people, "images": self.images},
            "ddgan": {"batch": self.batch},
        }  # fmt: skip
        return load_preset(self.preset, settings)

    @property
    def images_per_iteration(self) -> int:
        """Training images that a step reads: x_i and x_k of DDGAN's pairs, P x K of DFEN."""
        return 2 * self.batch if self.stage == "ddgan" else self.people * self.images


def measure_steps(task: Task) -> dict:
    """Seconds, memory and first losses of the steps of one stage; the package's floor in float32.

    After a warm-up of each kind of step, the kinds take turns, as in a training. What would add to
    the peak memory of that comes after it has been read.
    """
    baseline, config, kinds = peak_memory(), task.config(), KINDS[task.stage]
    step = make_step(task.implementation, task.stage, config)
    first = step(0)
    for turn in range(1, len(kinds)):
        step(turn)
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for repeat in range(1, 1 + task.repeats):
        for turn, kind in enumerate(kinds):
            began = time.perf_counter()
            step(len(kinds) * repeat + turn)
            seconds[kind].append(time.perf_counter() - began)
    peak, taken = peak_memory(), sum(statistics.median(times) for times in seconds.values())
    for turn in range(1, len(kinds)):  # from the same weights as the first
        step = None
        gc.collect()
        step = make_step(task.implementation, task.stage, config)
        first |= step(turn)
    found = {
        "seconds": {
            kind: {"median": statistics.median(times), "min": min(times), "all": times}
            for kind, times in seconds.items()
        },
        "images_per_second": len(kinds) * task.images_per_iteration / taken,
        "peak_memory_gib": peak,
        "baseline_memory_gib": baseline,
        "losses": first,
    }
    if task.implementation == "package" and task.precision == "float32":
        step = None
        gc.collect()
        found["floor"] = floor(task, taken)
    return found


def make_step(implementation: str, stage: str, config: Config) -> Step:
    """A training step of one stage on random images; networks and images depend on the seed alone.

    Args:
        implementation: "package" or "plain"; the same weights, images and draws of F_deg.
        stage: "ddgan", whose even steps are self- and odd ones cross-degradation, or "dfen".
        config: everything else.

    Returns:
        From the number of a step to its losses: "self/...", "cross/..." or "dfen/...".
    """
    compute, benchmark = Compute.of(config), small_benchmark(config)
    torch.manual_seed(config.seed)
    if stage == "ddgan":
        nets = quieten(DDGAN(config.network, benchmark.people)).train()
        return ddgan_step(implementation, nets, random_pair(config), benchmark, config, compute)
    network = DFEN(config.network, benchmark.people, config.dfen, config.readings)
    network = quieten(network).train()
    return dfen_step(implementation, network, random_people(config), benchmark, config, compute)


def quieten(network: nn.Module) -> nn.Module:
    """Begin with small residual branches in the ResNets, so that rounding stays small too.

    An untrained ResNet-50 that normalises over four images enlarges rounding a few hundred times:
    two layouts of the same float32 computation would differ by 3e-5 in DFEN's losses (float64: by
    1e-13), and agreement could not be told from a small mistake.
    """
    for block in network.modules():
        if isinstance(block, BasicBlock):
            nn.init.constant_(block.bn2.weight, 0.2)
        elif isinstance(block, Bottleneck):
            nn.init.constant_(block.bn3.weight, 0.2)
    return network


def ddgan_step(
    implementation: str,
    nets: DDGAN,
    batch: Batch,
    benchmark: Benchmark,
    config: Config,
    compute: Compute,
) -> Step:
    """Steps of stage 1 of ``nets`` on one ``batch``, again and again."""
    if implementation == "package":
        nets, batch = compute.place(nets), compute.send(batch)
        stage = ddgan_stage(nets, benchmark, config, compute)
        return lambda number: stage.step(number, batch)
    plain, f_deg = PlainDDGAN(nets, config), SelfDegradation(config.self_degradation)
    x_i, x_k = batch["image_i"], batch["image_k"]

    def step(number: int) -> dict[str, float]:
        if number % 2:
            return plain.cross_step(x_i, x_k, batch["label_i"], batch["label_k"])
        x_j = f_deg(x_i, compute.generator(config.seed, 1, number))  # the draws of the package
        return plain.self_step(x_i, x_j, x_k)

    return step


def dfen_step(
    implementation: str,
    network: DFEN,
    batch: Batch,
    benchmark: Benchmark,
    config: Config,
    compute: Compute,
) -> Step:
    """Steps of stage 2 of ``network`` on one ``batch``, again and again."""
    if implementation == "package":
        network, batch = compute.place(network), compute.send(batch)
        stage = dfen_stage(network, None, benchmark, config, compute)
        step = stage.step
    else:
        plain = PlainDFEN(network, config)

        def step(number: int, batch: Batch) -> dict[str, float]:
            return plain.step(batch["images"], batch["labels"])

    return lambda number: {f"dfen/{name}": value for name, value in step(number, batch).items()}


def small_benchmark(config: Config) -> Benchmark:
    """A few drawn people: a stage asks for its loader and their number, its steps read neither."""
    people = max(PEOPLE, config.identity.people)
    height, width = config.size
    return paper_dolls(
        SEED, train_people=people, test_people=2, images_per_camera=1, height=height, width=width
    )


def random_pair(config: Config) -> Batch:
    """A batch with the keys, shapes and types of RealPairs'."""
    batch, (image_i, image_k) = config.ddgan.batch, random_images(2, config.ddgan.batch, config)
    label = torch.arange(batch) % PEOPLE
    return {
        "image_i": image_i, "label_i": label, "camid_i": torch.ones_like(label),
        "image_k": image_k, "label_k": (label + 1) % PEOPLE, "camid_k": 2 * torch.ones_like(label),
    }  # fmt: skip


def random_people(config: Config) -> Batch:
    """A batch with the keys, shapes and types of IdentityBatches'."""
    people, images = config.identity.people, config.identity.images
    (pixels,) = random_images(1, people * images, config)
    labels = torch.arange(people).repeat_interleave(images)
    return {"images": pixels, "labels": labels, "camids": torch.ones_like(labels)}


def random_images(batches: int, batch: int, config: Config) -> Tensor:
    """(batches, B, 3, H, W) in [0, 1]: patches of colour with a little noise.

    White noise would not do: pooled over an image it is the same for all, and batch normalisation
    would enlarge the rounding errors in what is left.
    """
    random = torch.Generator().manual_seed(SEED)
    count, size = batches * batch, config.size
    patches = interpolate(torch.rand(count, 3, 8, 4, generator=random), size, mode="bilinear")
    images = 0.8 * patches + 0.2 * torch.rand(count, 3, *size, generator=random)
    return images.unflatten(0, (batches, batch))


def peak_memory() -> float:
    """The most memory that this process has held so far, GiB; resident, libraries included."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIB


def floor(task: Task, seconds: float) -> dict:
    """The time that the steps' convolutions and matrix products alone would take at full rate.

    Args:
        task: of the package in float32.
        seconds: measured, of one step of each kind.

    Returns:
        FLOPs of one step of each kind (a multiplication and an addition are two), the rates of
        matrix products, the floor at the highest rate, and how many times longer the steps took.
    """
    config = task.config().model_copy(update={"compile": False})  # compiled code cannot be counted
    step, flops = make_step("package", task.stage, config), {}
    for number, kind in enumerate(KINDS[task.stage]):
        with FlopCounterMode(display=False) as counter:
            step(number)
        flops[kind] = counter.get_total_flops()
    rates = matrix_rates()
    least = sum(flops.values()) / max(rates.values())
    return {"flops": flops, "flops_per_second": rates, "seconds": least, "ratio": seconds / least}


@torch.no_grad()
def matrix_rates(seconds: float = 1.0) -> dict[str, float]:
    """Highest FLOPs a second of matrix products in float32: torch.mm's, and oneDNN's.

    oneDNN's is a 1 x 1 convolution, channels last. Where torch.mm is slow, it is the true limit.
    There are several shapes because a large output, whose memory is new each time, can halve it.

    Args:
        seconds: how long to try each shape. Other programs disturb all but a few of the tries.
    """
    rates = {}
    for size in (1024, 2048, 4096):
        a, b, out = torch.rand(3, size, size)
        taken = _fastest(lambda a=a, b=b, out=out: torch.mm(a, b, out=out), seconds)
        rates[f"mm_{size}"] = 2 * size**3 / taken
    for batch, before, height, width, after in (
        (8, 256, 64, 32, 512), (8, 256, 64, 32, 256), (4, 1024, 32, 16, 1024),
    ):  # fmt: skip
        x = torch.rand(batch, before, height, width).to(memory_format=torch.channels_last)
        weight = torch.rand(after, before, 1, 1).to(memory_format=torch.channels_last)
        products = batch * height * width * before * after
        taken = _fastest(lambda x=x, weight=weight: conv2d(x, weight), seconds)
        rates[f"convolution_{batch}x{before}x{height}x{width}_to_{after}"] = 2 * products / taken
    return rates


def _fastest(work: Callable[[], object], seconds: float) -> float:
    """Seconds of the fastest of all tries, five at least, after one warm-up."""
    work()
    times: list[float] = []
    while len(times) < 5 or sum(times) < seconds:
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)
