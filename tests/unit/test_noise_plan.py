"""The stages that measure the noise floor."""

from typing import Any

import pytest
from unit.test_plan import TASKS, facts, spec

from forgetscope.core.plan import build_plan
from forgetscope.schema.errors import InvalidSpec, PlanTooLarge, UnknownName
from forgetscope.schema.plan import Plan, PlannedStage

BOTH = frozenset({"transformers", "vllm"})


def noise_of(plan: Plan) -> list[PlannedStage]:
    return [s for s in plan.stages if s.kind == "noise_floor"]


def asking(**evaluation: Any) -> Any:
    return spec(evaluation=evaluation)


def test_each_task_is_measured_once_on_the_base_model_on_its_evaluation_data() -> None:
    plan = build_plan(spec(chains=[["s1", "c1"], ["c1", "s1"]], seeds=[0, 1]), facts())
    found = noise_of(plan)
    assert [s.label.task for s in found] == [*TASKS]
    by_key = {s.key: s for s in plan.stages}
    for stage in found:
        assert stage.queue == "evaluate"
        assert (stage.label.chain, stage.label.seed) == ((), None)
        assert set(stage.inputs) == {"base", "data"}
        data = by_key[stage.inputs["data"]]
        assert (data.params["split"], data.label.task) == ("evaluation", stage.label.task)


def test_without_a_base_model_the_first_trained_one_is_measured() -> None:
    plan = build_plan(asking(base_model=False), facts())
    first = next(s for s in plan.stages if s.kind == "train")
    assert {s.inputs["checkpoint"] for s in noise_of(plan)} == {first.key}
    assert {s.label.chain for s in noise_of(plan)} == {("s1",)}


def test_the_analysis_is_told_of_every_measured_floor() -> None:
    plan = build_plan(spec(), facts())
    (analysis,) = [s for s in plan.stages if s.kind == "analyse"]
    told: Any = analysis.params["noise"]
    assert {use["task"]: analysis.inputs[use["role"]] for use in told} == {
        s.label.task: s.key for s in noise_of(plan)
    }


def test_no_more_items_than_there_are_and_the_work_counts_every_scoring() -> None:
    for asked, items in ((10, 10), (256, 100)):
        for stage in noise_of(build_plan(asking(noise_floor={"items": asked}), facts())):
            assert (stage.params["items"], stage.tokens) == (items, 4 * items * 10)


def test_it_can_be_left_out_and_then_nothing_else_but_the_analysis_changes() -> None:
    with_it, without = (
        build_plan(s, facts()) for s in (spec(), asking(noise_floor=None, base_model=True))
    )
    assert noise_of(without) == []
    same = {s.key for s in with_it.stages} & {s.key for s in without.stages}
    assert {s.kind for s in without.stages if s.key not in same} == {"analyse", "report"}


def test_the_other_engine_is_asked_only_on_request() -> None:
    values = facts(engines=BOTH)
    assert {s.params["other_engine"] for s in noise_of(build_plan(spec(), values))} == {None}
    found = noise_of(build_plan(asking(noise_floor={"other_engine": True}), values))
    assert {(s.params["engine"], s.params["other_engine"]) for s in found} == {
        ("transformers", "vllm")
    }
    turned = asking(engine="vllm", noise_floor={"other_engine": True})
    assert {s.params["other_engine"] for s in noise_of(build_plan(turned, values))} == {
        "transformers"
    }


@pytest.mark.parametrize(
    ("changes", "error"),
    [({}, UnknownName), ({"engines": BOTH, "model_head_size": 8}, InvalidSpec)],
)
def test_another_engine_that_cannot_run_the_model_is_refused_where_it_was_asked_for(
    changes: dict[str, Any], error: type[InvalidSpec] | type[UnknownName]
) -> None:
    with pytest.raises(error) as caught:
        build_plan(asking(noise_floor={"other_engine": True}), facts(**changes))
    assert caught.value.where == "/evaluation/noise_floor/other_engine"


def test_noise_stages_count_against_the_limit() -> None:
    tasks, chains = ["s1", "c1"], [["s1", "c1"]]
    without = {"noise_floor": None}
    # 2 trainings, 6 evaluations, 4 data sets, and 4 more.
    build_plan(spec(tasks=tasks, chains=chains, evaluation=without), facts(max_stages=16))
    with pytest.raises(PlanTooLarge, match="18 stages"):
        build_plan(spec(tasks=tasks, chains=chains), facts(max_stages=17))
