"""Two experiments side by side: what they share, and how their numbers differ."""

from typing import Literal

from pydantic import Field, JsonValue

from forgetscope.schema.base import Value
from forgetscope.schema.measured import Measured

__all__ = [
    "Compared",
    "ComparedGroup",
    "ComparedOrder",
    "ComparedRow",
    "ComparedSide",
    "ComparedTask",
    "Comparison",
    "Leftover",
    "SettingDifference",
]


class ComparedSide(Value):
    """One of the two experiments."""

    id: str
    name: str
    seeds: tuple[int, ...]
    confidence: float = Field(description="level of its intervals")


class ComparedTask(Value):
    """A task that both have under one id, and that is the same task of the catalogue."""

    task: str
    name: str
    kind: Literal["safety", "capability"]
    same_items: bool = Field(description="both scored the same evaluation items, byte by byte")
    one_items: int
    other_items: int


class Compared(Value):
    """A number of both, each with its own interval. `difference` is other − one, on the same items
    only, and without an interval: that would need the pairs of answers, not two results."""

    one: Measured
    other: Measured
    difference: Measured


class ComparedGroup(Value):
    """One group of a row. `too_small` names where it is too small to judge."""

    group: str
    one_items: int
    other_items: int
    too_small: tuple[Literal["one", "other"], ...] = ()
    forgetting: Compared
    biased: Compared = Field(description="biased forgetting, pooled")


class ComparedRow(Value):
    """A row of the forgetting table that both have."""

    chain: tuple[str, ...]
    task: str
    position: int
    same_items: bool
    before: Compared = Field(description="accuracy after the task's own stage")
    after: Compared = Field(description="accuracy at the end of the chain")
    forgetting: Compared
    groups: tuple[ComparedGroup, ...]


class ComparedOrder(Value):
    """The order effect of a pair that both have in both orders."""

    safety: str
    capability: str
    effect: Compared


class SettingDifference(Value):
    """A field of the specification that differs; null where one of the two does not have it."""

    pointer: str = Field(description="JSON pointer into the specification; tasks by their id")
    one: JsonValue
    other: JsonValue


class Leftover(Value):
    """What only one of the two has."""

    tasks: tuple[str, ...]
    chains: tuple[tuple[str, ...], ...]


class Comparison(Value):
    """Two experiments side by side. Fractions, as in the results."""

    schema_version: Literal["1"] = "1"
    one: ComparedSide
    other: ComparedSide
    tasks: tuple[ComparedTask, ...]
    rows: tuple[ComparedRow, ...]
    order_effects: tuple[ComparedOrder, ...]
    settings: tuple[SettingDifference, ...]
    only_one: Leftover
    only_other: Leftover
    notes: tuple[str, ...]
