"""The power planner on counted and on stated sizes."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from forgetscope.app.power import plan_power
from forgetscope.app.power_sizes import Counted
from forgetscope.core.inference import power as core
from forgetscope.core.inference.power_model import Expected, Plan, Runs, Sample
from forgetscope.core.inference.power_needs import Question
from forgetscope.schema.example import FileSource, Row
from forgetscope.schema.power import GroupPower, PowerPlan, PowerRequest, Sizes


class NoRows:
    """Synthetic tasks read no file."""

    def read(self, source: FileSource) -> Iterator[Row]:
        raise AssertionError(source.path)


PLATFORM: Any = SimpleNamespace(rows=NoRows(), library=None)
TWO = {
    "id": "t",
    "groups": [{"group": "a", "items": 300, "clusters": 60}, {"group": "b", "items": 500}],
    "others": {"items": 200},
}
KNOWN = {
    "seeds": 2,
    "expected": {"lost": 0.2, "gained": 0.05},
    "icc": 0.1,
    "seed_correlation": 0.4,
    "seed_sd": 0.005,
}


def planned(**request: Any) -> PowerPlan:
    return plan_power(PLATFORM, PowerRequest.model_validate({"sizes": [TWO], **request}))


def group(plan: PowerPlan, name: str | None) -> GroupPower:
    return next(one for one in plan.tasks[0].groups if one.group == name)


def test_the_answer_is_that_of_the_core_on_the_same_sizes() -> None:
    found = planned(**KNOWN, effect=0.15, margins=[0.03])
    expected = Expected(0.2, 0.05)
    sizes = {"a": (5,) * 60, "b": (1,) * 500}
    plans = []
    for name, own in sizes.items():
        rest = tuple(s for other, of in sizes.items() if other != name for s in of) + (1,) * 200
        share = sum(rest) / (sum(rest) + sum(own))
        plans.append(
            Plan(
                name,
                Sample(own),
                Expected(0.05 + expected.forgetting + 0.15 / share, 0.05),
                (Sample(rest), expected),
            )
        )
    asked = core.plan_power(plans, Question(0.03, "non-inferiority"), Runs(2, 0.1, 0.4, 0.005))
    assert found.tasks[0].judged == asked.judged == 2
    assert found.tasks[0].error_rate == pytest.approx(asked.tail)
    for theirs in asked.groups:
        mine = group(found, theirs.name)
        assert (mine.items, mine.clusters, mine.claim) == (theirs.items, theirs.clusters, "breach")
        assert mine.effect.value == pytest.approx(0.15)
        assert theirs.power.value is not None
        assert mine.power.value == pytest.approx(theirs.power.value, abs=1e-9)
        assert mine.minimum_detectable.value == pytest.approx(theirs.minimum_detectable.value)


def test_examples_of_a_task_are_counted_as_an_experiment_samples_them() -> None:
    use = {"name": "synthetic_safety", "evaluation_examples": 160}
    found = plan_power(PLATFORM, PowerRequest.model_validate({"tasks": [use]}))
    assert found.tasks[0].items == 160
    assert sum(one.items for one in found.tasks[0].groups) == 160


def test_items_of_several_groups_count_in_each_and_in_no_rest_of_theirs() -> None:
    cells = {(("a", "b"), "1"): 3, (("a",), "1"): 2, ((), "2"): 4}
    task = Counted("t", cells, ())
    plan = task.plan("a", lambda _: Expected(0.1, 0.1), biased=True)
    assert plan.sample.cluster_sizes == (5,)
    assert plan.rest is not None
    assert plan.rest[0].cluster_sizes == (4,)
    other = task.plan("b", lambda _: Expected(0.1, 0.1), biased=True)
    assert other.rest is not None
    assert sorted(other.rest[0].cluster_sizes) == [2, 4]


def test_the_rest_is_expected_to_change_as_its_items_are() -> None:
    hit = {"lost": 0.5, "gained": 0.0}
    found = planned(**KNOWN, expected_of={"b": hit})
    # of a: the rest is 500 items of b with 0.5 and 200 others with 0.15
    rest = (500 * 0.5 + 200 * 0.15) / 700
    assert group(found, "a").effect.value == pytest.approx(0.7 * (0.15 - rest))
    assert group(found, "b").effect.value == pytest.approx(0.5 * (0.5 - 0.15))


def test_without_a_correction_each_group_has_the_whole_error_rate() -> None:
    together, alone = (planned(**KNOWN, effect=0.15, correction=c) for c in ("groups", "none"))
    assert together.tasks[0].error_rate == pytest.approx(0.0125)
    assert alone.tasks[0].error_rate == pytest.approx(0.025)
    assert group(alone, "a").power.value > group(together, "a").power.value  # type: ignore[operator]
    assert any("Not corrected" in caution for caution in alone.cautions)


def test_forgetting_is_planned_for_the_task_first_and_apart_from_its_groups() -> None:
    found = planned(**KNOWN, quantity="forgetting")
    assert [one.group for one in found.tasks[0].groups] == [None, "a", "b"]
    assert found.tasks[0].judged == 2
    assert group(found, None).items == 1000
    assert group(found, None).effect.value == pytest.approx(0.15)


def test_every_margin_is_planned_for() -> None:
    found = planned(margins=[0.05, 0.1])
    assert [task.margin for task in found.tasks] == [0.05, 0.1]


def test_what_nobody_gave_is_said_to_be_assumed_with_its_origin() -> None:
    found = planned(icc=0.3)
    by_name = {one.name: one for one in found.assumptions}
    assert not by_name["icc"].assumed
    assert by_name["lost"].assumed
    assert all(one.origin for one in found.assumptions)
    assert "icc" not in found.cautions[0]
    assert "lost 0.15" in found.cautions[0]


def test_a_group_of_few_templates_is_told_how_many_templates_would_do() -> None:
    small = {"id": "t", "groups": [{"group": "m", "items": 400, "clusters": 4}], "others": {
        "items": 1200, "clusters": 30}}  # fmt: skip
    found = group(planned(sizes=[small]), "m")
    assert found.verdict == "cannot be answered at this size"
    assert found.power.value is None
    assert "clusters (e.g. templates) of the same sizes instead of 4" in found.needed[0]


def test_a_group_that_is_the_whole_task_cannot_be_compared() -> None:
    one = {"id": "t", "groups": [{"group": "m", "items": 400}]}
    found = group(planned(sizes=[one]), "m")
    assert "nothing to compare it with" in found.reason
    assert group(planned(sizes=[one], quantity="forgetting"), "m").power.value is not None


def test_a_task_without_groups_has_no_biased_forgetting() -> None:
    found = planned(sizes=[{"id": "t", "others": {"items": 400}}])
    assert found.tasks[0].groups == ()
    assert any("not defined" in caution for caution in found.cautions)


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"sizes": [TWO, TWO]},
        {"sizes": [TWO], "effect": 0.05},
        {"sizes": [TWO], "expected": {"lost": 0.6, "gained": 0.6}},
        {"sizes": [{"id": "t", "groups": [{"group": "a", "items": 3, "clusters": 4}]}]},
        {"sizes": [{"id": "t", "groups": [{"group": "a"}]}]},
        {"sizes": [{"id": "t", "others": {"items": 6000}}]},
        {"sizes": [{"id": "t"}]},
    ],
)
def test_a_request_that_contradicts_itself_is_refused(request_: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PowerRequest.model_validate(request_)


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_items_are_spread_evenly(items: int, clusters: int) -> None:
    if clusters > items:
        return
    each = Sizes(items=items, clusters=clusters).each
    assert sum(each) == items
    assert len(each) == clusters
    assert max(each) - min(each) <= 1


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=12),
    st.lists(st.integers(1, 60), min_size=1, max_size=12),
    st.floats(0, 1),
    st.integers(1, 5),
    st.sampled_from(["forgetting", "biased_forgetting"]),
    st.sampled_from(["non-inferiority", "equivalence"]),
)
def test_every_number_is_a_number_or_has_a_reason(
    own: list[int], others: list[int], icc: float, seeds: int, quantity: str, test: str
) -> None:
    found = planned(
        sizes=[
            {
                "id": "t",
                "groups": [{"group": "a", "cluster_sizes": own}],
                "others": {"cluster_sizes": others},
            }
        ],
        icc=icc,
        seeds=seeds,
        quantity=quantity,
        test=test,
    )
    assert "NaN" not in found.model_dump_json()
    assert "Infinity" not in found.model_dump_json()
    for one in found.tasks[0].groups:
        assert (one.verdict == "answerable") == (one.power.value is not None and not one.needed)
        assert one.reason
