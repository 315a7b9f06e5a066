"""What a design can show, asked and answered before anything is trained.

Shares, margins and effects are fractions (0.05 = five points); positive forgetting = forgot.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from forgetscope.schema.base import Slug, Text, Value
from forgetscope.schema.experiment import AnalysisSpec, TaskEntry
from forgetscope.schema.results import Measured

__all__ = [
    "Assumption",
    "ExpectedChanges",
    "GroupPower",
    "GroupSizes",
    "PowerNeeds",
    "PowerPlan",
    "PowerRequest",
    "PowerVerdict",
    "Quantity",
    "Sizes",
    "TaskPower",
    "TaskSizes",
]

MAX_CLUSTERS, MAX_GROUPS = 5000, 50
"""Bound the time of an answer to stated sizes [own choice: seconds]."""

Quantity = Literal["forgetting", "biased_forgetting"]
PowerVerdict = Literal["answerable", "cannot be answered at this size"]
Share = Annotated[float, Field(ge=0, le=1)]


class ExpectedChanges(Value):
    """Shares of items that change, e.g. from a pilot run."""

    lost: Share = Field(description="right before, wrong after (p10)")
    gained: Share = Field(description="wrong before, right after (p01)")

    @model_validator(mode="after")
    def _shares_of_the_same_items(self) -> "ExpectedChanges":
        if self.lost + self.gained > 1:
            raise ValueError("lost and gained are shares of the same items: at most 1 together")
        return self


class Sizes(Value):
    """Items by cluster (template, document): `cluster_sizes`, or `items` spread evenly over
    `clusters` (as many as there are items when absent)."""

    items: int | None = Field(default=None, ge=1, le=10_000_000)
    clusters: int | None = Field(default=None, ge=1, le=MAX_CLUSTERS)
    cluster_sizes: tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...] | None = Field(
        default=None, min_length=1, max_length=MAX_CLUSTERS
    )

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> "Sizes":
        if (self.items is None) == (self.cluster_sizes is None):
            raise ValueError("give either items (with clusters), or cluster_sizes")
        if self.cluster_sizes is not None and self.clusters is not None:
            raise ValueError("clusters go with items; cluster_sizes say it themselves")
        if self.items is not None and (self.clusters or self.items) > min(self.items, MAX_CLUSTERS):
            raise ValueError(f"a cluster holds an item, and {MAX_CLUSTERS} are the most")
        return self

    @property
    def each(self) -> tuple[int, ...]:
        """Items of every cluster."""
        if self.cluster_sizes is not None:
            return self.cluster_sizes
        items = self.items or 0
        clusters = self.clusters or items
        return tuple(items // clusters + (i < items % clusters) for i in range(clusters))


class GroupSizes(Sizes):
    """A group of a task, by size."""

    group: Annotated[Text, Field(min_length=1, max_length=200)]


class TaskSizes(Value):
    """A task by its sizes. Groups do not overlap; `others` are the items of no group."""

    id: Slug
    groups: tuple[GroupSizes, ...] = Field(default=(), max_length=MAX_GROUPS)
    others: Sizes | None = None

    @model_validator(mode="after")
    def _holds_items(self) -> "TaskSizes":
        if not self.groups and self.others is None:
            raise ValueError("groups, others, or both are needed")
        if len({g.group for g in self.groups}) < len(self.groups):
            raise ValueError("groups: a group stands there more than once")
        return self


class PowerRequest(Value):
    """What is to be shown of which groups. What is not known may be left out: the answer names
    every value that was assumed, and where it is from."""

    tasks: tuple[TaskEntry, ...] = Field(
        default=(), max_length=16, description="as in an experiment; their data are counted"
    )
    sizes: tuple[TaskSizes, ...] = Field(
        default=(), max_length=16, description="tasks by their sizes alone"
    )
    quantity: Quantity = "biased_forgetting"
    margins: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(
        default=(0.05,), min_length=1, max_length=4, description="each is planned for by itself"
    )
    test: Literal["non-inferiority", "equivalence"] = Field(
        default="non-inferiority",
        description="non-inferiority: only more is bad; equivalence: margins on both sides",
    )
    effect: float | None = Field(
        default=None,
        ge=-1,
        le=1,
        description="the true (biased) forgetting to plan for, of every group in turn; by default "
        "what the expected changes come to, which is no biased forgetting if all groups are alike",
    )
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="of all groups together")
    correction: Literal["groups", "none"] = Field(
        default="groups",
        description="groups: no wrong claim about any group of a task, with this confidence; none: "
        "each group by itself, for a single group that was chosen beforehand",
    )
    target_power: float = Field(default=0.8, ge=0.5, lt=1)
    seeds: int | None = Field(default=None, ge=1, le=100, description="training runs")
    expected: ExpectedChanges | None = None
    expected_of: dict[Annotated[Text, Field(max_length=200)], ExpectedChanges] = Field(
        default={}, max_length=100, description="group → its own expected changes"
    )
    icc: Share | None = Field(
        default=None, description="correlation of the changes of two items of a cluster"
    )
    seed_correlation: Share | None = Field(
        default=None, description="correlation of the changes of one item under two seeds"
    )
    seed_sd: Share | None = Field(
        default=None, description="standard deviation of the number itself from seed to seed"
    )
    noise_floor: Share | None = Field(
        default=None,
        description="how far the same model scored twice lies apart; margins below it are refused",
    )
    min_group_items: int = Field(
        default=AnalysisSpec().min_group_items, ge=1, description="of an experiment's analysis"
    )
    min_group_clusters: int = Field(default=AnalysisSpec().min_group_clusters, ge=1)

    @model_validator(mode="after")
    def _something_to_plan(self) -> "PowerRequest":
        if not self.tasks and not self.sizes:
            raise ValueError("tasks, sizes, or both are needed")
        ids = [use.id for use in self.tasks] + [task.id for task in self.sizes]
        if len(set(ids)) < len(ids):
            raise ValueError("tasks, sizes: an id stands there more than once")
        if self.effect is not None and self.effect in self.margins:
            raise ValueError("effect: at the margin itself no verdict is right")
        parts = [part for task in self.sizes for part in (*task.groups, task.others)]
        if sum(len(part.each) for part in parts if part is not None) > MAX_CLUSTERS:
            raise ValueError(f"sizes: more than {MAX_CLUSTERS} clusters in all")
        if sum(len(task.groups) for task in self.sizes) > MAX_GROUPS:
            raise ValueError(f"sizes: more than {MAX_GROUPS} groups in all")
        return self


class Assumption(Value):
    """A value that the plan rests on; `assumed` when nobody gave it."""

    name: str
    value: float
    assumed: bool
    origin: str


class PowerNeeds(Value):
    """What would reach the target power, each by itself; whole numbers."""

    clusters: Measured = Field(description="clusters of the same sizes")
    items: Measured = Field(description="items in the same clusters")
    seeds: Measured = Field(description="training runs on the same items")


class GroupPower(Value):
    """What the design can say of one group; `group` is null for all items of the task.

    `claim` is the right verdict if `effect` is true, and `power` its chance. `needed` says in words
    what would do, where the question cannot be answered.
    """

    group: str | None
    items: int
    clusters: int
    verdict: PowerVerdict
    reason: str
    needed: tuple[str, ...]
    effect: Measured
    claim: Literal["pass", "breach"] | None
    power: Measured
    minimum_detectable: Measured = Field(
        description="smallest effect above the margin that is a breach with the target power"
    )
    largest_passing: Measured = Field(
        description="largest effect below the margin that passes with the target power"
    )
    standard_error: Measured
    needs: PowerNeeds
    cautions: tuple[str, ...]


class TaskPower(Value):
    """One task at one margin. `judged` groups share the error rate; `error_rate` is what each side
    of one of them gets."""

    task: str
    margin: float
    items: int
    clusters: int
    judged: int
    error_rate: float
    groups: tuple[GroupPower, ...]


class PowerPlan(Value):
    """Answer of the power planner. Nothing was trained or recorded."""

    quantity: Quantity
    tasks: tuple[TaskPower, ...]
    assumptions: tuple[Assumption, ...]
    cautions: tuple[str, ...]
