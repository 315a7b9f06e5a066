"""What a design could show at most, and what it would take to show the expected effect."""

from collections.abc import Callable
from typing import NamedTuple

from scipy import optimize

from forgetscope.core.inference.power_model import (
    Expected,
    Plan,
    Runs,
    effective_clusters,
)
from forgetscope.core.inference.verdicts import Test
from forgetscope.schema.results import Measured

__all__ = ["Needs", "Question", "limits", "needs_of", "obstacle"]

_LARGEST_FACTOR = 1000.0
"""Needs beyond this many times the present size are called out of reach [own choice]."""
_MOST_SEEDS = 100


class Question(NamedTuple):
    """What is to be shown of every group.

    `alpha` is the chance of any wrong claim among the groups, both sides together; each group and
    side gets alpha/(2·G) over the G groups that can be judged (Bonferroni, which max-T and Holm
    improve on a little). Groups below the smallest size are not judged (METHOD.md section 2).
    """

    margin: float
    test: Test
    alpha: float = 0.05
    target_power: float = 0.8
    noise_floor: float | None = None
    min_items: int = 30
    min_clusters: int = 5


class Needs(NamedTuple):
    """What would reach the target power for the expected effect, each by itself; whole numbers."""

    clusters: Measured
    """clusters of the same sizes"""
    items: Measured
    """items in the same clusters"""
    seeds: Measured
    """training runs on the same items"""


def obstacle(plan: Plan, question: Question, runs: Runs) -> str | None:
    """Why no test could be believed, whatever its power."""
    samples = [("", plan.sample)]
    if plan.rest is not None:
        samples.append(("the rest of the task has ", plan.rest[0]))
    for whose, sample in samples:
        if sample.clusters < question.min_clusters:
            few = f"{whose}{sample.clusters:.0f} clusters; fewer than {question.min_clusters}"
            return f"{few} do not tell how much clusters differ, however many items they hold"
        if sample.items < question.min_items:
            return f"{whose}{sample.items:.0f} items; at least {question.min_items} are needed"
        if effective_clusters(sample, runs.icc) < 2:
            return f"{whose}one cluster that holds nearly all items"
    if plan.expected.variance <= 0:
        return "no item of the group is expected to change, so there is no variation to plan with"
    return None


def limits(
    plan: Plan, question: Question, power: Callable[[Plan], float]
) -> tuple[Measured, Measured]:
    """(smallest effect that breaches, largest that passes), both with the target power."""
    margin, gained = question.margin, plan.expected.gained
    others = 0.0 if plan.rest is None else plan.rest[1].forgetting

    def excess(effect: float) -> float:
        lost = gained + effect / plan.scale + others
        return power(plan._replace(expected=Expected(lost, gained))) - question.target_power

    # lost lies between 0 and 1 − gained; the ends themselves have no variance at gained = 0.
    lowest = plan.scale * (-gained - others) + 1e-9
    highest = plan.scale * (1 - 2 * gained - others) - 1e-9
    if question.test == "equivalence":
        lowest = max(lowest, 0.0)
    detectable = Measured(reason="no effect is large enough to be shown at this size")
    if highest > margin and excess(highest) >= 0:
        root = optimize.brentq(excess, margin, highest)
        detectable = Measured(value=float(root))
    passing = Measured(reason="no effect is small enough to pass at this size")
    if lowest < margin and excess(lowest) >= 0:
        root = optimize.brentq(excess, lowest, margin)
        passing = Measured(value=float(root))
    return detectable, passing


def needs_of(
    plan: Plan,
    question: Question,
    runs: Runs,
    power: Callable[[Plan, Runs], float],
    *,
    at_margin: bool,
) -> Needs:
    if at_margin or plan.expected.variance <= 0:
        none = Measured(reason="no size would do for what is expected")
        return Needs(none, none, none)
    sample = plan.sample

    def enough(plan: Plan, runs: Runs) -> bool:
        return obstacle(plan, question, runs) is None and (
            power(plan, runs) >= question.target_power
        )

    clusters = _smallest(
        lambda n: enough(
            plan._replace(sample=sample._replace(copies=n / len(sample.cluster_sizes))), runs
        ),
        len(sample.cluster_sizes),
    )
    whole = sum(sample.cluster_sizes)
    items = _smallest(
        lambda n: enough(plan._replace(sample=sample._replace(stretch=n / whole)), runs), whole
    )
    seeds = next(
        (s for s in range(runs.seeds, _MOST_SEEDS + 1) if enough(plan, runs._replace(seeds=s))),
        None,
    )
    return Needs(
        clusters=_count(clusters, f"not even with {_LARGEST_FACTOR:.0f} times the clusters"),
        items=_count(items, "not in the same clusters, however many items they hold"),
        seeds=_count(seeds, f"not even with {_MOST_SEEDS} seeds on the same items"),
    )


def _count(number: int | None, reason: str) -> Measured:
    return Measured(reason=reason) if number is None else Measured(value=float(number))


def _smallest(enough: Callable[[int], bool], present: int) -> int | None:
    """The smallest number that is enough, not searched beyond `_LARGEST_FACTOR` times `present`."""
    high = max(1, present)
    while not enough(high):
        high *= 2
        if high > _LARGEST_FACTOR * present:
            return None
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
