"""What the analysis is told beside the scores: watched stages, and digests of model and data."""

from typing import Any

from forgetscope.core.plan import build_plan
from forgetscope.schema.plan import Plan, PlannedStage
from tests.unit.test_plan import facts, spec

WATCHED = {"w": {"kind": "train", "monitor": {"every": 3, "margin": 0.1}}}


def analysis(plan: Plan) -> PlannedStage:
    (found,) = (s for s in plan.stages if s.kind == "analyse")
    return found


def test_the_analysis_reads_every_watched_stage_once() -> None:
    plan = build_plan(
        spec(chains=[["s1", "c1:w"], ["s1", "c1:w", "c2"]], steps=WATCHED, seeds=[0, 1]), facts()
    )
    found = analysis(plan)
    uses: Any = found.params["monitors"]
    stages = {s.key: s for s in plan.stages}
    read = [stages[found.inputs[use["role"]]] for use in uses]
    watched = [s for s in plan.stages if "watched" in s.inputs]
    assert len(watched) == 2
    assert {s.key for s in read} == {s.key for s in watched}
    for use, stage in zip(uses, read, strict=True):
        assert (use["chain"], use["seed"]) == (["s1", "c1:w"], stage.params["seed"])
        assert (use["watched"], use["settings"]["every"]) == ("s1", 3)


def test_without_a_monitor_no_model_is_an_input_of_the_analysis() -> None:
    plan = build_plan(spec(chains=[["s1", "c1"]]), facts())
    kinds = {s.key: s.kind for s in plan.stages}
    found = analysis(plan)
    assert "monitors" not in found.params
    assert "train" not in {kinds[key] for key in found.inputs.values()}


def test_the_analysis_knows_the_digests_of_model_and_data() -> None:
    known = facts()
    digests = {"train": "1" * 64, "evaluation": "2" * 64}
    tasks = {**known.tasks, "s1": known.tasks["s1"]._replace(examples=digests)}
    plan = build_plan(spec(tasks=["s1", "c1"], chains=[["s1"]]), known._replace(tasks=tasks))
    found: Any = analysis(plan).params["digests"]
    assert found["model"] == "model"
    told = {(d["task"], d["split"]): d["examples"] for d in found["data"]}
    # c1 is scored only.
    assert told == {
        ("s1", "train"): "1" * 64,
        ("s1", "evaluation"): "2" * 64,
        ("c1", "evaluation"): None,
    }
    assert len(plan.stages) == len({s.key for s in plan.stages if s.kind != "prepare_data"}) + len(
        told
    )
