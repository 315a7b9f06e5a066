from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgetscope.core.plan import Facts, TaskFacts, build_plan
from forgetscope.core.training import resolve_training
from forgetscope.schema.errors import InvalidSpec, PlanTooLarge, UnknownName
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import Plan

SAFETY = ("s1", "s2", "s3")
CAPABILITY = ("c1", "c2", "c3")
TASKS = SAFETY + CAPABILITY


def facts(**changes: Any) -> Facts:
    tasks = {
        task: TaskFacts(
            name=task,
            version=1,
            kind="safety" if task in SAFETY else "capability",
            chance=0.5,
            params={"of": task},
            fingerprint=f"data of {task}",
            evaluation_examples=100,
            tokens_per_example=10.0,
        )
        for task in TASKS
    }
    values: dict[str, Any] = {
        "model_fingerprint": "model",
        "model_parameters": 1000,
        "model_head_size": 32,
        "model_note": None,
        "tasks": tasks,
        "accelerator": "cpu",
        "engines": frozenset({"transformers"}),
        "max_stages": 2000,
    }
    return Facts(**(values | changes))


def spec(**fields: Any) -> ExperimentSpec:
    return ExperimentSpec.model_validate({"tasks": TASKS, "chains": [["s1", "c1"]]} | fields)


def of_kind(plan: Plan, kind: str) -> list[str]:
    return [s.key for s in plan.stages if s.kind == kind]


def test_all_ordered_pairs_of_six_tasks_are_36_trainings_not_60() -> None:
    plan = build_plan(spec(chains={"generate": "all_ordered_pairs"}), facts())
    assert len(of_kind(plan, "train")) == 36
    assert plan.naive_trainings == 60


def test_three_by_three_pairs_in_both_orders_are_18_chains_over_6_first_stages() -> None:
    plan = build_plan(spec(chains={"generate": "safety_capability_pairs"}), facts())
    assert len(of_kind(plan, "train")) == 6 + 18
    assert plan.naive_trainings == 36


def test_prefixes_are_shared_across_experiments() -> None:
    one = build_plan(spec(chains=[["s1", "c1"]]), facts())
    two = build_plan(spec(chains=[["s1", "c2"]]), facts())
    assert len(set(of_kind(one, "train")) & set(of_kind(two, "train"))) == 1


def test_a_task_may_come_twice_in_a_chain() -> None:
    plan = build_plan(spec(chains=[["s1", "c1", "s1"]]), facts())
    assert len(of_kind(plan, "train")) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"training": {"learning_rate": 0.5}},
        {"training": {"method": "lora"}},
        {"training": {"dtype": "bfloat16"}},
        {"training": {"attention": "eager"}},
        {"training": {"max_length": 64}},
        {"seeds": [1]},
        {"model": {"source": "builtin", "name": "other"}},
    ],
)
def test_whatever_changes_a_training_changes_its_key(change: dict[str, Any]) -> None:
    before = of_kind(build_plan(spec(), facts()), "train")
    after = of_kind(build_plan(spec(**change), facts()), "train")
    assert set(before).isdisjoint(after)


def test_names_and_analysis_do_not_change_a_training() -> None:
    plain = build_plan(spec(), facts())
    other = build_plan(spec(name="other", analysis={"confidence": 0.9}), facts())
    assert of_kind(plain, "train") == of_kind(other, "train")
    assert of_kind(plain, "evaluate") == of_kind(other, "evaluate")
    assert of_kind(plain, "analyse") != of_kind(other, "analyse")


@pytest.mark.parametrize("field", ["version", "fingerprint", "params"])
def test_other_data_means_another_stage(field: str) -> None:
    values: dict[str, Any] = {"version": 2, "fingerprint": "other", "params": {"of": "other"}}
    changed = facts()
    tasks = dict(changed.tasks) | {"s1": changed.tasks["s1"]._replace(**{field: values[field]})}
    before = of_kind(build_plan(spec(), facts()), "train")
    after = of_kind(build_plan(spec(), changed._replace(tasks=tasks)), "train")
    assert set(before).isdisjoint(after)


def test_an_override_changes_its_stage_and_those_after_it_only() -> None:
    chains = [["s1", "c1", "s2"]]
    plain = of_kind(build_plan(spec(chains=chains), facts()), "train")
    override = {"position": 2, "values": {"learning_rate": 0.1}}
    changed = of_kind(
        build_plan(spec(chains=chains, training={"overrides": [override]}), facts()), "train"
    )
    assert [a == b for a, b in zip(plain, changed, strict=True)] == [True, False, False]


def test_training_defaults_are_those_of_the_method() -> None:
    training = spec().training
    values = resolve_training(training, "s1", 1)
    assert (values["learning_rate"], values["batch_size"], values["epochs"]) == (1e-5, 32, 3.0)
    lora = spec(training={"method": "lora"}).training
    assert resolve_training(lora, "s1", 1)["learning_rate"] == 1e-4


