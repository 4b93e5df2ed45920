"""Where the time of the package's step goes, in groups that a reader knows."""

from __future__ import annotations

from collections import defaultdict

from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from benchmarks.measure import KINDS, Task, make_step

OTHER = "other"
GROUPS = {  # part of an operator's name -> group; the first that fits counts
    "convolution_backward": "convolution backward",
    "ConvolutionBackward": "convolution backward",
    "convolution": "convolution forward",
    "conv2d": "convolution forward",
    "reflection_pad": "padding",
    "ReflectionPad": "padding",
    "aten::pad": "padding",
    "norm_backward": "normalisation",
    "NormBackward": "normalisation",
    "batch_norm": "normalisation",
    "group_norm": "normalisation",
    "instance_norm": "normalisation",
    "relu": "activation",
    "threshold_backward": "activation",
    "clamp_min": "activation",
    "upsample": "resampling",
    "pool": "resampling",
    "aten::copy_": "copies",
    "aten::cat": "copies",
    "aten::clone": "copies",
    "aten::contiguous": "copies",
    "aten::fill_": "copies",
    "mm": "matrix products",
    "aten::linear": "matrix products",
    **dict.fromkeys(
        ("aten::add", "aten::sub", "aten::mul", "aten::div", "aten::sum", "aten::mean",
         "aten::abs", "aten::sgn", "aten::neg", "aten::rsub"), "arithmetic",
    ),
}  # fmt: skip
OPTIMISER = ("Optimizer.step", "Optimizer.zero_grad")  # all that happens inside belongs to it


def measure_shares(task: Task) -> dict:
    """Shares of the CPU time of one step of each kind of ``task.stage``, largest first."""
    step, kinds = make_step(task.implementation, task.stage, task.config()), KINDS[task.stage]
    for number in range(len(kinds)):
        step(number)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for number in range(len(kinds)):
            step(number)
    spent: dict[str, float] = defaultdict(float)
    unnamed: dict[str, float] = defaultdict(float)
    for event in profiler.events():
        group = group_of(event)
        spent[group] += event.self_cpu_time_total
        if group == OTHER:
            unnamed[event.name] += event.self_cpu_time_total
    whole = sum(spent.values())
    return {
        "steps": list(kinds),
        "seconds": whole / 1e6,
        "shares": {group: t / whole for group, t in _sorted(spent)},
        "largest_of_other": {name: t / whole for name, t in _sorted(unnamed)[:5]},
    }


def group_of(event: FunctionEvent) -> str:
    """The optimiser's if it is inside it, else by its own name, else by what it is part of."""
    names, above = [], event
    while above is not None:
        names.append(above.name)
        above = above.cpu_parent
    if any(name.startswith(OPTIMISER) for name in names):
        return "optimiser"
    for name in names:
        for part, group in GROUPS.items():
            if part in name:
                return group
    return OTHER


def _sorted(times: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(times.items(), key=lambda item: -item[1])
