"""Chains written out, what is wrong with them, and which plain chain each is compared with."""

from collections.abc import Mapping
from typing import Any

import pytest

from forgetscope.core.chains import chains_of
from forgetscope.core.mitigated import mitigated_chains
from forgetscope.core.plan import build_plan
from forgetscope.core.steps import Chain, Steps, task_of
from forgetscope.schema.errors import InvalidSpec, PlanTooLarge, UnknownName
from forgetscope.schema.recovery import MitigatedChain
from tests.unit.test_plan import CAPABILITY, SAFETY, facts, spec

KINDS = dict.fromkeys(SAFETY, "safety") | dict.fromkeys(CAPABILITY, "capability")
REPLAY: dict[str, Any] = {"kind": "replay"}
MERGE: dict[str, Any] = {"kind": "merge"}
PLAIN: Chain = ("s1", "c1")


def train(**fields: Any) -> dict[str, Any]:
    return {"kind": "train"} | fields


def written(chains: Any, steps: Mapping[str, Any]) -> tuple[Chain, ...]:
    asked = spec(chains=chains, steps=dict(steps))
    return chains_of(asked, KINDS, Steps(asked))[0]


def mitigated(chains: Any, steps: Mapping[str, Any]) -> tuple[MitigatedChain, ...]:
    asked = spec(chains=chains, steps=dict(steps))
    found = Steps(asked)
    return mitigated_chains(found, chains_of(asked, KINDS, found)[0], len)


def test_a_replay_takes_the_first_task_of_its_chain() -> None:
    assert written([["s2", "c1", "r"]], {"r": REPLAY})[-1] == ("s2", "c1", "s2:r")


def test_a_replay_takes_the_task_that_it_names_or_that_the_chain_names() -> None:
    named = {"r": REPLAY | {"task": "c1"}}
    assert written([["s1", "c1", "r"]], named)[-1] == ("s1", "c1", "c1:r")
    assert written([["s1", "c1", "c1:r"]], {"r": REPLAY})[-1] == ("s1", "c1", "c1:r")


def test_a_step_that_varies_stands_for_every_combination_in_order() -> None:
    steps = {"r": REPLAY | {"vary": {"share": [0, 0.5], "equal_steps": [False, True]}}}
    assert written([["s1", "c1", "r"]], steps) == (
        PLAIN,
        ("s1", "c1", "s1:r[share=0,equal_steps=false]"),
        ("s1", "c1", "s1:r[share=0,equal_steps=true]"),
        ("s1", "c1", "s1:r[share=0.5,equal_steps=false]"),
        ("s1", "c1", "s1:r[share=0.5,equal_steps=true]"),
    )


def test_several_steps_that_vary_multiply() -> None:
    steps = {
        "lr": train(vary={"training.learning_rate": [1e-3, 1e-4]}),
        "r": REPLAY | {"vary": {"share": [0.1, 0.2, 0.3]}},
    }
    found = written([["s1", "c1:lr", "r"]], steps)
    mixed = [chain for chain in found if len(chain) == 3]
    assert len(mixed) == len(set(mixed)) == 6
    assert ("s1", "c1:lr[learning_rate=0.001]", "s1:r[share=0.1]") in mixed


def test_components_and_fields_that_are_absent_can_vary() -> None:
    mitigation = [{"name": "l2_sp", "params": {"strength": 0.5}}, "sam", None]
    steps = {
        "m": train(vary={"training.mitigation": mitigation}),
        "x": train(mix=None, vary={"mix.share": [0.25]}),
    }
    asked = spec(chains=[["s1", "c1:m"], ["s1", "c1:x"]], steps=steps)
    found = Steps(asked)
    chains = chains_of(asked, KINDS, found)[0]
    ends = [chain[-1] for chain in chains if ":" in chain[-1]]
    assert ends == [
        "c1:m[mitigation=l2_sp(strength=0.5)]",
        "c1:m[mitigation=sam]",
        "c1:m[mitigation=null]",
        "c1:x[share=0.25]",
    ]
    mix = getattr(found.step("c1:x[share=0.25]"), "mix", None)
    assert mix is not None
    assert mix.share == 0.25


def test_the_task_of_an_element() -> None:
    assert [task_of(e) for e in ("s1", "s1:r[share=0.5]", "s1:m[name=a:b]", "~merge[alpha=1]")] == [
        "s1",
        "s1",
        "s1",
        None,
    ]


