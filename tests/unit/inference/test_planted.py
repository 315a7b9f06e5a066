"""Planted biased forgetting, from outcomes to verdict: found as often as planned, and not invented.

Four groups of 40 templates with 5 items; the shares of lost and gained items vary between
templates (Dirichlet-multinomial).
"""

from functools import partial

import numpy as np
import pytest

from forgetscope.core import statistics
from forgetscope.core.groups import arrange
from forgetscope.core.inference.multiplicity import GroupStatistic, Simultaneous, max_t
from forgetscope.core.inference.power import plan_power
from forgetscope.core.inference.power_model import Expected, Plan, Runs, Sample
from forgetscope.core.inference.power_needs import Question
from forgetscope.core.inference.verdicts import judge
from forgetscope.core.statistics import Comparison
from forgetscope.schema.results import Measured

GROUPS, TEMPLATES, ITEMS, ICC = 4, 40, 5, 0.1
ARRANGED = arrange(
    [(f"g{g}",) for g in range(GROUPS) for _ in range(TEMPLATES * ITEMS)],
    [f"{g}-{t}" for g in range(GROUPS) for t in range(TEMPLATES) for _ in range(ITEMS)],
)
evaluate = partial(statistics.evaluate, chance=0.0, judged=range(GROUPS))


def study(rng: np.random.Generator, expected: list[Expected]) -> Comparison:
    """Outcomes of one run before and after; unchanged items are right."""
    share = np.array([[e.gained, 1 - e.lost - e.gained, e.lost] for e in expected])
    chances = np.concatenate([rng.dirichlet(s * (1 / ICC - 1), size=TEMPLATES) for s in share])
    limits = np.repeat(chances.cumsum(axis=1), ITEMS, axis=0)
    u = rng.random(len(limits))
    gained, lost = u < limits[:, 0], u >= limits[:, 1]
    before, after = np.where(gained, 0.0, 1.0), np.where(lost, 0.0, 1.0)
    return statistics.compare(ARRANGED, before[None, None], after[None], initial=0)


def simultaneous(rng: np.random.Generator, data: Comparison) -> Simultaneous:
    ones = np.ones((1, ARRANGED.clusters)), np.ones((1, 1))
    point = evaluate(data, *ones).biased[:, 0]
    drawn = statistics.bootstrap(
        [data], rng, np.ones((400, 1)), chance=0.0, judged=[range(GROUPS)]
    )[0].items.biased
    family = [
        GroupStatistic(name, Measured(value=float(value)), replicates, TEMPLATES)
        for name, value, replicates in zip(ARRANGED.groups, point, drawn, strict=True)
    ]
    return max_t(family, drawn=ARRANGED.clusters, confidence=0.95)


def test_biased_forgetting_is_found_as_often_as_planned() -> None:
    rng, margin = np.random.default_rng(1), 0.02
    hit, others = Expected(0.22, 0.04), Expected(0.09, 0.04)
    breaches = np.zeros(GROUPS)
    for _ in range(800):
        found = simultaneous(rng, study(rng, [hit] + [others] * 3))
        for g, group in enumerate(found.groups.values()):
            verdict = judge(group.interval, margin, test="non-inferiority", noise_floor=None)
            breaches[g] += verdict.verdict == "breach"
    own, rest = Sample((ITEMS,) * TEMPLATES), Sample((ITEMS,) * TEMPLATES * 3)
    plans = [Plan(f"g{g}", own, hit, (rest, others)) for g in range(GROUPS)]
    planned = plan_power(plans, Question(margin, "non-inferiority"), Runs(1, ICC, 1.0, 0.0))
    assert planned.groups[0].claim == "breach"
    assert planned.groups[0].power.value == pytest.approx(breaches[0] / 800, abs=0.03)
    assert breaches[1:].sum() == 0


def test_none_is_found_where_none_is() -> None:
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(400):
        found = simultaneous(rng, study(rng, [Expected(0.15, 0.05)] * GROUPS))
        alarms += any(g.p_step_down <= 0.05 for g in found.groups.values())
    # A share of 0.05 has a standard error of 0.011.
    assert alarms / 400 <= 0.08


def test_the_simultaneous_intervals_keep_the_sum_rule_of_their_centres() -> None:
    rng = np.random.default_rng(3)
    found = simultaneous(rng, study(rng, [Expected(0.3, 0.1), *[Expected(0.1, 0.05)] * 3]))
    values = [g.interval.value for g in found.groups.values()]
    assert len(values) == GROUPS
    assert sum(v for v in values if v is not None) == pytest.approx(0, abs=1e-12)
