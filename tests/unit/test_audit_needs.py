"""The size that would decide an underpowered number."""

from forgetscope.core.audit_needs import Observed, need_of
from forgetscope.core.inference.power_needs import Question
from forgetscope.schema.audit import PowerNeed

QUESTION = Question(0.05, "non-inferiority", min_items=30, min_clusters=5)


def need(of: Observed, rest: Observed | None = None, error: float | None = None) -> PowerNeed:
    drawn = len(of.sizes) + (0 if rest is None else len(rest.sizes))
    return need_of(of, rest, drawn=drawn, error=error, question=QUESTION, tail=0.025)


def test_nothing_is_said_of_a_group_without_items() -> None:
    assert need(Observed((), 0, 0)).items is None


def test_items_that_change_together_need_more_clusters() -> None:
    sizes = (4,) * 25
    independent = need(Observed(sizes, 4, 2), error=0.0237)
    alike = need(Observed(sizes, 4, 2), error=0.047)
    assert independent.clusters is not None and alike.clusters is not None
    assert 25 < independent.clusters < alike.clusters
    assert independent.items == 4 * independent.clusters


def test_a_group_below_the_smallest_size_needs_at_least_that() -> None:
    found = need(Observed((1,) * 8, 7, 0))
    assert found.items is not None and found.items >= 30


def test_equal_outcomes_need_little_more_than_the_exact_bound_of_independent_items() -> None:
    alone = need(Observed((1,) * 20, 0, 0)).clusters
    assert alone is not None and 72 <= alone <= 78  # 1 − 0.025^(1/72) < 0.05
    beyond = need(Observed((1,) * 20, 0, 0), Observed((1,) * 100, 0, 0)).clusters
    assert beyond is not None and beyond > alone


def test_no_size_decides_what_lies_at_the_margin() -> None:
    found = need(Observed((1,) * 100, 5, 0))
    assert found.items is None and "margin itself" in found.reason


def test_a_group_that_changed_all_alike_tells_nothing_to_plan_with() -> None:
    assert need(Observed((1,) * 10, 10, 0)).items is None