def test_an_unknown_method_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="lora"):
        build_plan(spec(training={"method": "lorra"}), facts())


def test_a_wrong_method_parameter_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="rank"):
        build_plan(spec(training={"method": {"name": "lora", "params": {"rank": 0}}}), facts())


def test_an_explosion_is_refused_with_its_count() -> None:
    with pytest.raises(PlanTooLarge, match=r"\d+ stages; the limit is 50"):
        build_plan(spec(chains={"generate": "all_ordered_pairs"}), facts(max_stages=50))


def test_the_engine_is_chosen_when_the_plan_is_made_and_is_part_of_the_key() -> None:
    both = frozenset({"transformers", "vllm"})
    small = build_plan(spec(), facts(engines=both))
    large = build_plan(spec(), facts(engines=both, model_parameters=7 * 10**9))
    odd = build_plan(spec(), facts(engines=both, model_parameters=7 * 10**9, model_head_size=8))
    assert (small.engine, large.engine, odd.engine) == ("transformers", "vllm", "transformers")
    assert set(of_kind(small, "evaluate")).isdisjoint(of_kind(large, "evaluate"))
    assert of_kind(small, "train") == of_kind(large, "train")


def test_pairs_need_both_kinds() -> None:
    with pytest.raises(InvalidSpec, match="both kinds"):
        build_plan(
            spec(tasks=["s1", "s2"], chains={"generate": "safety_capability_pairs"}), facts()
        )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"chains": []}, "at least one chain"),
        ({"chains": [[]]}, "at least 1"),
        ({"chains": [["s1"], ["s1"]]}, "more than once"),
        ({"tasks": ["s1", "s1"]}, "more than once"),
        ({"seeds": [1, 1]}, "more than once"),
        ({"typo": 1}, "Extra inputs"),
        ({"name": "a\x00b"}, "pattern"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spec(**fields)


chains = st.lists(
    st.lists(st.sampled_from(TASKS), min_size=1, max_size=4).map(tuple),
    min_size=1,
    max_size=6,
    unique=True,
)


@settings(max_examples=50, deadline=None)
@given(chains, st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True))
def test_a_plan_is_a_dag_in_order_without_twins(
    chains: list[tuple[str, ...]], seeds: list[int]
) -> None:
    plan = build_plan(spec(chains=chains, seeds=seeds), facts())
    seen: set[str] = set()
    for stage in plan.stages:
        assert stage.key not in seen
        assert set(stage.inputs.values()) <= seen
        seen.add(stage.key)
    prefixes = {c[:i] for c in chains for i in range(1, len(c) + 1)}
    assert len(of_kind(plan, "train")) == len(prefixes) * len(seeds)
    assert len(of_kind(plan, "evaluate")) == (len(prefixes) * len(seeds) + 1) * len(TASKS)
    assert len(of_kind(plan, "analyse")) == len(of_kind(plan, "report")) == 1


@settings(max_examples=20, deadline=None)
@given(chains)
def test_planning_twice_gives_the_same_plan(chains: list[tuple[str, ...]]) -> None:
    assert build_plan(spec(chains=chains), facts()) == build_plan(spec(chains=chains), facts())


def test_the_texts_of_items_are_inputs_of_the_analysis_only_when_they_are_asked_for() -> None:
    plain, asked = (
        build_plan(spec(analysis={"show_texts": texts}), facts()) for texts in (False, True)
    )
    (analysis,) = (s for s in plain.stages if s.kind == "analyse")
    assert not any(role.startswith("data-") for role in analysis.inputs)
    (analysis,) = (s for s in asked.stages if s.kind == "analyse")
    titles = {s.key: s.label.title for s in asked.stages}
    roles = [titles[analysis.inputs[f"data-{i}"]] for i in range(len(TASKS))]
    assert roles == [f"{task} · evaluation data" for task in TASKS]


def test_other_examples_are_other_stages_all_the_way() -> None:
    known = facts()
    task = known.tasks[SAFETY[0]]
    other = known._replace(
        tasks={**known.tasks, SAFETY[0]: task._replace(examples={"train": "1" * 64})}
    )
    chains = [[SAFETY[0]]]
    first, second = (
        {s.label.title: s.key for s in build_plan(spec(tasks=[SAFETY[0]], chains=chains), f).stages}
        for f in (known, other)
    )
    moved = {title for title in first if first[title] != second[title]}
    assert f"{SAFETY[0]} · train data" in moved
    assert f"{SAFETY[0]} · evaluation data" not in moved
    assert any(title.startswith("train ") for title in moved)
    assert "base model" not in moved
