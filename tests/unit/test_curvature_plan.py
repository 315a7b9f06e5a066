"""Which stages of curvature an experiment means."""

from typing import Any

import pytest

from forgetscope.core.curvature_plan import expected_products, lanczos_steps
from forgetscope.core.plan import build_plan
from forgetscope.schema.curvature import CurvatureSpec
from forgetscope.schema.errors import InvalidSpec, PlanTooLarge
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import Plan, PlannedStage
from tests.unit.test_plan import facts, of_kind

PAIRS: dict[str, Any] = {"chains": [["s1", "c1"], ["c1", "s1"], ["s1", "c2"]]}
LORA: dict[str, Any] = {"training": {"method": "lora"}}


def plan(curvature: dict[str, Any] | None = None, **fields: Any) -> Plan:
    asked = {"curvature": {} if curvature is None else curvature}
    tasks = ["s1", "s2", "c1", "c2"]
    spec = {"tasks": tasks} | PAIRS | asked | fields
    return build_plan(ExperimentSpec.model_validate(spec), facts())


def stages(found: Plan, kind: str) -> list[PlannedStage]:
    return [s for s in found.stages if s.kind == kind]


def test_curvature_is_off_unless_it_is_asked_for() -> None:
    spec = ExperimentSpec.model_validate({"tasks": ["s1", "c1"], "chains": [["s1", "c1"]]})
    assert spec.curvature is None
    assert not of_kind(build_plan(spec, facts()), "curvature")


def test_every_model_that_a_stage_follows_is_looked_at_once_and_every_way_from_it() -> None:
    found = plan(seeds=[0, 1])
    curves, ways = stages(found, "curvature"), stages(found, "displacement")
    assert [s.label.chain for s in curves] == [("s1",), ("c1",)] * 2
    assert [s.label.chain for s in ways] == [("s1", "c1"), ("c1", "s1"), ("s1", "c2")] * 2
    trainings = {s.key: s for s in stages(found, "train")}
    for stage in (*curves, *ways):
        assert stage.queue == "analyse"
        before = trainings[stage.inputs["checkpoint"]]
        assert before.inputs["data"] == stage.inputs["data"]
        assert before.label.seed == stage.label.seed
    for stage in ways:
        assert trainings[stage.inputs["later"]].label.chain == stage.label.chain
    (analysis,) = stages(found, "analyse")
    keys = {s.key for s in (*curves, *ways)}
    assert keys == {k for r, k in analysis.inputs.items() if r[:5] in ("curva", "displ")}


def test_a_task_in_the_middle_of_a_chain_is_looked_at_where_it_ended() -> None:
    found = plan(chains=[["s1", "c1", "s2"]])
    assert [s.label.chain for s in stages(found, "curvature")] == [("s1",), ("s1", "c1")]
    first, second = stages(found, "displacement")
    assert (first.label.task, second.label.task) == ("s1", "c1")
    assert first.inputs["later"] == second.inputs["later"]
    assert first.label.title != second.label.title


def test_displacement_can_be_left_out() -> None:
    assert not of_kind(plan({"displacement": False}), "displacement")


def test_asking_for_curvature_changes_no_training_and_no_score() -> None:
    one, two = plan(), plan({"examples": 32, "trace": True})
    plain = build_plan(
        ExperimentSpec.model_validate({"tasks": ["s1", "s2", "c1", "c2"]} | PAIRS), facts()
    )
    for kind in ("train", "evaluate"):
        assert of_kind(one, kind) == of_kind(two, kind) == of_kind(plain, kind)
    assert set(of_kind(one, "curvature")).isdisjoint(of_kind(two, "curvature"))


