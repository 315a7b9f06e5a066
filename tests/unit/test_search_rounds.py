"""A round of a search: the value put into the experiment, the chains that it judges."""

from typing import Any

import pytest
from unit.test_goals import row as goal_row
from unit.test_goals import span
from unit.test_plan import facts

from forgetscope.app.search import rehearse
from forgetscope.core.plan import build_plan
from forgetscope.core.search_rounds import experiment_of, judge_round, judges_of
from forgetscope.schema.errors import InvalidSpec, PlanTooLarge, StageFailed
from forgetscope.schema.plan import Plan
from forgetscope.schema.recovery import MitigatedChain
from forgetscope.schema.search import SearchSpec

EXPERIMENT: dict[str, Any] = {
    "tasks": ["s1", "s2", "c1"],
    "steps": {"again": {"kind": "replay"}},
    "chains": [["s1", "c1", "again"]],
}
KNOB: dict[str, Any] = {"step": "again", "low": 0.0, "high": 1.0, "tolerance": 0.1}


def search(knob: Any = None, goal: Any = None, **experiment: Any) -> SearchSpec:
    return SearchSpec.model_validate(
        {
            "experiment": EXPERIMENT | experiment,
            "knob": KNOB | (knob or {}),
            "goal": {"of": "task"} | (goal or {}),
        }
    )


def trained(plan: Plan) -> set[str]:
    return {stage.key for stage in plan.stages if stage.kind == "train"}


def row(chain: MitigatedChain, task: str = "s1", position: int = 1, back: float = 0.95) -> Any:
    recovery = span(back - 0.005, back + 0.005)
    made = goal_row(whole=recovery)
    price = made.prices[0].model_copy(update={"task": "c1", "simultaneous": span(-0.005, 0.005)})
    return made.model_copy(
        update={"mitigated": chain, "task": task, "position": position, "prices": (price,)}
    )


def test_a_round_is_the_experiment_with_the_value_and_corrected_intervals() -> None:
    made = experiment_of(search(), 0.25, 3, 5)
    assert made.steps["again"].vary == {"share": (0.25,)}
    assert made.analysis.confidence == 0.99
    assert made.name == "search · round 3: share = 0.25"
    again = type(made).model_validate(made.model_dump(mode="json"))
    assert build_plan(again, facts()) == build_plan(made, facts())


def test_a_long_name_is_cut_to_what_an_experiment_may_have() -> None:
    spec = search().model_copy(update={"name": "n" * 150})
    long = spec.knob.model_copy(update={"path": "training.weight_decay"})
    made = experiment_of(spec.model_copy(update={"knob": long}), 0.123456, 1, 5)
    type(made).model_validate(made.model_dump(mode="json"))


def test_rounds_share_every_training_but_that_of_the_step() -> None:
    planned = rehearse(search(), facts())
    assert [value for value, _ in planned][:3] == [1.0, 0.0, 0.5]
    shared = set.intersection(*(trained(plan) for _, plan in planned))
    assert len(shared) == 2
    assert [len(trained(plan) - shared) for _, plan in planned] == [1, 0, 1, 1, 1, 1]
    assert len({frozenset(trained(plan)) for _, plan in planned}) == len(planned)


def test_the_task_that_is_judged_is_the_one_that_the_step_repairs() -> None:
    def task(**experiment: Any) -> list[str]:
        spec = search(**experiment)
        made = experiment_of(spec, 0.5, 1, 5)
        found = judges_of(made, build_plan(made, facts()), spec.knob, spec.goal)
        return [judges.task for judges in found]

    assert task() == ["s1"]
    assert task(chains=[["s1", "s2", "c1", "s2:again"]]) == ["s2"]
    mixed = {"again": {"kind": "train", "mix": {"task": "s2"}}}
    knob = {"path": "mix.share"}
    assert task(knob=knob, steps=mixed, chains=[["s1", "s2", "c1:again"]]) == ["s2"]
    merge = {"again": {"kind": "merge"}}
    assert task(knob={"path": "alpha"}, steps=merge, chains=[["s1", "c1", "again"]]) == ["s1"]


