"""The stages that steps mean: what is trained once, on what, and from where."""

from typing import Any

import pytest

from forgetscope.core.plan import build_plan
from forgetscope.schema.plan import Plan, PlannedStage
from tests.unit.test_plan import facts, spec

GRID = [0, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]
TAKEN = [23, 57, 113, 226, 565, 1130]  # of 2261, without none and all
CHAIN = ["s1", "c1", "r"]


def plan(steps: dict[str, Any], *chains: list[str], **fields: Any) -> Plan:
    return build_plan(spec(chains=chains or [CHAIN], steps=steps, **fields), facts())


def replay(**fields: Any) -> dict[str, Any]:
    return {"r": {"kind": "replay"} | fields}


def of_kind(found: Plan, kind: str) -> list[PlannedStage]:
    return [s for s in found.stages if s.kind == kind]


def named(found: Plan, title: str) -> PlannedStage:
    (stage,) = (s for s in found.stages if s.label.title == title)
    return stage


def replays(found: Plan) -> list[PlannedStage]:
    return [s for s in of_kind(found, "train") if len(s.label.chain or ()) == 3]


def test_a_replay_grid_trains_each_prefix_once() -> None:
    found = plan(replay(vary={"share": GRID}), seeds=[0, 1])
    assert len(of_kind(found, "train")) == 2 * (1 + 1 + 7)
    assert found.naive_trainings == 2 * (2 + 8 * 3)
    # Nothing is replayed for share 0: its scores are those of the model before.
    assert len(of_kind(found, "evaluate")) == 6 * (1 + 2 * 9)


def test_replays_of_a_grid_take_the_first_of_the_same_examples() -> None:
    found = plan(replay(vary={"share": GRID}))
    before, data = named(found, "train s1 → c1 · seed 0").key, named(found, "s1 · train data").key
    assert all(s.inputs["parent"] == before and s.inputs["data"] == data for s in replays(found))
    assert [s.params.get("take") for s in replays(found)] == [*TAKEN, None]
    assert all("steps" not in s.params for s in replays(found))


def test_shares_that_mean_the_same_examples_are_one_stage() -> None:
    tasks = [{"name": "s1", "train_examples": 10}, "c1"]
    found = plan(replay(vary={"share": [0.01, 0.05, 0.1, 0.2]}), tasks=tasks)
    assert [s.params["take"] for s in replays(found)] == [1, 2]


def test_a_replay_of_everything_is_the_stage_that_trains_on_the_task_again() -> None:
    again = plan({}, ["s1", "c1", "s1"])
    for equal_steps in (False, True):
        found = plan(replay(share=1, equal_steps=equal_steps))
        assert [s.key for s in replays(found)] == [s.key for s in replays(again)]


def test_equal_steps_are_those_that_all_of_the_examples_take() -> None:
    training = {"batch_size": 32, "epochs": 3}
    found = plan(replay(equal_steps=True, vary={"share": GRID}), training=training)
    assert [s.params.get("steps") for s in replays(found)] == [3 * 71] * len(TAKEN) + [None]
    fixed = plan(replay(equal_steps=True), training=training | {"steps": 5})
    assert [s.params["steps"] for s in replays(fixed)] == [5]


def test_trained_tokens_count_the_examples_of_every_step() -> None:
    found = plan(replay(share=0.01, equal_steps=True), training={"batch_size": 32, "epochs": 3})
    (stage,) = replays(found)
    # 213 steps of all the 23 examples with 10 tokens each, forwards and backwards
    assert stage.tokens == 3 * 213 * 23 * 10


def test_a_mix_adds_the_first_examples_of_the_earlier_task() -> None:
    found = plan({"x": {"kind": "train", "vary": {"mix.share": GRID}}}, ["s1", "c1:x"])
    stages = [s for s in of_kind(found, "train") if s.label.chain != ("s1",)]
    assert [s.params.get("replay_take") for s in stages] == [None, *TAKEN, 2261]
    assert {s.inputs["data"] for s in stages} == {named(found, "c1 · train data").key}
    (plain, *mixed) = stages
    assert "replay" not in plain.inputs
    assert {s.inputs["replay"] for s in mixed} == {named(found, "s1 · train data").key}
    assert all("take" not in s.params for s in stages)


