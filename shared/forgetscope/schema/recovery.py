"""What mitigations brought back, and what they cost.

A *mitigated* chain is compared with its *plain* one: the same chain without replay, merge, mixed-in
examples, monitor or mitigation. Accuracies are fractions; a positive price is lost accuracy.
"""

from typing import Literal

from pydantic import Field

from forgetscope.schema.base import Value
from forgetscope.schema.measured import Measured

__all__ = ["GroupRecovery", "MitigatedChain", "Price", "RecoveryRow", "Simultaneous"]


class MitigatedChain(Value):
    """A chain with a mitigation, as the planner tells it to the analysis."""

    chain: tuple[str, ...]
    plain: tuple[str, ...]
    mitigation: str = Field(
        description="replay, mix, merge, monitor, or the name of the mitigation; with a plus sign "
        "between several"
    )
    variant: str = Field(description="the elements that mitigate, as they stand in the chain")
    selection: str | None = Field(default=None, description="of replayed examples")
    equal_steps: bool = False
    knob: float | None = Field(
        default=None, description="share, alpha, strength or radius, where there is just one"
    )
    tokens: int = Field(ge=0, description="trained on by the chain, by the planner's estimate")
    plain_tokens: int = Field(ge=0, description="trained on by the plain chain")


class Simultaneous(Value):
    """Numbers of a group with intervals that hold for all judged groups of the row together
    (Bonferroni). Groups that are too small have none."""

    forgotten: Measured
    remaining: Measured
    recovery: Measured


class GroupRecovery(Value):
    """Recovery of one group; see `RecoveryRow`."""

    group: str
    items: int
    clusters: int
    too_small: bool
    forgotten: Measured
    regained: Measured
    recovery: Measured
    remaining: Measured
    biased: Measured = Field(
        description="biased forgetting at the end of the mitigated chain, with an interval that "
        "holds for all judged groups together"
    )
    simultaneous: Simultaneous


class Price(Value):
    """What the mitigation cost on another task of the chain: accuracy at the end of the plain chain
    minus that at the end of the mitigated one."""

    task: str
    items: int
    clusters: int
    plain: Measured
    mitigated: Measured
    price: Measured
    simultaneous: Measured = Field(
        description="`price`, with an interval that holds for all prices of the row together"
    )


class RecoveryRow(Value):
    """How much of `task`, trained at `position` of the plain chain, a mitigation brings back.

    `forgotten` = Acc_A − Acc_AB, `regained` = Acc_M − Acc_AB, `recovery` = regained / forgotten
    (METHOD.md section 2), with A the model after the task's own stage in the plain chain, AB the
    end of the plain chain, M the end of the mitigated one, over items scored under all three in
    every seed. `recovery` is undefined where no forgetting is shown: `forgotten` is not above 0, or
    its interval includes 0 or is missing. Its interval holds every ratio ρ for which that of
    regained − ρ·forgotten includes 0 (Fieller 1954, JRSS B 16, 175-185), so that it stays honest
    where the denominator is small.
    """

    mitigated: MitigatedChain
    task: str
    position: int
    items: int
    clusters: int
    unscored: int = Field(ge=0, description="items left out: not scored under all three models")
    before: Measured = Field(description="Acc_A")
    plain: Measured = Field(description="Acc_AB")
    after: Measured = Field(description="Acc_M")
    forgotten: Measured
    regained: Measured
    recovery: Measured
    remaining: Measured = Field(description="Acc_A − Acc_M: forgetting under the mitigation")
    groups: tuple[GroupRecovery, ...]
    worst_group: str | None = Field(
        description="the judged group of the largest biased forgetting, if any"
    )
    worst_biased: Measured
    plain_worst_biased: Measured = Field(description="that at the end of the plain chain")
    prices: tuple[Price, ...]
    front: Literal["on", "off"] | None = Field(
        default=None,
        description="on the Pareto front of remaining forgetting, worst biased forgetting, largest "
        "price and extra tokens, by the values alone, among the plain chain and all rows of the "
        "same task, position and plain chain; null where one of the four is undefined",
    )
