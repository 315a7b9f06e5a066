"""One process, or several that share a model through accelerate (FSDP2).

The recipe speaks to `Processes` and does not know which it has. What has been tried: one process,
on the CPU and on one GPU; the sharded path as two CPU processes. It has not been run on several
GPUs. Sharded runs write no points to resume from: they start again after an interruption.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

import torch
from accelerate import Accelerator, FullyShardedDataParallelPlugin
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grad_norm_

__all__ = ["Alone", "Processes", "Sharded", "clip_gradients", "processes"]

T = TypeVar("T")


class Processes(Protocol):
    """`size` processes train one model; this is number `rank`."""

    rank: int
    size: int

    def prepare(
        self, module: nn.Module, optimiser: torch.optim.Optimizer
    ) -> tuple[nn.Module, torch.optim.Optimizer]: ...

    def share(self, micro_batches: Sequence[T]) -> list[tuple[T, float]]:
        """This process's micro-batches, equally many in each, with their weights: 0 for one that
        only keeps step with the others."""

    def total(self, value: Tensor) -> float:
        """Sum over all processes."""

    def gather(self, module: nn.Module) -> None:
        """Make every parameter whole again in every process."""


class Alone:
    rank = 0
    size = 1

    def prepare(
        self, module: nn.Module, optimiser: torch.optim.Optimizer
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        return module, optimiser

    def share(self, micro_batches: Sequence[T]) -> list[tuple[T, float]]:
        return [(m, 1.0) for m in micro_batches]

    def total(self, value: Tensor) -> float:
        return float(value)

    def gather(self, module: nn.Module) -> None:
        """Nothing is scattered."""


class Sharded:
    """FSDP2 with one shard unit per transformer layer; compute dtype is the recipe's autocast.

    Rank and addresses come from the launcher (`torchrun`, `accelerate launch`), as accelerate
    reads them. `layers` are the class names of the model's layers.
    """

    def __init__(self, layers: Iterable[str], *, cpu: bool = False) -> None:
        plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2,
            auto_wrap_policy="transformer_based_wrap",
            transformer_cls_names_to_wrap=sorted(layers),
            cpu_ram_efficient_loading=False,
        )
        self._accelerator: Any = Accelerator(cpu=cpu, fsdp_plugin=plugin, mixed_precision="no")
        self.rank: int = self._accelerator.process_index
        self.size: int = self._accelerator.num_processes

    def prepare(
        self, module: nn.Module, optimiser: torch.optim.Optimizer
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        module, optimiser = self._accelerator.prepare(module, optimiser)
        return module, optimiser

    def share(self, micro_batches: Sequence[T]) -> list[tuple[T, float]]:
        mine = [(m, 1.0) for m in micro_batches[self.rank :: self.size]]
        rounds = -(-len(micro_batches) // self.size)
        return mine + [(micro_batches[0], 0.0)] * (rounds - len(mine))

    def total(self, value: Tensor) -> float:
        return float(self._accelerator.reduce(value, reduction="sum"))

    def gather(self, module: nn.Module) -> None:
        for part in module.modules():
            if isinstance(part, FSDPModule):
                part.unshard()


def processes(world_size: int, layers: Iterable[str]) -> Processes:
    """Sharded when the launcher started several processes, else alone."""
    return Sharded(layers) if world_size > 1 else Alone()


def clip_gradients(parameters: Iterable[Tensor], max_norm: float | None) -> float:
    """Scale the gradients down to `max_norm` and return the norm that they had."""
    norm = clip_grad_norm_(parameters, float("inf") if max_norm is None else max_norm)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
