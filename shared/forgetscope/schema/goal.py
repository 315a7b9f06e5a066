"""What a mitigation is to reach, and what the data say about it."""

from typing import Literal

from pydantic import Field

from forgetscope.schema.base import Slug, Value
from forgetscope.schema.measured import Measured
from forgetscope.schema.verdicts import VerdictWord

__all__ = ["Goal", "GoalJudged", "GoalPart"]


class Goal(Value):
    """E.g. recover at least 90 % of every group's loss at no more than 1 point of capability.

    Shares and accuracies are fractions. The defaults are our own choice.
    """

    recover: float = Field(default=0.9, gt=0, le=1, description="share of the loss, at least")
    of: Literal["every_group", "task"] = Field(
        default="every_group", description="of each group that is large enough, or of the task"
    )
    least_loss: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="where no loss is shown: the loss must be shown to be below it, and to stay so",
    )
    price: float = Field(
        default=0.01, ge=0, lt=1, description="accuracy that each other task may lose, at most"
    )
    price_tasks: tuple[Slug, ...] | None = Field(
        default=None, description="all other tasks that the chain trains when absent"
    )


class GoalPart(Value):
    """One condition of a goal: about the task as a whole, a group, or the price on another task.

    `estimate` is the number that was judged: recovery for `measure` recovery, what is still lost
    for remaining, lost accuracy for price, each with its simultaneous interval.
    """

    kind: Literal["task", "group", "price"]
    name: str = Field(description="of the task or the group")
    measure: Literal["recovery", "remaining", "price"]
    limit: float = Field(description="at least for recovery, at most for the others")
    estimate: Measured
    verdict: VerdictWord
    reason: str


class GoalJudged(Value):
    """`pass`: every part passes; `breach`: one does not reach the goal; else `underpowered`.

    `not_judged`: group → why it is no part (too small).
    """

    verdict: VerdictWord
    reason: str
    parts: tuple[GoalPart, ...]
    not_judged: dict[str, str] = {}
