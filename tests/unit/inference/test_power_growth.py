"""What is said to be enough is enough, and one cluster less is not."""

import pytest

from forgetscope.core.inference.power_growth import growth
from forgetscope.core.inference.power_model import (
    Expected,
    Plan,
    Runs,
    Sample,
    claim_power,
    effect_of,
    error_of,
)
from forgetscope.core.inference.power_needs import Question, obstacle

QUESTION = Question(0.05, "non-inferiority")
ALIKE = Expected(0.15, 0.05)
GROUP = Plan("g", Sample((40, 40)), ALIKE, (Sample((40,) * 6), ALIKE))
TAIL = 0.025


def power(plan: Plan, runs: Runs) -> float:
    return claim_power(
        effect_of(plan), error_of(plan, runs), margin=0.05, tail=TAIL, test=QUESTION.test
    )


def grown(clusters: int) -> Plan:
    """The design itself, written out: everything in the same measure."""
    factor = clusters / 2
    assert GROUP.rest is not None
    return GROUP._replace(
        sample=GROUP.sample._replace(copies=factor),
        rest=(GROUP.rest[0]._replace(copies=factor), ALIKE),
    )


@pytest.mark.parametrize("icc", [0.0, 0.05, 0.2])
def test_one_cluster_less_is_not_enough(icc: float) -> None:
    runs = Runs(1, icc, 1.0, 0.0)
    found = growth(GROUP, QUESTION, runs, TAIL)
    assert found is not None
    assert found.seeds == 1
    assert power(grown(found.clusters), runs) >= QUESTION.target_power
    less = grown(found.clusters - 1)
    assert obstacle(less, QUESTION, runs) or power(less, runs) < QUESTION.target_power


def test_growth_in_clusters_alone_equals_a_task_written_out() -> None:
    runs = Runs(1, 0.1, 1.0, 0.0)
    found = growth(GROUP, QUESTION, runs, TAIL)
    assert found is not None
    n = found.clusters - found.clusters % 2  # an even number of templates, three times as many else
    written = Plan("g", Sample((40,) * n), ALIKE, (Sample((40,) * 3 * n), ALIKE))
    assert power(written, runs) == pytest.approx(power(grown(n), runs))


def test_seeds_are_asked_for_where_runs_differ_so_much_that_clusters_cannot_do() -> None:
    runs = Runs(2, 0.1, 0.5, 0.05)
    found = growth(GROUP, QUESTION, runs, TAIL)
    assert found is not None
    assert found.seeds > 2
    assert power(grown(found.clusters), runs._replace(seeds=found.seeds)) >= 0.8


def test_nothing_is_enough_at_the_margin_itself_or_without_change() -> None:
    at_margin = Plan("g", Sample((4,) * 10), Expected(0.0625, 0.03125))
    half = Question(0.03125, "non-inferiority")
    assert growth(at_margin, half, Runs(1, 0.0, 1.0, 0.0), TAIL) is None
    still = Plan("g", Sample((4,) * 10), Expected(0.0, 0.0))
    assert growth(still, QUESTION, Runs(1, 0.0, 1.0, 0.0), TAIL) is None
