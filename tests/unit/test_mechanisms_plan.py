"""Which stages of drift an experiment means."""

from typing import Any

import pytest

from forgetscope.core.plan import build_plan
from forgetscope.schema.errors import PlanTooLarge
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import Plan, PlannedStage
from tests.unit.test_plan import facts, of_kind

PAIRS: dict[str, Any] = {"chains": [["s1", "c1"], ["c1", "s1"], ["s1", "c2"]]}


def plan(mechanisms: dict[str, Any] | None = None, **fields: Any) -> Plan:
    asked = {"mechanisms": {} if mechanisms is None else mechanisms}
    spec = {"tasks": ["s1", "s2", "c1", "c2"]} | PAIRS | asked | fields
    return build_plan(ExperimentSpec.model_validate(spec), facts())


def stages(found: Plan, kind: str) -> list[PlannedStage]:
    return [s for s in found.stages if s.kind == kind]


def test_mechanisms_are_off_unless_they_are_asked_for() -> None:
    spec = ExperimentSpec.model_validate({"tasks": ["s1", "c1"], "chains": [["s1", "c1"]]})
    assert spec.mechanisms is None
    found = build_plan(spec, facts())
    assert not of_kind(found, "drift")
    (analysis,) = stages(found, "analyse")
    assert not any(role.startswith("train-") for role in analysis.inputs)


def test_each_forgetting_row_and_seed_is_one_stage_on_the_tasks_own_evaluation_items() -> None:
    found = plan(seeds=[0, 1])
    drifts = stages(found, "drift")
    assert [(s.label.chain, s.label.seed) for s in drifts] == [
        (chain, seed) for seed in (0, 1) for chain in (("s1", "c1"), ("c1", "s1"), ("s1", "c2"))
    ]
    trainings = {s.key: s for s in stages(found, "train")}
    data = {s.key: s for s in stages(found, "prepare_data")}
    for stage in drifts:
        assert stage.queue == "analyse"
        before, after = (trainings[stage.inputs[role]] for role in ("checkpoint", "later"))
        assert stage.label.chain is not None
        assert before.label.chain == stage.label.chain[:1]
        assert after.label.chain == stage.label.chain
        assert before.label.seed == after.label.seed == stage.label.seed
        own = data[stage.inputs["data"]]
        assert (own.label.task, own.params["split"]) == (stage.label.task, "evaluation")
        assert stage.tokens == 2 * 100 * 10  # both models, 100 items of 10 tokens


def test_a_longer_chain_drifts_from_each_of_its_stages_to_its_end() -> None:
    first, second = stages(plan(chains=[["s1", "c1", "s2"]]), "drift")
    assert (first.label.task, second.label.task) == ("s1", "c1")
    assert first.inputs["later"] == second.inputs["later"]
    assert first.label.title != second.label.title


def test_the_analysis_gets_every_drift_and_the_training_data_of_tasks_in_chains() -> None:
    found = plan()
    (analysis,) = stages(found, "analyse")
    uses = analysis.params["drifts"]
    assert isinstance(uses, list)
    places = []
    for use in uses:
        assert isinstance(use, dict)
        stage = next(s for s in found.stages if s.key == analysis.inputs[str(use["role"])])
        assert stage.label.chain == tuple(use["chain"])  # type: ignore[arg-type]
        places.append(stage.key)
    assert places == of_kind(found, "drift")
    trained = {r for r in analysis.inputs if r.startswith("train-")}
    assert trained == {"train-0", "train-2", "train-3"}  # s2 is in no chain


def test_asking_for_mechanisms_changes_no_training_and_no_score() -> None:
    plain = build_plan(
        ExperimentSpec.model_validate({"tasks": ["s1", "s2", "c1", "c2"]} | PAIRS), facts()
    )
    one, two = plan(), plan({"items": 64, "layers": "all"})
    for kind in ("train", "evaluate"):
        assert of_kind(one, kind) == of_kind(two, kind) == of_kind(plain, kind)
    assert set(of_kind(one, "drift")).isdisjoint(of_kind(two, "drift"))


def test_drift_counts_towards_the_limit_of_stages() -> None:
    def smallest(*asked: str) -> int:
        spec = {"tasks": ["s1", "s2", "c1", "c2"], "seeds": [0, 1]} | PAIRS
        spec |= {name: {} for name in asked}
        for limit in range(10, 200):
            try:
                build_plan(ExperimentSpec.model_validate(spec), facts(max_stages=limit))
            except PlanTooLarge:
                continue
            return limit
        raise AssertionError

    assert smallest("mechanisms") == smallest() + 6


@pytest.mark.parametrize("mechanisms", [{"items": 4}, {"layers": "some"}, {"item": 9}])
def test_a_specification_that_means_nothing_is_refused(mechanisms: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="mechanisms"):
        plan(mechanisms)
