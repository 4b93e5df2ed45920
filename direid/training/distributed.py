"""Several processes that train as one: torchrun starts them, PyTorch's own engine joins them.

Each process takes an equal share of every batch. What the whole batch would have computed, W
processes compute too: gradients are averaged (DistributedDataParallel), batch normalisation uses
the statistics of all shares, hard triplets are sought in all of them, and F_deg draws for all.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from direid.models.blocks import full


@dataclass(frozen=True)
class World:
    """The processes of a run, and which of them this is. Without torchrun there is one."""

    rank: int = 0
    size: int = 1
    local: int = 0  # rank among the processes of this machine: the number of its GPU

    @staticmethod
    def join(gpu: bool) -> World:
        """Meet the processes that torchrun has started, over NCCL if they have GPUs, else Gloo."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return World()
        if gpu:  # each its own, before the first of them waits for another
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        if not dist.is_initialized():
            dist.init_process_group("nccl" if gpu else "gloo")
        return World(dist.get_rank(), dist.get_world_size(), int(os.environ["LOCAL_RANK"]))

    @staticmethod
    def leave() -> None:
        """Part from the others, if there were any."""
        if dist.is_initialized():
            dist.destroy_process_group()

    @property
    def first(self) -> bool:
        """Whether this process writes logs and checkpoints."""
        return self.rank == 0

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            dist.barrier()

    def mean(self, values: Tensor) -> Tensor:
        """The mean of every process's ``values``; no gradient flows."""
        if self.size == 1:
            return values
        values = values.clone()
        dist.all_reduce(values)
        return values / self.size

    def agree(self, number: int, device: torch.device) -> bool:
        """Whether every process names the same number."""
        if self.size == 1:
            return True
        ends = torch.tensor([number, -number], device=device)
        dist.all_reduce(ends, dist.ReduceOp.MAX)
        return bool((ends[0] == -ends[1]).item())

    def gather(self, part: Tensor) -> Tensor:
        """Every process's share (B, ...), one after the other, (W B, ...); gradients flow back."""
        if self.size == 1:
            return part
        whole = part.new_zeros(self.size, *part.shape)
        whole = torch.cat([whole[: self.rank], part[None], whole[self.rank + 1 :]])
        return _Sum.apply(whole).flatten(0, 1)

    def wrap(self, module: nn.Module, partly: bool = False) -> nn.Module:
        """``module`` so that a backward pass averages its gradients over all processes.

        Args:
            module: on its device.
            partly: some steps leave some parameters without gradient, the same in every process.
        """
        if self.size == 1:
            return module
        return DistributedDataParallel(module, find_unused_parameters=partly)


def synchronised(module: nn.Module, world: World, device: torch.device) -> nn.Module:
    """``module`` with batch normalisation over the shares of all processes, in place of its own.

    PyTorch's own SyncBatchNorm wants a GPU; CPU processes get :class:`BatchNorm`. Names of weights
    do not change.
    """
    if world.size == 1:
        return module
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(module)
    for name, child in module.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            module.register_module(name, BatchNorm.like(child))
        else:
            synchronised(child, world, device)
    return module


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation with the mean and variance of all processes' equal shares."""

    @classmethod
    def like(cls, norm: nn.modules.batchnorm._BatchNorm) -> BatchNorm:
        """With the weights, statistics and frozen state of ``norm``."""
        made = cls(norm.num_features, norm.eps, norm.momentum)
        made.load_state_dict(norm.state_dict())
        for (_, mine), (_, its) in zip(
            made.named_parameters(), norm.named_parameters(), strict=True
        ):
            mine.requires_grad_(its.requires_grad)
        return made.to(norm.weight.device, norm.weight.dtype).train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) or (B, C, H, W) to the same shape."""
        if not self.training:
            return super().forward(x)
        size = dist.get_world_size()
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        wide = full(x)
        mean = _Sum.apply(wide.mean(axes)) / size
        centred = wide - mean.view(shape)
        variance = _Sum.apply(centred.square().mean(axes)) / size
        with torch.no_grad():
            count = x.numel() // x.shape[1] * size
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight / (variance + self.eps).sqrt()
        return (centred * scale.view(shape) + self.bias.view(shape)).to(x.dtype)

    def _check_input_dim(self, x: Tensor) -> None:
        """Any number of axes will do."""


class _Sum(torch.autograd.Function):
    """The sum over processes; so is its gradient."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        x = x.contiguous().clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        return gradient