def test_an_order_is_made_once_for_all_shares() -> None:
    step = replay(selection="worst_group", vary={"share": GRID})
    found = plan(step, seeds=[0, 1])
    orders = of_kind(found, "select")
    assert len(orders) == 2
    for order in orders:
        assert order.params == {"selection": "worst_group", "params": {}, "max_length": 1024}
        assert order.tokens == 2 * 2261 * 10
    first = orders[0]
    assert first.inputs["checkpoint"] == named(found, "train s1 → c1 · seed 0").key
    assert first.inputs["reference"] == named(found, "train s1 · seed 0").key
    assert first.inputs["data"] == named(found, "s1 · train data").key
    of_seed = [s for s in replays(found) if s.label.seed == 0]
    assert [s.inputs["data"] for s in of_seed] == [first.key] * 7


def test_an_order_that_looks_at_no_model_is_one_for_all_seeds_and_chains() -> None:
    step = replay(selection="group_balanced")
    found = plan(step, CHAIN, ["s1", "c2", "r"], seeds=[0, 1])
    (order,) = of_kind(found, "select")
    assert order.inputs == {"data": named(found, "s1 · train data").key}
    assert order.params == {"selection": "group_balanced", "params": {}}
    assert order.tokens == 0


def test_the_reference_is_the_model_after_the_last_training_on_the_task() -> None:
    steps = {
        "no": {"kind": "replay", "share": 0},
        "r": {"kind": "replay", "selection": "worst_group"},
    }
    found = plan(steps, ["s1", "c1", "no", "c2", "r"])
    (order,) = of_kind(found, "select")
    assert order.inputs["reference"] == named(found, "train s1 · seed 0").key


def test_a_merge_has_the_model_before_it_and_the_earlier_one_as_its_ends() -> None:
    steps = {"m": {"kind": "merge", "vary": {"alpha": [0, 0.25, 0.5, 1]}}}
    found = plan(steps, ["s1", "c1", "m"])
    merges = of_kind(found, "merge")
    assert [s.params for s in merges] == [{"alpha": 0.25}, {"alpha": 0.5}]
    for stage in merges:
        assert stage.inputs["checkpoint"] == named(found, "train s1 → c1 · seed 0").key
        assert stage.inputs["other"] == named(found, "train s1 · seed 0").key
    # The ends are models that are there already: no merge, and no scores of their own.
    assert len(of_kind(found, "evaluate")) == 6 * (1 + 2 + 2)


def test_training_goes_on_from_a_merge() -> None:
    found = plan({"m": {"kind": "merge"}}, ["s1", "c1", "m", "c2"])
    (merged,) = of_kind(found, "merge")
    (last,) = (s for s in of_kind(found, "train") if len(s.label.chain or ()) == 4)
    assert last.inputs["parent"] == merged.key


@pytest.mark.parametrize("share", [0, 0.5])
def test_ewc_holds_on_to_every_earlier_training_and_to_nothing_else(share: float) -> None:
    steps: dict[str, Any] = replay(share=share) | {
        "e": {"kind": "train", "training": {"mitigation": "ewc"}}
    }
    found = plan(steps, ["s1", "c1", "r", "c2:e"])
    (stage,) = (s for s in of_kind(found, "train") if s.params.get("mitigation") == "ewc")
    trained = [s.key for s in of_kind(found, "train") if s.label.seed == 0 and s != stage]
    anchors = [key for role, key in stage.inputs.items() if role.startswith("anchor-")]
    # The plain chain s1 → c1 → c2 is there as well; its last stage is none of the anchors.
    assert len(anchors) == len(of_kind(found, "fisher")) == (3 if share else 2)
    assert set(anchors) < set(trained)


def test_a_cycle_shares_its_beginning_with_the_shorter_chains() -> None:
    found = plan({}, ["s1", "c1"], ["s1", "c1", "s1"], ["s1", "c1", "s1", "c1"])
    assert len(of_kind(found, "train")) == 4
