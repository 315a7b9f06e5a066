"""What the analysis works on: the design of an experiment, and every model's outcomes."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forgetscope.core.groups import Items
from forgetscope.core.steps import task_of
from forgetscope.schema.example import Example
from forgetscope.schema.experiment import AnalysisSpec
from forgetscope.schema.recovery import MitigatedChain
from forgetscope.schema.results import ChainForgetting, Results, TaskInfo

__all__ = [
    "BbqOutcomes",
    "CellKey",
    "Chain",
    "Design",
    "Floats",
    "TaskOutcomes",
    "plain_pair",
    "trainings",
    "unmitigated",
]

Floats = npt.NDArray[np.float64]
Chain = tuple[str, ...]
CellKey = tuple[Chain, int | None]
"""(elements so far, seed); ((), None) is the base model."""


class BbqOutcomes(NamedTuple):
    """The N items of a BBQ task, and what every model chose on them (None: unscored)."""

    examples: Sequence[Example]
    choices: Mapping[CellKey, Sequence[int | None]]


class Design(NamedTuple):
    """What was compared, without the outcomes."""

    chains: tuple[Chain, ...]
    seeds: tuple[int, ...]
    settings: AnalysisSpec
    noise_floor: Mapping[str, float] = MappingProxyType({})
    """task → how far the same model scored twice lies apart; tasks not measured are absent"""
    mitigated: tuple[MitigatedChain, ...] = ()
    """chains that mitigate, each with its plain one"""


class TaskOutcomes(NamedTuple):
    """A task with the outcomes of every model on its N items: 1 right, 0 wrong, NaN unscored.

    `bbq` is there for tasks that have BBQ's own scores.
    """

    info: TaskInfo
    items: Items
    cells: Mapping[CellKey, Floats]
    bbq: BbqOutcomes | None = None


def plain_pair(chain: Sequence[str]) -> bool:
    """Two stages of plain training: no step, so that chains differ by their tasks alone."""
    return len(chain) == 2 and all(task_of(element) == element for element in chain)


def trainings(chain: Sequence[str]) -> tuple[str, ...]:
    """The task of each training, in order and with repetitions; merges train on none."""
    return tuple(task for task in map(task_of, chain) if task is not None)


def unmitigated(results: Results) -> Iterator[ChainForgetting]:
    """The rows of the forgetting table whose chain is not set beside a plain one."""
    held_back = {row.mitigated.chain for row in results.recovery}
    return (row for row in results.forgetting if row.chain not in held_back)
