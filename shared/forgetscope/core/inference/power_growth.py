"""What a larger task would take: more templates of every group at once, with more seeds.

`power_needs` grows one thing at a time and leaves the rest of the task as it is. That may never be
enough: the task that a group is compared with is uncertain, too, and so is what differs from seed
to seed.
"""

from typing import NamedTuple

import numpy as np

from forgetscope.core.inference.power_model import Plan, Runs, claim_power, effect_of, error_of
from forgetscope.core.inference.power_needs import Question, obstacle

__all__ = ["Growth", "clusters_needed", "growth"]

_LARGEST_FACTOR = 1000
_SEEDS = (1, 2, 3, 5, 10, 20, 50, 100)


class Growth(NamedTuple):
    """Clusters of the group, with all others grown in the same measure, and training runs."""

    clusters: int
    seeds: int


def growth(plan: Plan, question: Question, runs: Runs, tail: float) -> Growth | None:
    """The cheapest growth with the target power, by clusters times seeds; None where none is.

    Seeds are those of the design and the usual steps above it; clusters keep their sizes and are
    searched up to 1000 times the present ones.

    Args:
        plan: a group, with the rest of its task.
        question: what is to be shown.
        runs: seeds and correlations.
        tail: error rate of one side after the correction.
    """
    if plan.expected.variance <= 0 or abs(effect_of(plan)) == question.margin:
        return None
    found = []
    for seeds in sorted({runs.seeds, *(s for s in _SEEDS if s > runs.seeds)}):
        clusters = clusters_needed(plan, question, runs._replace(seeds=seeds), tail)
        if clusters is not None:
            found.append(Growth(clusters, seeds))
    return min(found, key=lambda one: (one.clusters * one.seeds, one.seeds), default=None)


def clusters_needed(plan: Plan, question: Question, runs: Runs, tail: float) -> int | None:
    """As `growth`, with the seeds as they are: the clusters of the group."""
    present = len(plan.sample.cluster_sizes)

    def enough(clusters: int) -> bool:
        grown = _grown(plan, clusters / present)
        return obstacle(grown, question, runs) is None and (
            claim_power(
                effect_of(grown),
                error_of(grown, runs),
                margin=question.margin,
                tail=tail,
                test=question.test,
            )
            >= question.target_power
        )

    most = _LARGEST_FACTOR * present
    if not enough(most):
        return None
    # Power grows with the clusters: halve what is left on a scale of ratios, then of numbers.
    low, high = 0, most
    while high - low > 1:
        middle = int(np.sqrt(max(1, low) * high)) if high > 4 * max(1, low) else (low + high) // 2
        middle = min(max(middle, low + 1), high - 1)
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _grown(plan: Plan, factor: float) -> Plan:
    rest = plan.rest
    return plan._replace(
        sample=plan.sample._replace(copies=factor),
        rest=None if rest is None else (rest[0]._replace(copies=factor), rest[1]),
    )
