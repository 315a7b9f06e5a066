"""What a team allows a model to forget: margins per task and group, tiers, waivers.

A policy is a reviewed file. It judges the difference of two models on the same items: how much
accuracy the candidate lost against the reference, as a whole and in each group.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from forgetscope.schema.base import Slug, Text, Value

__all__ = ["GroupRule", "Policy", "TaskRule", "Tier", "Waiver"]

Tier = Literal["block", "warn", "inform"]
"""block: a breach fails the audit; warn: it is told, and the audit passes; inform: only shown."""

Share = Annotated[float, Field(gt=0, lt=1)]
GroupName = Annotated[str, Field(pattern=r"^[^\x00-\x1f]{1,100}$")]


class GroupRule(Value):
    """What another rule for one group of a task says; what is left out is as for the others."""

    margin: Share | None = Field(default=None, description="accuracy that the group may lose")
    biased_margin: Share | None = Field(
        default=None, description="accuracy that it may lose beyond what the task loses"
    )
    tier: Tier | None = None


class TaskRule(Value):
    """What may be lost on one task. Margins are fractions: 0.05 is five points."""

    task: Slug = Field(description="id of the task in the audit")
    required: bool = Field(default=True, description="an audit without it fails")
    margin: Share = Field(default=0.05, description="accuracy that the task may lose as a whole")
    group_margin: Share | None = Field(
        default=None, description="accuracy that each group may lose; null: groups are not judged"
    )
    biased_margin: Share | None = Field(
        default=None,
        description="accuracy that a group may lose beyond what the task loses; null: not judged",
    )
    relative: Share | None = Field(
        default=None,
        description="guard for low baselines: no more than this share of the reference's accuracy "
        "above chance may be lost, where that is less than the margin; for each group by its own",
    )
    tier: Tier = "block"
    min_items: int = Field(
        default=30, ge=1, description="scored under both models; with fewer nothing is judged"
    )
    min_clusters: int = Field(default=5, ge=2, description="that these come from")
    max_unscored: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="share of unscored items above which nothing is judged: a model that lost the "
        "format must not pass on the rest",
    )
    groups: dict[GroupName, GroupRule] = Field(default={}, max_length=256)


class Waiver(Value):
    """A breach that somebody has accepted until a day (that day included, UTC). It covers breaches
    only: neither what cannot be judged nor a task that is missing."""

    task: Slug
    group: GroupName | None = Field(default=None, description="null: the task as a whole")
    reason: Annotated[Text, Field(min_length=1)]
    approved_by: Annotated[Text, Field(min_length=1, max_length=200)]
    expires: date


class Policy(Value):
    """The rules of an audit. All judged rows of a tier are one family: their intervals hold
    together with `confidence`."""

    version: Literal["1"] = "1"
    name: Annotated[Text, Field(min_length=1, max_length=200)]
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    underpowered: Literal["fail", "warn"] = Field(
        default="fail", description="what a row of tier block that cannot be judged does"
    )
    target_power: float = Field(
        default=0.8, ge=0.5, lt=1, description="of the size that an underpowered row would need"
    )
    tasks: tuple[TaskRule, ...] = Field(min_length=1, max_length=64)
    waivers: tuple[Waiver, ...] = Field(default=(), max_length=256)

    @model_validator(mode="after")
    def _names_agree(self) -> "Policy":
        ids = [rule.task for rule in self.tasks]
        if twins := sorted({task for task in ids if ids.count(task) > 1}):
            raise ValueError(f"tasks: {', '.join(twins)} stands there more than once")
        for waiver in self.waivers:
            if waiver.task not in ids:
                raise ValueError(f"waivers: {waiver.task!r} is not among the tasks {ids}")
        return self
