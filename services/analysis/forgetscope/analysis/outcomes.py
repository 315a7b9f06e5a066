"""What the analysis works on: the design of an experiment, and every model's outcomes."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forgetscope.core.groups import Items
from forgetscope.schema.example import Example
from forgetscope.schema.experiment import AnalysisSpec
from forgetscope.schema.results import TaskInfo

__all__ = ["BbqOutcomes", "CellKey", "Chain", "Design", "Floats", "TaskOutcomes"]

Floats = npt.NDArray[np.float64]
Chain = tuple[str, ...]
CellKey = tuple[Chain, int | None]
"""(tasks trained so far, seed); ((), None) is the base model."""


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


class TaskOutcomes(NamedTuple):
    """A task with the outcomes of every model on its N items: 1 right, 0 wrong, NaN unscored.

    `bbq` is there for tasks that have BBQ's own scores.
    """

    info: TaskInfo
    items: Items
    cells: Mapping[CellKey, Floats]
    bbq: BbqOutcomes | None = None
