"""Two experiments side by side: what they share, and how their numbers differ."""

from typing import Literal

from pydantic import Field, JsonValue

from forgetscope.schema.base import Value
from forgetscope.schema.curvature import Iterated
from forgetscope.schema.measured import Measured
from forgetscope.schema.verdicts import Judged

__all__ = [
    "ChangedVerdict",
    "Compared",
    "ComparedCurvature",
    "ComparedGroup",
    "ComparedIterated",
    "ComparedOrder",
    "ComparedRow",
    "ComparedSide",
    "ComparedTask",
    "ComparedVerdict",
    "Comparison",
    "Leftover",
    "OrderWord",
    "SettingDifference",
]

OrderWord = Literal["safety first forgets more", "capability first forgets more", "not shown"]


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


class ComparedVerdict(Value):
    """The verdicts of both. `caution`: why two different ones need not mean a difference."""

    one: Judged
    other: Judged
    changed: bool
    caution: str | None = None


class ComparedGroup(Value):
    """One group of a row. `too_small` names where it is too small to judge."""

    group: str
    one_items: int
    other_items: int
    too_small: tuple[Literal["one", "other"], ...] = ()
    forgetting: Compared
    biased: Compared = Field(description="biased forgetting, pooled")
    verdict: ComparedVerdict
    equivalence: ComparedVerdict


class ComparedRow(Value):
    """A row of the forgetting table that both have."""

    chain: tuple[str, ...]
    task: str
    position: int
    same_items: bool
    before: Compared = Field(description="accuracy after the task's own stage")
    after: Compared = Field(description="accuracy at the end of the chain")
    forgetting: Compared
    verdict: ComparedVerdict
    groups: tuple[ComparedGroup, ...]


class ComparedOrder(Value):
    """The order effect of a pair that both have in both orders. An effect is shown where its p,
    corrected over the pairs, is below 1 − confidence."""

    safety: str
    capability: str
    effect: Compared
    one_p: Measured = Field(description="Holm over the pairs")
    other_p: Measured
    one_shown: OrderWord
    other_shown: OrderWord


class ChangedVerdict(Value):
    """A verdict of the second experiment that is not that of the first, or an order effect that is
    shown in one of them only, or the other way round."""

    about: Literal["forgetting", "biased forgetting", "equivalence of a group", "order effect"]
    chain: tuple[str, ...] = Field(description="of an order effect: the pair, safety first")
    task: str | None
    position: int | None
    group: str | None
    one: str
    other: str
    caution: str | None


class ComparedIterated(Value):
    """A number of curvature of both; `difference` is other − one where both have converged on the
    same examples and parameters, else the reason."""

    one: Iterated
    other: Iterated
    difference: Measured


class ComparedCurvature(Value):
    """The Hessian of a task's loss after `chain`, on set number `set` of its training examples, in
    a seed that both have. Curvature vanishes with the loss, which therefore stands beside it."""

    chain: tuple[str, ...]
    task: str
    seed: int
    set: int = Field(ge=1)
    same_examples: bool
    same_parameters: bool
    one_loss: float
    other_loss: float
    radius: ComparedIterated
    largest: ComparedIterated = Field(description="λ_max")
    lowest: ComparedIterated = Field(description="λ_min")
    trace: ComparedIterated


class SettingDifference(Value):
    """A field of the specification that differs; null where one of the two does not have it."""

    pointer: str = Field(description="JSON pointer into the specification; tasks by their id")
    one: JsonValue
    other: JsonValue


class Leftover(Value):
    """What only one of the two has."""

    tasks: tuple[str, ...]
    chains: tuple[tuple[str, ...], ...]
    curvature: tuple[str, ...] = Field(
        default=(), description="models whose curvature the other has not: chain, seed and set"
    )


class Comparison(Value):
    """Two experiments side by side. Fractions, as in the results."""

    schema_version: Literal["1"] = "1"
    one: ComparedSide
    other: ComparedSide
    tasks: tuple[ComparedTask, ...]
    rows: tuple[ComparedRow, ...]
    order_effects: tuple[ComparedOrder, ...]
    changed_verdicts: tuple[ChangedVerdict, ...]
    same_verdicts: int = Field(ge=0, description="verdicts and order effects that are as before")
    curvature: tuple[ComparedCurvature, ...]
    settings: tuple[SettingDifference, ...]
    only_one: Leftover
    only_other: Leftover
    notes: tuple[str, ...]