def test_patterns_are_applied_to_every_pair() -> None:
    chains = {
        "generate": "safety_capability_pairs",
        "orders": "safety_first",
        "patterns": [["first", "second", "r"], ["first", "second:slow"]],
    }
    steps = {"r": REPLAY, "slow": train(training={"learning_rate": 1e-6})}
    found = written(chains, steps)
    assert len(found) == 9 * 3  # the plain chains of the replays are added
    assert ("s2", "c3", "s2:r") in found
    assert ("s2", "c3:slow") in found


WRONG: dict[str, tuple[Any, dict[str, Any], str, str]] = {
    "an unknown name": ([["s1", "nope"]], {}, "/chains/0/1", "neither among the tasks"),
    "a step of an unknown name": ([["s1", "c1:nope"]], {"r": REPLAY}, "/chains/0/1", "neither"),
    "a tilde before a replay": ([["s1", "~r"]], {"r": REPLAY}, "/chains/0/1", "neither"),
    "a step named like a task": ([["s1"]], {"c1": REPLAY}, "/steps/c1", "a task and a step"),
    "a step of an unknown task": (
        [["s1"]],
        {"r": REPLAY | {"task": "x"}},
        "/steps/r",
        "'x' is not among",
    ),
    "a mix of an unknown task": (
        [["s1"]],
        {"m": train(mix={"task": "x"})},
        "/steps/m",
        "'x' is not among",
    ),
    "a step for another task": (
        [["s1", "c1:r"]],
        {"r": REPLAY | {"task": "s1"}},
        "/chains/0/1",
        "belongs to the task 's1'",
    ),
    "a replay of what was not trained": (
        [["s1", "c1", "s2:r"]],
        {"r": REPLAY},
        "/chains/0/2",
        "was not trained before",
    ),
    "a replay before its task": ([["c1:r", "c1"]], {"r": REPLAY}, "/chains/0/0", "not trained"),
    "a replay that stands first": ([["r", "c1"]], {"r": REPLAY}, "/chains/0/0", "none was trained"),
    "a mix that stands first": ([["s1:m"]], {"m": train(mix={})}, "/chains/0/0", "mixes in a task"),
    "a mix of what was not trained": (
        [["s1", "c1:m"]],
        {"m": train(mix={"task": "c2"})},
        "/chains/0/1",
        "mixes in a task",
    ),
    "a monitor of what was not trained": (
        [["s1:m"]],
        {"m": train(monitor={})},
        "/chains/0/0",
        "monitors a task",
    ),
    "a training step without a task": (
        [["s1", "m"]],
        {"m": train()},
        "/chains/0/1",
        "needs a task",
    ),
    "a merge that stands first": ([["m"]], {"m": MERGE}, "/chains/0/0", "only 0 stages"),
    "a merge without two ends": ([["s1", "m"]], {"m": MERGE}, "/chains/0/1", "only 1 stage stands"),
    "a merge with what comes later": (
        [["s1", "c1", "m"]],
        {"m": MERGE | {"position": 3}},
        "/chains/0/2",
        "merges with the model after stage 3",
    ),
    "a merge of a task": ([["s1", "c1:m"]], {"m": MERGE}, "/chains/0/1", "trains on no task"),
    "a varied share above one": (
        [["s1", "c1", "r"]],
        {"r": REPLAY | {"vary": {"share": [0.5, 1.5]}}},
        "/steps/r/vary",
        "cannot vary to share=1.5: share: .*less than or equal to 1",
    ),
    "a varied field that is not there": (
        [["s1", "c1", "r"]],
        {"r": REPLAY | {"vary": {"shares": [0.5]}}},
        "/steps/r/vary",
        "Extra inputs",
    ),
    "a varied path through a number": (
        [["s1", "c1", "r"]],
        {"r": REPLAY | {"vary": {"share.of": [0.5]}}},
        "/steps/r/vary",
        "cannot vary",
    ),
    "a kind that varies": (
        [["s1", "c1", "r"]],
        {"r": REPLAY | {"vary": {"kind": ["merge"]}}},
        "/steps/r/vary",
        "cannot vary",
    ),
    "a value that stands there twice": (
        [["s1", "c1", "r"]],
        {"r": REPLAY | {"vary": {"share": [0.5, 0.5]}}},
        "/steps/r/vary",
        "stands there twice",
    ),
    "a wrong chain of a pattern": (
        {"generate": "safety_capability_pairs", "patterns": [["first"], ["first", "r", "second"]]},
        {"r": REPLAY | {"task": "c2"}},
        "/chains/patterns/1/1",
        "not trained before",
    ),
}


