"""Power of a design before anything is trained: what it can show, and what it would take."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from forgetscope.core.inference.power_checks import check
from forgetscope.core.inference.power_model import (
    Plan,
    Runs,
    claim_power,
    effect_of,
    error_of,
)
from forgetscope.core.inference.power_needs import Needs, Question, limits, needs_of, obstacle
from forgetscope.schema.results import Measured

__all__ = ["GroupPower", "Outcome", "PowerPlan", "plan_power"]

Outcome = Literal["enough", "underpowered", "cannot be answered"]

_FEW_CHANGES = 10
"""Below this many items that change, the t approximation is called rough [own choice]."""


class GroupPower(NamedTuple):
    """What the design can say of one group; `helps` says what would help, in words."""

    name: str
    items: int
    clusters: int
    outcome: Outcome
    reason: str
    helps: tuple[str, ...]
    effect: float
    """expected forgetting, or biased forgetting"""
    claim: Literal["pass", "breach"]
    """the right verdict for that effect"""
    power: Measured
    """chance of that verdict"""
    minimum_detectable: Measured
    """smallest effect above the margin that is a breach with the target power"""
    largest_passing: Measured
    """largest effect below the margin that passes with the target power"""
    standard_error: Measured
    degrees: Measured
    needs: Needs
    cautions: tuple[str, ...]


class PowerPlan(NamedTuple):
    """`tail`: error rate of one side of one group after the correction."""

    groups: tuple[GroupPower, ...]
    judged: int
    tail: float


def plan_power(plans: Sequence[Plan], question: Question, runs: Runs) -> PowerPlan:
    """Power, detectable effects and needs of every group.

    The minimum detectable effect keeps `gained` and lets `lost` grow. See `power_model` for the
    formulas. Seeds and items are those of a design, nothing is drawn.

    Raises:
        InvalidInput: numbers that are no design, or a margin below the noise floor.
    """
    check(plans, question, runs)
    hindrances = [obstacle(plan, question, runs) for plan in plans]
    judged = sum(found is None for found in hindrances)
    groups = tuple(
        # A group that is not judged would join the family once it is large enough.
        _group(plan, question, runs, _tail(question, judged + (found is not None)), found)
        for plan, found in zip(plans, hindrances, strict=True)
    )
    return PowerPlan(groups, judged, _tail(question, max(1, judged)))


def _tail(question: Question, groups: int) -> float:
    return question.alpha / (2 * groups)


def _group(
    plan: Plan, question: Question, runs: Runs, tail: float, hindrance: str | None
) -> GroupPower:
    effect = effect_of(plan)
    size = abs(effect) if question.test == "equivalence" else effect
    at_margin = size == question.margin

    def power(plan: Plan, runs: Runs) -> float:
        return claim_power(
            effect_of(plan),
            error_of(plan, runs),
            margin=question.margin,
            tail=tail,
            test=question.test,
        )

    if hindrance is not None:
        none = Measured(reason=hindrance)
        chance = detectable = passing = error = degrees = none
        outcome: Outcome = "cannot be answered"
        reason = hindrance
    else:
        found = error_of(plan, runs)
        error = Measured(value=found.standard_error)
        degrees = Measured(value=found.degrees)
        detectable, passing = limits(plan, question, lambda p: power(p, runs))
        if at_margin:
            reason = "the expected effect is the margin itself, where no verdict is right"
            chance, outcome = Measured(reason=reason), "cannot be answered"
        else:
            value = power(plan, runs)
            chance = Measured(value=value)
            outcome = "enough" if value >= question.target_power else "underpowered"
            reason = f"power {value:.2f}, {question.target_power:.2f} asked"
    needs = needs_of(plan, question, runs, power, at_margin=at_margin)
    return GroupPower(
        name=plan.name,
        items=int(plan.sample.items),
        clusters=int(plan.sample.clusters),
        outcome=outcome,
        reason=reason,
        helps=() if outcome == "enough" else _helps(plan, needs, at_margin=at_margin),
        effect=effect,
        claim="pass" if size < question.margin else "breach",
        power=chance,
        minimum_detectable=detectable,
        largest_passing=passing,
        standard_error=error,
        degrees=degrees,
        needs=needs,
        cautions=_cautions(plan, runs),
    )


def _helps(plan: Plan, needs: Needs, *, at_margin: bool) -> tuple[str, ...]:
    if at_margin:
        return ("another margin",)
    have = plan.sample
    said = []
    if needs.clusters.value is not None:
        said.append(
            f"{needs.clusters.value:.0f} clusters (e.g. templates) of the same sizes instead of "
            f"{have.clusters:.0f}"
        )
    if needs.items.value is not None:
        said.append(f"{needs.items.value:.0f} items in the same clusters, not {have.items:.0f}")
    if needs.seeds.value is not None:
        said.append(f"{needs.seeds.value:.0f} seeds")
    return tuple(said) or ("none of these alone; a margin further from the expected effect",)


def _cautions(plan: Plan, runs: Runs) -> tuple[str, ...]:
    said = []
    changes = plan.sample.items * (plan.expected.lost + plan.expected.gained)
    if changes < _FEW_CHANGES:
        said.append(f"only {changes:.1f} items are expected to change: the power is rough")
    if runs.seeds == 1:
        said.append("one seed: the verdict will be about this run, not about the method")
    return tuple(said)