def test_the_products_of_a_trace_are_part_of_the_key_where_a_trace_is_asked_for() -> None:
    def keys(**asked: Any) -> set[str]:
        return set(of_kind(plan(asked), "curvature"))

    assert keys() == keys(trace_products=60)
    assert keys(trace=True) == keys(trace=True, trace_products=30)
    assert keys(trace=True).isdisjoint(keys(trace=True, trace_products=60))
    more, fewer = (CurvatureSpec(trace=True, trace_products=n) for n in (60, 30))
    assert expected_products(more, 1000) == expected_products(fewer, 1000) + 30


@pytest.mark.parametrize("products", [5, 3001])
def test_a_trace_takes_enough_products_for_an_error_and_not_endlessly_many(products: int) -> None:
    with pytest.raises(ValueError, match="trace_products"):
        CurvatureSpec(trace_products=products)


@pytest.mark.parametrize(
    ("fields", "asked", "kind", "names"),
    [
        ({}, "trained", "all", None),
        (LORA, "trained", "factors", ["all-linear"]),
        (LORA, "targets", "targets", ["all-linear"]),
        ({}, ["model.norm"], "prefixes", ["model.norm"]),
    ],
)
def test_the_parameters_follow_from_the_method(
    fields: dict[str, Any], asked: Any, kind: str, names: list[str] | None
) -> None:
    found = plan({"parameters": asked}, **fields)
    for stage in (*stages(found, "curvature"), *stages(found, "displacement")):
        subset = stage.params["subset"]
        assert isinstance(subset, dict)
        assert (subset["kind"], subset.get("names")) == (kind, names)


def test_a_way_on_which_all_weights_move_is_about_all_weights() -> None:
    override = {"task": "c1", "values": {"method": "full"}}
    found = plan(training={"method": "lora", "overrides": [override]}, chains=[["s1", "c1"]])
    (curve,), (way,) = stages(found, "curvature"), stages(found, "displacement")
    assert curve.params["subset"] == {"kind": "factors", "names": ["all-linear"]}
    assert way.params["subset"] == {"kind": "all"}


def test_targets_without_lora_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="only LoRA has target modules"):
        plan({"parameters": "targets"})


def test_more_examples_than_there_are_is_refused_before_anything_runs() -> None:
    tasks = [{"name": n, "train_examples": 100} for n in ("s1", "c1", "c2", "s2")]
    plan({"examples": 50, "subsets": 2}, tasks=tasks)
    with pytest.raises(InvalidSpec, match="3 × 50 examples of s1, which trains on 100"):
        plan({"examples": 50, "subsets": 3}, tasks=tasks)


def test_differences_of_gradients_need_float32() -> None:
    with pytest.raises(ValueError, match="cannot hold the step"):
        CurvatureSpec(product="finite_differences", dtype="bfloat16")


def test_the_limit_of_stages_counts_curvature() -> None:
    spec = ExperimentSpec.model_validate({"tasks": ["s1", "c1", "c2"], "curvature": {}} | PAIRS)
    whole = len(build_plan(spec, facts()).stages)
    without = len(build_plan(spec.model_copy(update={"curvature": None}), facts()).stages)
    assert whole == without + 5
    with pytest.raises(PlanTooLarge):
        build_plan(spec, facts(max_stages=without))


def test_work_is_counted_in_tokens_through_the_model() -> None:
    small, large = (stages(plan({"examples": n}), "curvature")[0].tokens for n in (8, 16))
    assert large == pytest.approx(2 * small, rel=1e-3)
    # 8 examples of 10 tokens; 9 passes a product, 18 for the gradients of the check.
    products = expected_products(CurvatureSpec(examples=8), 1000)
    assert small == pytest.approx(8 * 10 * (9 * products + 18), rel=1e-3)
    factors = stages(plan({"examples": 8}, **LORA), "curvature")[0].tokens
    assert factors < small / 2


def test_the_steps_are_those_after_which_the_solver_is_content() -> None:
    assert lanczos_steps(4_200_000) == 25
    assert lanczos_steps(6_740_000_000) == 31
    assert lanczos_steps(3) == 3
    assert expected_products(CurvatureSpec(max_iterations=5), 10**6) == 3 + 5 + 2
