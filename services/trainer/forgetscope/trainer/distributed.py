"""One process, or several that share a model by torch's fully sharded data parallelism (FSDP2).

The recipe speaks to `Processes` and does not know which it has; `trainer.launch` starts several.
What has been tried: one process, and the sharded path as two processes on a CPU. It has not been
run on several GPUs. Sharded runs write no points to resume from: they start again after an
interruption.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grad_norm_

__all__ = ["ALONE", "Alone", "Place", "Processes", "Sharded", "clip_gradients", "processes"]

T = TypeVar("T")


class Place(NamedTuple):
    """Which of how many processes, and the file by which they find each other."""

    rank: int
    size: int
    rendezvous: str


ALONE = Place(0, 1, "")


class Processes(Protocol):
    """`size` processes train one model; this is number `rank`."""

    rank: int
    size: int

    def shard(self, module: nn.Module) -> None:
        """Spread the parameters over the processes, before an optimiser takes hold of them."""

    def share(self, micro_batches: Sequence[T]) -> list[tuple[T, float]]:
        """This process's micro-batches, equally many in each, with their weights: 0 for one that
        only keeps step with the others."""

    def total(self, value: Tensor) -> float:
        """Sum over all processes."""

    def gather(self, module: nn.Module) -> dict[str, Tensor]:
        """The trained parameters in one piece, by name, on the CPU. Empty when they already are."""

    def close(self) -> None: ...


class Alone:
    """A single process: nothing to spread, nothing to sum."""

    rank = 0
    size = 1

    def shard(self, module: nn.Module) -> None: ...

    def share(self, micro_batches: Sequence[T]) -> list[tuple[T, float]]:
        return [(m, 1.0) for m in micro_batches]

    def total(self, value: Tensor) -> float:
        return float(value)

    def gather(self, module: nn.Module) -> dict[str, Tensor]:  # noqa: ARG002  (the protocol's)
        return {}

    def close(self) -> None: ...


class Sharded:
    """Each class of module named in `layers` is gathered for its own forward and backward pass."""

    def __init__(self, place: Place, device: str, layers: Iterable[str]) -> None:
        self.rank, self.size = place.rank, place.size
        self._layers = frozenset(layers)
        if device == "cuda":
            torch.cuda.set_device(place.rank)
        distributed.init_process_group(
            "nccl" if device == "cuda" else "gloo",
            init_method=place.rendezvous,
            rank=place.rank,
            world_size=place.size,
        )
        self._mesh = init_device_mesh(device, (self.size,))

    def shard(self, module: nn.Module) -> None:
        for part in module.modules():
            if type(part).__name__ in self._layers:
                fully_shard(part, mesh=self._mesh)
        fully_shard(module, mesh=self._mesh)

    def share(self, micro_batches: Sequence[T]) -> list[tuple[T, float]]:
        mine = [(m, 1.0) for m in micro_batches[self.rank :: self.size]]
        rounds = -(-len(micro_batches) // self.size)
        return mine + [(micro_batches[0], 0.0)] * (rounds - len(mine))

    def total(self, value: Tensor) -> float:
        distributed.all_reduce(value)
        return float(value)

    def gather(self, module: nn.Module) -> dict[str, Tensor]:
        return {
            name: p.full_tensor().detach().cpu() if isinstance(p, DTensor) else p.detach().cpu()
            for name, p in module.named_parameters()
            if p.requires_grad
        }

    def close(self) -> None:
        distributed.destroy_process_group()


def processes(place: Place, device: str, layers: Iterable[str]) -> Processes:
    """Sharded among several processes, else alone."""
    return Sharded(place, device, layers) if place.size > 1 else Alone()


def clip_gradients(parameters: Iterable[Tensor], max_norm: float | None) -> float:
    """Scale the gradients down to `max_norm` and return the norm that they had."""
    norm = clip_grad_norm_(parameters, float("inf") if max_norm is None else max_norm)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