def test_every_chain_with_the_step_is_judged_and_others_are_not() -> None:
    two = {"again": {"kind": "replay", "vary": {"equal_steps": [False, True]}}}
    spec = search(steps=two, chains=[["s1", "c1", "again"], ["c1", "s1"]])
    made = experiment_of(spec, 0.5, 1, 5)
    judges = judges_of(made, build_plan(made, facts()), spec.knob, spec.goal)
    assert len(judges) == 2
    first, second = (one.chain for one in judges)
    passing = judge_round(judges, [row(first), row(second)], spec.goal, {})
    assert passing.verdict == "pass"
    failing = judge_round(judges, [row(first), row(second, back=0.5)], spec.goal, {})
    assert failing.verdict == "breach"
    assert len({part.name for part in failing.parts}) == len(failing.parts) == 4
    with pytest.raises(StageFailed, match="no recovery of 's1'"):
        judge_round(judges, [row(first)], spec.goal, {})


def test_a_task_trained_twice_is_judged_after_both() -> None:
    spec = search(chains=[["s1", "c1", "s1", "c1", "again"]])
    made = experiment_of(spec, 0.5, 1, 5)
    judges = judges_of(made, build_plan(made, facts()), spec.knob, spec.goal)
    chain = judges[0].chain
    rows = [row(chain), row(chain, position=3, back=0.5)]
    found = judge_round(judges, rows, spec.goal, {})
    assert found.verdict == "breach"
    assert "after stage 3" in found.reason


def test_a_margin_below_the_noise_floor_is_not_passed() -> None:
    spec = search()
    made = experiment_of(spec, 0.5, 1, 5)
    judges = judges_of(made, build_plan(made, facts()), spec.knob, spec.goal)
    found = judge_round(judges, [row(judges[0].chain)], spec.goal, {"c1": 0.02})
    assert found.verdict == "underpowered"
    assert "noise floor" in found.reason


@pytest.mark.parametrize(
    ("change", "where", "said"),
    [
        ({"knob": {"step": "nothing"}}, "/knob/step", "no step 'nothing'"),
        ({"knob": {"path": "shares"}}, "/knob/low", "shares"),
        ({"knob": {"high": 2.0}}, "/knob/high", "less than or equal to 1"),
        ({"knob": {"low": -1.0}}, "/knob/low", "greater than or equal to 0"),
        ({"knob": {"path": "kind"}}, "/knob/low", "cannot vary"),
        ({"knob": {"path": "task"}}, "/knob/low", "valid string"),
        (
            {"steps": {"again": {"kind": "replay", "vary": {"share": [0.1]}}}},
            "/knob/path",
            "varies 'share'",
        ),
        ({"chains": [["s1", "c1"]]}, "/knob/step", "no chain with the step"),
        ({"chains": [["s1", "again"]]}, "/knob/step", "nothing is trained after 's1'"),
        (
            {
                "steps": {"again": {"kind": "train", "training": {"learning_rate": 0.1}}},
                "chains": [["s1", "c1:again"]],
                "knob": {"path": "training.learning_rate", "low": 0.1},
            },
            "/knob/step",
            "no mitigation",
        ),
        ({"goal": {"price_tasks": ["s2"]}}, "/goal/price_tasks/0", "no price"),
        ({"chains": [["s1", "nothing"]]}, "/experiment/chains/0/1", "nothing"),
        (
            {
                "steps": {"again": {"kind": "train", "training": {"mitigation": "l2_sp"}}},
                "chains": [["s1", "c1:again"]],
                "knob": {"path": "training.mitigation.params.strengh"},
            },
            "/experiment/steps/again/training/mitigation/params/strengh",
            "strengh",
        ),
        (
            {
                "steps": {"again": {"kind": "replay", "training": {"epochs": 1}}},
                "knob": {"path": "training.steps", "low": 1, "high": 2},
            },
            "/knob/path",
            "integer",
        ),
    ],
)
def test_what_cannot_be_searched_is_said_before_anything_is_trained(
    change: dict[str, Any], where: str, said: str
) -> None:
    spec = search(**change)
    with pytest.raises(InvalidSpec, match=said) as caught:
        experiment_of(spec, spec.knob.low, 1, 1)
        experiment_of(spec, spec.knob.high, 1, 1)
        rehearse(spec, facts())
    assert caught.value.where == where


def test_an_experiment_that_expands_past_the_limit_is_refused() -> None:
    with pytest.raises(PlanTooLarge) as caught:
        rehearse(search(), facts(max_stages=3))
    assert caught.value.where == "/experiment/chains"
