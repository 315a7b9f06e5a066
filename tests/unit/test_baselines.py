"""An audit against a baseline: what it fixes and refuses, and that nothing of it runs again."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from unit.test_audit_plan import spec as audit_spec
from unit.test_endpoints import MODEL, probed
from unit.test_plan import facts as experiment_facts
from unit.test_plan import of_kind

from forgetscope.core.audit_plan import build_audit_plan
from forgetscope.core.baselines import Pinned, refuse_other_items, with_settings
from forgetscope.core.facts import Facts
from forgetscope.schema.audit import AuditSpec, UsedBaseline
from forgetscope.schema.baseline import BaselineContents
from forgetscope.schema.errors import DataChanged, InvalidSpec, UnknownName
from forgetscope.schema.plan import Plan

DAY = date(2026, 5, 1)
ITEMS = {"s1": "1" * 64, "c1": "2" * 64}


def facts(items: Mapping[str, str] = ITEMS, **changes: Any) -> Facts:
    found = experiment_facts(model_fingerprint="newer")
    tasks = {
        task: of._replace(examples={"evaluation": items[task]} if task in items else {})
        for task, of in found.tasks.items()
    }
    return found._replace(**{"tasks": tasks, **changes})


def pinned(side: str = "candidate", first: Plan | None = None, **contents: Any) -> Pinned:
    """Of an audit of the model /m on the tasks s1 and c1, or of another one."""
    old, its = facts(model_fingerprint="model"), facts(model_fingerprint="other")
    first = first or build_audit_plan(audit_spec(), old, its, judged_on=DAY)
    audit = first.stages[-1]
    values = {
        "model": {"source": "local", "path": "/m"},
        "fingerprint": "other",
        "engine": "transformers",
        "evaluation": audit.params["evaluation"],
        "tasks": [
            {"id": task, "name": task, "items": 100, "examples": ITEMS[task]}
            for task in ("s1", "c1")
        ],
    }
    scores = {task: audit.inputs[f"{side}-{i}"] for i, task in enumerate(("s1", "c1"))}
    needed = {audit.inputs[side], *scores.values()}
    needed |= {key for s in first.stages if s.key in needed for key in s.inputs.values()}
    return Pinned(
        used=UsedBaseline.model_validate(
            {"name": "production", "audit": "id", "side": side, "created_at": 5.0}
        ),
        contents=BaselineContents.model_validate(values | contents),
        stages=tuple(s for s in first.stages if s.key in needed),
        model=audit.inputs[side],
        scores=scores,
        judge=None,
    )


def spec(**fields: Any) -> AuditSpec:
    values = {
        "reference": {"source": "baseline", "name": "production"},
        "candidate": {"source": "local", "path": "/n"},
        "tasks": ["s1", "c1"],
        "policy": {"name": "p", "tasks": [{"task": "s1"}, {"task": "c1"}, {"task": "s2"}]},
    }
    return AuditSpec.model_validate(values | fields)


def plan(asked: AuditSpec | None = None, baseline: Pinned | None = None, **changes: Any) -> Plan:
    baseline = baseline or pinned()
    asked = with_settings(asked or spec(), baseline)
    return build_audit_plan(asked, baseline, facts(**changes), judged_on=DAY)


@pytest.mark.parametrize("side", ["candidate", "reference"])
def test_only_the_candidate_is_prepared_and_scored(side: str) -> None:
    baseline = pinned(side)
    found = plan(baseline=baseline)
    done = {stage.key for stage in baseline.stages}
    assert done <= {stage.key for stage in found.stages}
    left = [stage.kind for stage in found.stages if stage.key not in done]
    kinds = {kind: left.count(kind) for kind in left if kind != "prepare_data"}
    assert kinds == {"prepare_model": 1, "evaluate": 2, "noise_floor": 2, "audit": 1}
    audit = found.stages[-1]
    assert audit.inputs["reference"] == baseline.model
    assert [audit.inputs[f"reference-{i}"] for i in (0, 1)] == [*baseline.scores.values()]
    noisy = [s.inputs["base"] for s in found.stages if s.kind == "noise_floor"]
    assert set(noisy) == {audit.inputs["candidate"]}, "the baseline's model need not be there"
    known: set[str] = set()
    for stage in found.stages:
        assert set(stage.inputs.values()) <= known
        known.add(stage.key)


def test_the_judging_stage_is_told_name_audit_and_items() -> None:
    audit = plan().stages[-1]
    assert audit.params["baseline"] == {
        "used": {"name": "production", "audit": "id", "side": "candidate", "created_at": 5.0},
        "items": ITEMS,
    }
    assert audit.params["models"]["reference"]["model"]["path"] == "/m"  # type: ignore[index,call-overload]
    assert plan().notes[0] == "Baseline 'production' is the candidate of audit id."


def test_the_baseline_itself_as_candidate_is_scored_no_more() -> None:
    same = plan(spec(candidate={"source": "local", "path": "/m"}), model_fingerprint="other")
    assert len(of_kind(same, "evaluate")) == 2


def test_fewer_tasks_than_the_baseline_has_are_fine_and_others_are_not() -> None:
    assert with_settings(spec(tasks=["c1"]), pinned()).tasks[0].id == "c1"
    with pytest.raises(UnknownName, match="'s2'") as caught:
        with_settings(spec(tasks=["s1", "s2"]), pinned())
    assert (caught.value.where, caught.value.hint) == ("/tasks/1", "It has: s1, c1.")


def test_engine_and_settings_are_those_of_the_baseline() -> None:
    evaluation = {"dtype": "bfloat16", "max_length": 77, "noise_floor": None}
    found = with_settings(spec(), pinned(evaluation=evaluation)).evaluation
    assert found.model_dump(mode="json", exclude={"judge"}) == {
        **evaluation,
        "engine": "transformers",
    }
    own = spec(evaluation={"noise_floor": {"items": 50}, "engine": "auto", "max_length": 77})
    kept = with_settings(own, pinned(evaluation=evaluation)).evaluation
    assert kept.noise_floor is not None and kept.noise_floor.items == 50


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"engine": "vllm"}, "with engine 'transformers'.* with 'vllm'"),
        ({"dtype": "float32"}, "with dtype 'bfloat16'.* with 'float32'"),
        ({"max_length": 1024}, "with max_length 77:"),
        ({"judge": {"source": "builtin", "name": "b"}}, "dialogue-safety"),
    ],
)
def test_other_settings_that_are_asked_for_are_refused(asked: Any, words: str) -> None:
    baseline = pinned(evaluation={"dtype": "bfloat16", "max_length": 77})
    with pytest.raises(InvalidSpec, match=words) as caught:
        with_settings(spec(evaluation=asked), baseline)
    assert caught.value.where == f"/evaluation/{next(iter(asked))}"


def test_an_engine_that_is_not_there_any_more_is_refused() -> None:
    with pytest.raises(UnknownName, match="'vllm' is not installed") as caught:
        plan(baseline=pinned(engine="vllm"))
    assert caught.value.where == "/reference"


def test_other_items_are_refused_with_the_task() -> None:
    refuse_other_items(spec(), pinned(), facts().tasks)
    changed = facts({**ITEMS, "c1": "3" * 64})
    with pytest.raises(DataChanged, match="'c1' has other items") as caught:
        refuse_other_items(spec(), pinned(), changed.tasks)
    assert caught.value.where == "/tasks/1"


def test_scores_of_code_that_scored_otherwise_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    baseline = pinned()
    with_settings(spec(), baseline)
    monkeypatch.setattr(
        "forgetscope.core.identity.CODE_VERSIONS",
        dict.fromkeys(("evaluate", "prepare_data", "prepare_model"), 1000),
    )
    with pytest.raises(InvalidSpec, match="earlier version"):
        with_settings(spec(), baseline)


def served(shift: float) -> Facts:
    info = probed(shift)
    return facts(endpoint=info, model_fingerprint=info.fingerprint)


SERVED = MODEL.model_dump(mode="json")


def pinned_endpoint() -> Pinned:
    """Of an audit of two models behind an endpoint."""
    asked = audit_spec(reference=SERVED, candidate=SERVED)
    first = build_audit_plan(asked, served(0.0), served(0.1), judged_on=DAY)
    its = {"model": SERVED, "fingerprint": probed(0.1).fingerprint, "engine": "endpoint"}
    return pinned(first=first, **its)


def test_a_baseline_behind_an_endpoint_is_compared_with_a_model_behind_one() -> None:
    baseline = pinned_endpoint()
    asked = with_settings(spec(candidate=SERVED), baseline)
    found = build_audit_plan(asked, baseline, served(0.2), judged_on=DAY)
    assert found.engine == "endpoint"
    done = {stage.key for stage in baseline.stages}
    new = [stage for stage in found.stages if stage.key not in done]
    kinds = [stage.kind for stage in new]
    assert sorted(kinds) == [
        *("audit", "evaluate", "evaluate", "noise_floor", "noise_floor", "prepare_model"),
    ]
    audit = found.stages[-1]
    scored = [stage for stage in new if stage.kind in {"evaluate", "noise_floor"}]
    assert {stage.params["engine"] for stage in scored} == {"endpoint"}
    assert {stage.inputs["base"] for stage in scored} == {audit.inputs["candidate"]}


def test_a_baseline_and_a_candidate_have_endpoints_both_or_neither() -> None:
    local = {"source": "local", "path": "/n"}
    for baseline, candidate, its, where in (
        (pinned_endpoint(), local, facts(), "/candidate"),
        (pinned(), SERVED, served(0.2), "/reference"),
    ):
        asked = with_settings(spec(candidate=candidate), baseline)
        with pytest.raises(InvalidSpec, match="not compared") as caught:
            build_audit_plan(asked, baseline, its, judged_on=DAY)
        assert caught.value.where == where
    with pytest.raises(InvalidSpec, match=r"with engine 'endpoint'.* with 'vllm'"):
        with_settings(spec(candidate=SERVED, evaluation={"engine": "vllm"}), pinned_endpoint())


def test_another_safety_classifier_is_refused() -> None:
    judged = {task: of._replace(judged=True) for task, of in facts().tasks.items()}
    with pytest.raises(InvalidSpec, match="no longer the one") as caught:
        plan(tasks=judged, judge_fingerprint="new")
    assert caught.value.where == "/evaluation/judge"
