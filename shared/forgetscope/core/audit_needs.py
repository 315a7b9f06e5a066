"""The size that would decide an underpowered number, if items go on to change as observed. Pure."""

import math
from typing import NamedTuple

import numpy as np

from forgetscope.core.inference.constant import half_width
from forgetscope.core.inference.power_growth import clusters_needed
from forgetscope.core.inference.power_model import Expected, Plan, Runs, Sample, effect_of
from forgetscope.core.inference.power_needs import Question
from forgetscope.schema.audit import PowerNeed

__all__ = ["Observed", "need_of"]


class Observed(NamedTuple):
    """What an audit saw of a group, or of a task."""

    sizes: tuple[int, ...]
    """items of each cluster, of those scored under both models"""
    lost: int
    gained: int

    @property
    def items(self) -> int:
        return sum(self.sizes)


def need_of(
    of: Observed,
    rest: Observed | None,
    *,
    drawn: int,
    error: float | None,
    question: Question,
    tail: float,
) -> PowerNeed:
    """The clusters of the present sizes with which the right verdict has the target power.

    Group and rest of the task grow in the same measure.

    Args:
        of: the group or the task.
        rest: the other items of the task, where the number is the group's loss beyond the task's.
        drawn: clusters of the task as a whole.
        error: standard error of the loss of `of` by the bootstrap over clusters, which tells how
            alike the items of a cluster change; None where it is not known.
        question: margin, power, and the smallest size that is judged.
        tail: error rate of one side of this number within its family.
    """
    if not of.items:
        return _none("no item of it was scored under both models, so nothing is known of it")
    if not of.lost + of.gained and (rest is None or not rest.lost + rest.gained):
        return _unchanged(of, rest, question, drawn=drawn, tail=tail)
    plan = Plan(
        "",
        Sample(of.sizes),
        _expected(of),
        None if rest is None or not rest.items else (Sample(rest.sizes), _expected(rest)),
    )
    if effect_of(plan) == question.margin:
        return _none("what was observed is the margin itself, where no size would decide")
    if plan.expected.variance <= 0:
        return _none("the items of the group changed all alike, which tells nothing to plan with")
    runs = Runs(seeds=1, icc=_icc(of, error), seed_correlation=1.0, seed_sd=0.0)
    found = clusters_needed(plan, question, runs, tail)
    if found is None:
        return _none(
            "what was observed lies so close to the margin that not even 1000 times the clusters "
            "would decide"
        )
    return _sized(of, found, "if items change as in this audit")


def _unchanged(
    of: Observed, rest: Observed | None, question: Question, *, drawn: int, tail: float
) -> PowerNeed:
    present = len(of.sizes)
    whole = of.items + (0 if rest is None else rest.items)

    def enough(clusters: int) -> bool:
        factor = clusters / present
        items, all_clusters = of.items * factor, max(clusters, round(drawn * factor))
        if items < question.min_items or clusters < max(2, question.min_clusters):
            return False
        if rest is None:
            return half_width(items, clusters, all_clusters, tail) < question.margin
        half = half_width(items, clusters, all_clusters, tail / 2)
        half += half_width(whole * factor, all_clusters, all_clusters, tail / 2)
        return half < question.margin

    low, high = 0, 1
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return _sized(of, high, "if again no item changes")


def _sized(of: Observed, clusters: int, reason: str) -> PowerNeed:
    items = math.ceil(clusters * of.items / len(of.sizes))
    return PowerNeed(items=items, clusters=clusters, reason=reason)


def _none(reason: str) -> PowerNeed:
    return PowerNeed(items=None, clusters=None, reason=reason)


def _expected(of: Observed) -> Expected:
    return Expected(of.lost / of.items, of.gained / of.items)


def _icc(of: Observed, error: float | None) -> float:
    """The correlation within clusters that explains the standard error (`power_model`).

    1, the most careful one, where a single cluster, or no standard error, tells nothing.
    """
    m = np.asarray(of.sizes, dtype=np.float64)
    excess = float((m**2).sum() / m.sum() - 1)
    variance = _expected(of).variance
    if excess <= 0:
        return 0.0
    if m.size < 2 or error is None or variance <= 0:
        return 1.0
    design_effect = error**2 * m.size / (m.size - 1) * of.items / variance
    return float(np.clip((design_effect - 1) / excess, 0.0, 1.0))
