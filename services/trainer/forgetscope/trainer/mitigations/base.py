"""What a mitigation gets and gives."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from forgetscope.schema.base import JsonObject

__all__ = [
    "FISHER",
    "Anchor",
    "BeginMitigation",
    "Mitigation",
    "Scene",
    "add_penalty",
    "begin_plain",
]

# The file in an anchor's `fisher` folder; `trainer.fisher` writes it.
FISHER = "fisher.safetensors"


class Anchor(NamedTuple):
    """An earlier training to hold on to: its weights, and the folder of its Fisher information."""

    checkpoint: Path
    fisher: Path


class Scene(NamedTuple):
    """Where a mitigation works: the trained parameters by name, at the values from which the stage
    begins, and the anchors, earliest first."""

    trained: Mapping[str, Tensor]
    anchors: Sequence[Anchor]


class Mitigation(Protocol):
    """Stands around the gradient of a step.

    The recipe clips what is left in `grad`, so a penalty is clipped together with the loss. AdamW's
    weight decay acts on the weights alone, past gradient and clipping.
    """

    def __call__(self, backward: Callable[[], float]) -> float:
        """Leave the gradient of the step in the parameters' `grad` and return the loss without
        any penalty. `backward` sums the gradient of the plain loss into `grad` (which is empty
        before) and returns that loss; it may be called several times, and gives equal results for
        equal weights and generator states: dropout draws anew at each call, though."""


class BeginMitigation(Protocol):
    """Makes a mitigation for one stage. Raises InvalidInput."""

    def __call__(self, scene: Scene, params: JsonObject) -> Mitigation: ...


def begin_plain(scene: Scene, params: JsonObject) -> Mitigation:  # noqa: ARG001
    """Nothing is changed."""
    return lambda backward: backward()


@torch.no_grad()
def add_penalty(parameter: Tensor, gradient: Tensor) -> None:
    """Add the `gradient` of a penalty to that of the loss, which may be absent."""
    if parameter.grad is None:
        parameter.grad = gradient
    else:
        parameter.grad += gradient
