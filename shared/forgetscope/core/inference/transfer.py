"""Average accuracy, backward and forward transfer of one chain, from its accuracy matrix."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forgetscope.schema.results import Measured

__all__ = ["Transfer", "average_accuracy", "backward", "forward", "transfer"]

Floats = npt.NDArray[np.float64]


class Transfer(NamedTuple):
    """Fractions; positive transfer = helped."""

    acc: Measured
    bwt: Measured
    fwt: Measured


def average_accuracy(matrix: Floats) -> Floats:
    """`ACC = 1/T Σ_j R[T, j]` over the tasks of the chain.

    Lopez-Paz & Ranzato 2017 (arXiv 1706.08840, equation 2). `matrix` is [T, T, …]: accuracy after
    stage i on the task of stage j; further axes are kept (bootstrap replicates).
    """
    mean: Floats = matrix[-1].mean(axis=0)
    return mean


def backward(matrix: Floats) -> Floats:
    """`BWT = 1/(T−1) Σ_{j<T} (R[T, j] − R[j, j])`, the same paper, equation 3; T ≥ 2.

    Minus the mean of forgetting in its initial − last form.
    """
    own = np.stack([matrix[j, j] for j in range(matrix.shape[0] - 1)])
    mean: Floats = (matrix[-1, :-1] - own).mean(axis=0)
    return mean


def forward(matrix: Floats, base: Floats) -> Floats:
    """`FWT = 1/(T−1) Σ_{j>1} (R[j−1, j] − b_j)`, the same paper, equation 4; T ≥ 2.

    `base` is [T, …]. There b is the accuracy at random initialisation; here it is that of the base
    model before any stage, as chains start from a pre-trained model.
    """
    ahead = np.stack([matrix[j - 1, j] for j in range(1, matrix.shape[0])])
    mean: Floats = (ahead - base[1:]).mean(axis=0)
    return mean


def transfer(chain: Sequence[str], matrix: Floats, base: Floats | None) -> Transfer:
    """ACC, BWT and FWT of one chain of T stages (see the three functions).

    Args:
        chain: the task of each stage.
        matrix: accuracies [T, T], NaN where nothing was scored; row = stage, column = the task of
            that stage.
        base: accuracies [T] of the base model; None when it was not scored.

    Undefined, with the reason: transfer of a chain of one stage; transfer when a task is trained
    twice, as the definitions have each task once (ACC then averages over the different tasks); and
    whatever needs a cell that is undefined.

    Raises:
        ValueError: shapes that do not belong to the chain.
    """
    stages = len(chain)
    if (
        stages == 0
        or matrix.shape != (stages, stages)
        or (base is not None and base.shape != (stages,))
    ):
        raise ValueError(f"a matrix of shape {matrix.shape} for a chain of {stages} stages")
    first = [chain.index(task) for task in dict.fromkeys(chain)]
    acc = _value(average_accuracy(matrix[:, first]), "a task was not scored after the last stage")
    if stages < 2:
        alone = Measured(reason="a chain of one stage has no transfer")
        return Transfer(acc, alone, alone)
    if len(first) < stages:
        twice = Measured(
            reason="a task is trained twice; transfer is defined for tasks that differ"
        )
        return Transfer(acc, twice, twice)
    bwt = _value(
        backward(matrix), "a task was not scored after its own stage or after the last stage"
    )
    if base is None:
        return Transfer(acc, bwt, Measured(reason="the base model was not scored"))
    fwt = _value(
        forward(matrix, base),
        "a task was not scored right before its stage or under the base model",
    )
    return Transfer(acc, bwt, fwt)


def _value(number: Floats, undefined: str) -> Measured:
    value = float(number)
    return Measured(reason=undefined) if np.isnan(value) else Measured(value=value)