@pytest.mark.parametrize(("chains", "steps", "where", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_chain_is_refused_with_its_place(
    chains: Any, steps: dict[str, Any], where: str, message: str
) -> None:
    with pytest.raises(InvalidSpec, match=message) as caught:
        build_plan(spec(chains=chains, steps=steps), facts())
    assert caught.value.where == where


def test_a_share_above_one_is_refused_by_the_schema() -> None:
    with pytest.raises(ValueError, match=r"share\n.*less than or equal to 1"):
        spec(steps={"r": REPLAY | {"share": 1.01}})


def test_too_many_combinations_are_counted_and_refused_before_they_are_made() -> None:
    values = list(range(1, 101))
    one = REPLAY | {"vary": {"share": [v / 100 for v in values], "training.steps": values}}
    with pytest.raises(PlanTooLarge, match="are 1000000;") as caught:
        written(
            [["s1", "c1", "r", "t"]], {"r": one, "t": REPLAY | {"vary": {"share": one_to(100)}}}
        )
    assert caught.value.where == "/chains"
    too_many = {"share": one_to(100), "training.steps": values, "training.epochs": [1, 2]}
    with pytest.raises(PlanTooLarge, match="20000 combinations") as caught:
        written([["s1", "c1", "r"]], {"r": REPLAY | {"vary": too_many}})
    assert caught.value.where == "/steps/r/vary"


def test_merges_count_with_their_values_however_they_are_written() -> None:
    asked = spec(steps={"m": MERGE | {"vary": {"alpha": one_to(7)}}})
    assert [Steps(asked).count(["s1", "c1", name]) for name in ("m", "~m")] == [7, 7]


def one_to(n: int) -> list[float]:
    return [(i + 1) / n for i in range(n)]


def test_the_plain_chain_is_without_replay_merge_mix_monitor_and_mitigation() -> None:
    steps = {
        "r": REPLAY,
        "w": MERGE,
        "x": train(mix={}),
        "o": train(monitor={}),
        "l": train(training={"mitigation": "l2_sp"}),
    }
    chains = [["s1", "c1", "r"], ["s1", "c1", "w"], *(["s1", f"c1:{s}"] for s in "xol")]
    found = mitigated(chains, steps)
    assert [each.plain for each in found] == [PLAIN] * 5
    assert [(each.mitigation, each.knob, each.selection) for each in found] == [
        ("replay", 0.05, "uniform"),
        ("merge", 0.5, None),
        ("mix", 0.05, "uniform"),
        ("monitor", 0.05, None),
        ("l2_sp", 0.1, None),
    ]
    assert [(each.tokens, each.plain_tokens) for each in found[:3]] == [(3, 2), (3, 2), (2, 2)]
    assert written(chains, steps)[0] == PLAIN


def test_a_plain_chain_keeps_the_other_values_of_the_step() -> None:
    slow = {"learning_rate": 1e-6}
    both = train(training=slow | {"mitigation": "l2_sp"})
    alone = mitigated([["s1", "c1:both"]], {"both": both})
    assert alone[0].plain == ("s1", "c1:both[plain]")
    named = mitigated(
        [["s1", "c1:both"], ["s1", "c1:slow"]], {"both": both, "slow": train(training=slow)}
    )
    assert named[0].plain == ("s1", "c1:slow")
    varied = both | {"vary": {"training.learning_rate": [1e-6, 1e-5]}}
    plain = [each.plain[-1] for each in mitigated([["s1", "c1:both"]], {"both": varied})]
    assert plain == ["c1:both[plain]", "c1:both[plain1]"]


def test_a_plain_chain_is_trained_with_the_values_that_are_left() -> None:
    both = train(training={"learning_rate": 1e-6, "mitigation": "l2_sp"})
    plan = build_plan(spec(chains=[["s1", "c1:both"]], steps={"both": both}), facts())
    (plain,) = (
        s for s in plan.stages if s.label.chain == ("s1", "c1:both[plain]") and s.kind == "train"
    )
    assert plain.params["learning_rate"] == 1e-6
    assert "mitigation" not in plain.params


def test_chains_of_steps_that_mitigate_nothing_have_no_plain_chain() -> None:
    assert mitigated([["s1", "c1:slow"]], {"slow": train(training={"learning_rate": 1e-6})}) == ()


def test_two_mitigations_at_once_have_no_single_knob() -> None:
    steps = {"r": REPLAY, "l": train(training={"mitigation": "l2_sp"})}
    (found,) = mitigated([["s1", "c1:l", "r"]], steps)
    assert (found.mitigation, found.knob, found.plain) == ("l2_sp+replay", None, PLAIN)
    assert found.variant == "c1:l → s1:r"


UNPLANNED: dict[str, tuple[list[str], dict[str, Any], str, str]] = {
    "ewc first": (
        ["s1:e"],
        {"e": train(training={"mitigation": "ewc"})},
        "/steps/e/training/mitigation",
        "first stage",
    ),
    "ewc after another method": (
        ["s1", "c1:e"],
        {"e": train(training={"mitigation": "ewc", "method": "lora"})},
        "/steps/e/training/mitigation",
        "stage 1 is tuned by full, this one by lora",
    ),
    "ewc with a method that trains new parameters in each stage": (
        ["s1", "c1:e"],
        {"e": train(training={"mitigation": "ewc", "method": "osf"})},
        "/steps/e/training/mitigation",
        "osf trains new ones",
    ),
    "ewc after a merge": (
        ["s1", "c1", "w", "c2:e"],
        {"e": train(training={"mitigation": "ewc"}), "w": MERGE},
        "/steps/e/training/mitigation",
        "after a merge",
    ),
    "more examples than there are": (
        ["s1:few"],
        {"few": train(train_examples=99_999)},
        "/steps/few/train_examples",
        "has 2261",
    ),
    "a mix that compares": (
        ["s1", "c1:x"],
        {"x": train(mix={"selection": "worst_group"})},
        "/steps/x/mix/selection",
        "looks at what was forgotten",
    ),
    "a wrong parameter of a selection": (
        ["s1", "c1", "r"],
        {"r": REPLAY | {"selection": {"name": "gradient_similarity", "params": {"target": "x"}}}},
        "/steps/r/selection/params/target",
        "gradient_similarity",
    ),
    "a wrong parameter of a mitigation": (
        ["s1", "c1:l"],
        {"l": train(training={"mitigation": {"name": "l2_sp", "params": {"strength": -1}}})},
        "/steps/l/training/mitigation/params/strength",
        "l2_sp",
    ),
    "a wrong parameter of a method": (
        ["s1", "c1:l"],
        {"l": train(training={"method": {"name": "lora", "params": {"rank": 0}}})},
        "/steps/l/training/method/params/rank",
        "lora",
    ),
}


@pytest.mark.parametrize(
    ("chain", "steps", "where", "message"), UNPLANNED.values(), ids=UNPLANNED.keys()
)
def test_a_stage_that_cannot_be_trained_is_refused_with_its_place(
    chain: list[str], steps: dict[str, Any], where: str, message: str
) -> None:
    with pytest.raises(InvalidSpec, match=message) as caught:
        build_plan(spec(chains=[chain], steps=steps), facts())
    assert caught.value.where == where


def test_ewc_for_every_stage_is_refused_where_it_was_asked_for() -> None:
    with pytest.raises(InvalidSpec, match="first stage") as caught:
        build_plan(spec(training={"mitigation": "ewc"}), facts())
    assert caught.value.where == "/training/mitigation"


@pytest.mark.parametrize(
    ("step", "where"),
    [
        (REPLAY | {"selection": "wurst_group"}, "/steps/r/selection"),
        (REPLAY | {"training": {"mitigation": "ewcc"}}, "/steps/r/training/mitigation"),
        (REPLAY | {"training": {"method": "fulll"}}, "/steps/r/training/method"),
    ],
)
def test_an_unknown_component_is_answered_with_its_place_and_the_nearest_name(
    step: dict[str, Any], where: str
) -> None:
    with pytest.raises(UnknownName, match="Did you mean") as caught:
        build_plan(spec(chains=[["s1", "c1", "r"]], steps={"r": step}), facts())
    assert caught.value.where == where
