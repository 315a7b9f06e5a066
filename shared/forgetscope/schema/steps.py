"""Steps: the named stages of a chain that are more than plain training on a task.

An element of a chain is a task (`arc`), a step (`replay`), or a task trained in the way of a step
(`arc:gently`). A step that varies stands for several: `vary` maps a path in the step to the values
that it takes, and a chain that names the step becomes one chain for each combination.

Written out, an element is `task`, `task:step` or, for a merge, `~step`, with the varied values in
brackets: `safety:replay[share=0.05]`. See `forgetscope.core.steps`.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from forgetscope.schema.base import Slug, Value
from forgetscope.schema.training import Choice, NamedChoice, TrainingValues

__all__ = [
    "MergeStep",
    "Mix",
    "MonitorSpec",
    "ReplayStep",
    "Step",
    "TrainStep",
    "WrittenElement",
]

WrittenElement = Annotated[
    str, Field(pattern=r"^~?[a-z0-9][a-z0-9_.-]{0,63}(:[a-z0-9][a-z0-9_.-]{0,63})?$")
]
"""An element of a chain as a user writes it: a task, a step, or `task:step`."""

Vary = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z_]+){0,4}$")],
        Annotated[tuple[JsonValue, ...], Field(min_length=1, max_length=100)],
    ],
    Field(max_length=8),
]
_UNIFORM = Choice(name="uniform")


class Mix(Value):
    """Replay inside of a stage: a share of an earlier task's examples is added to its own."""

    task: Slug | None = Field(default=None, description="the chain's first task when absent")
    share: float = Field(default=0.05, ge=0, le=1, description="of that task's training examples")
    selection: NamedChoice = _UNIFORM


class MonitorSpec(Value):
    """Looks at an earlier task's groups while a stage trains (probes are training examples).

    `alpha` bounds the chance that any group is ever called although its biased forgetting of these
    examples had not passed `margin`, at however many looks.
    """

    task: Slug | None = Field(default=None, description="the chain's first task when absent")
    every: int = Field(default=10, ge=1, description="optimiser steps between two looks")
    items_per_group: int = Field(
        default=8,
        ge=1,
        le=10_000,
        description="drawn at each look, with replacement; items of the same several groups count "
        "as a group of their own here, and so do items of none",
    )
    margin: float = Field(default=0.05, ge=0, lt=1, description="of biased forgetting")
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    action: Literal["warn", "stop", "rollback"] = Field(
        default="warn",
        description="stop: end the stage there; rollback: end it with the weights of the last "
        "look before",
    )


class TrainStep(Value):
    """Training on a task, in another way than the others."""

    kind: Literal["train"]
    task: Slug | None = Field(default=None, description="absent: named in the chain, as task:step")
    training: TrainingValues = TrainingValues()
    train_examples: int | None = Field(
        default=None, ge=1, description="the first of the task's examples; all when absent"
    )
    mix: Mix | None = None
    monitor: MonitorSpec | None = None
    vary: Vary = {}


class ReplayStep(Value):
    """A stage on a share of the same examples that an earlier stage was trained on."""

    kind: Literal["replay"]
    task: Slug | None = Field(default=None, description="the chain's first task when absent")
    share: float = Field(default=0.05, ge=0, le=1, description="0: no training at all")
    selection: NamedChoice = _UNIFORM
    equal_steps: bool = Field(
        default=False, description="as many optimiser steps as all of the examples would take"
    )
    training: TrainingValues = TrainingValues()
    vary: Vary = {}


class MergeStep(Value):
    """No training: a straight line from the model before this step (alpha 0) to that after
    `position` stages of the chain (alpha 1)."""

    kind: Literal["merge"]
    position: int = Field(default=1, ge=1)
    alpha: float = Field(default=0.5, ge=0, le=1)
    vary: Vary = {}


Step = Annotated[TrainStep | ReplayStep | MergeStep, Field(discriminator="kind")]
