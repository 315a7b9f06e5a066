"""What the results document judges and how sure it is: verdicts, tests, transfer, agreement."""

from typing import Literal

from pydantic import Field

from forgetscope.schema.base import Value
from forgetscope.schema.measured import Measured

__all__ = [
    "Agreement",
    "Judged",
    "McNemarRow",
    "McNemarTest",
    "Permuted",
    "TransferRow",
    "Variance",
    "VarianceComponent",
    "VarianceRow",
    "VerdictWord",
]


VerdictWord = Literal["pass", "breach", "underpowered"]


class Judged(Value):
    """One of three verdicts about a margin, and why (METHOD.md section 4).

    With intervals at confidence 1 − α, a wrong pass has at most chance α/2, and so has a wrong
    breach.
    """

    test: Literal["non-inferiority", "equivalence"]
    verdict: VerdictWord
    reason: str
    margin: float = Field(gt=0, description="as a fraction; 0.05 = five points")
    differs_from_zero: bool | None = Field(
        description="whether the interval leaves out 0; null without an interval"
    )


class McNemarTest(Value):
    """The exact McNemar test, at the level of items."""

    lost: int = Field(ge=0, description="items right before and wrong after")
    gained: int = Field(ge=0, description="items wrong before and right after")
    items: int = Field(ge=0, description="items scored under both models")
    p: Measured = Field(description="two-sided, exact")
    caution: str | None = Field(description="why p is too small, where items are clustered")


class McNemarRow(McNemarTest):
    """The exact McNemar test of one seed, at the level of items."""

    seed: int


class TransferRow(Value):
    """Average accuracy, backward and forward transfer of one chain (Lopez-Paz & Ranzato 2017);
    positive transfer = helped. With several seeds each has a row, whose interval is about that run,
    and their mean has one, whose interval is about all runs."""

    chain: tuple[str, ...]
    seed: int | None = Field(description="null: the mean of all seeds")
    acc: Measured
    bwt: Measured
    fwt: Measured


class Permuted(Value):
    """A permutation test; `exact`: all permutations were tried, else they were drawn."""

    p: Measured
    exact: bool
    permutations: int = Field(ge=0)


class Agreement(Value):
    """Do the groups rank alike, by biased forgetting, over the pairs?

    A pair is a chain of two stages whose first task has groups. `task` restricts the pairs to those
    that train this task first; null takes all of them. Groups that are too small in a pair, or
    not part of it, are in `left_out` with the reason.
    """

    task: str | None
    pairs: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...]
    left_out: dict[str, str]
    kendall_w: Measured = Field(description="0 = no agreement, 1 = the same order in every pair")
    friedman: Measured = Field(description="χ² statistic")
    friedman_degrees: int
    friedman_p: Measured
    spearman: Measured = Field(description="mean over all couples of pairs")
    by_pair: Permuted = Field(description="each pair shuffled by itself")
    by_first_stage: Permuted = Field(description="pairs that share a first stage shuffled together")


class VarianceComponent(Value):
    """`negative`: the estimate was below 0 and is given as 0: too small to be seen here."""

    variance: Measured
    negative: bool


class VarianceRow(Value):
    """Where right and wrong at the end of a pair differ: order, seed, item and their interactions.

    Both orders and all seeds answer the same items of `task`, which is one of the pair. With
    clustered items, `unit` is the cluster and an outcome its mean.
    """

    safety: str
    capability: str
    task: str
    unit: Literal["item", "cluster"]
    levels: dict[str, int] = Field(description="orders, seeds and units that were used")
    left_out: int = Field(ge=0, description="items unscored under at least one of the models")
    components: dict[str, VarianceComponent]


class Variance(Value):
    """Either rows, or the reason why there are none."""

    rows: tuple[VarianceRow, ...] = ()
    reason: str | None = None
