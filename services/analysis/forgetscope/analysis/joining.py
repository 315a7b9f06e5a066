"""Predictions of several models on one task → their outcomes, after a check of the items."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Literal

import numpy as np

from forgetscope.analysis.outcomes import CellKey, TaskOutcomes
from forgetscope.core.groups import arrange
from forgetscope.core.predictions import Prediction
from forgetscope.schema.base import JsonObject, Value
from forgetscope.schema.errors import DataChanged
from forgetscope.schema.results import JudgeInfo, TaskInfo

__all__ = ["AnalysedTask", "join_predictions", "packages"]

_PACKAGES = ("forgetscope", "numpy", "scipy", "pyarrow")


class AnalysedTask(Value):
    """What the parameters of a stage say of a task."""

    id: str
    name: str
    kind: Literal["safety", "capability"]
    chance: float | None
    judged: bool
    own_scores: str | None = None


def packages() -> JsonObject:
    """The versions that numbers can depend on."""
    return {name: version(name) for name in _PACKAGES}


def join_predictions(
    task: AnalysedTask,
    cells: Mapping[CellKey, Sequence[Prediction]],
    judge: JudgeInfo | None,
    called: Callable[[CellKey], str],
) -> TaskOutcomes:
    """Outcomes of every model on the task's items.

    Args:
        task: what is known of it.
        cells: the predictions of each model, at least one.
        judge: the classifier that decides what is right, where one does.
        called: a model in words, for an error.

    Raises:
        DataChanged: the models do not have the same items in the same order.
    """
    reference = next(iter(cells.values()))
    expected = [_identity(p) for p in reference]
    for key, predictions in cells.items():
        if (found := [_identity(p) for p in predictions]) != expected:
            raise DataChanged(
                f"{_difference(expected, found)} ({called(key)})",
                where=f"predictions of {task.id}",
                hint="Evaluate all models of a task on the same examples.",
            )
    items = arrange([p.groups for p in reference], [p.cluster for p in reference])
    info = TaskInfo.model_validate(
        {
            **task.model_dump(include={"id", "name", "kind", "chance"}),
            "judge": judge,
            "groups": items.groups,
            "items": len(reference),
            "clusters": items.clusters,
        }
    )
    return TaskOutcomes(
        info,
        items,
        {
            key: np.array([np.nan if p.correct is None else float(p.correct) for p in predictions])
            for key, predictions in cells.items()
        },
    )


def _identity(prediction: Prediction) -> tuple[str, str, tuple[str, ...]]:
    return prediction.id, prediction.cluster, tuple(sorted(prediction.groups))


def _difference(expected: list[tuple[str, str, tuple[str, ...]]], found: Iterable[object]) -> str:
    other = list(found)
    if len(other) != len(expected):
        return f"{len(other)} items instead of {len(expected)}"
    at = next(i for i, (a, b) in enumerate(zip(expected, other, strict=True)) if a != b)
    return f"item {at + 1} is not {expected[at][0]!r} with the same cluster and groups"
