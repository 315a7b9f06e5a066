"""The plan of an audit: no training, both models alike, stages shared with experiments."""

from datetime import date
from typing import Any

import pytest
from unit.test_plan import facts, of_kind
from unit.test_plan import spec as experiment

from forgetscope.core.audit_plan import build_audit_plan
from forgetscope.core.plan import build_plan
from forgetscope.schema.audit import AuditSpec
from forgetscope.schema.errors import PlanTooLarge
from forgetscope.schema.plan import Plan

DAY = date(2026, 3, 1)


def spec(**fields: Any) -> AuditSpec:
    values = {
        "reference": {"source": "builtin"},
        "candidate": {"source": "local", "path": "/m"},
        "tasks": ["s1", "c1"],
        "policy": {"name": "p", "tasks": [{"task": "s1"}, {"task": "c1"}]},
    }
    return AuditSpec.model_validate(values | fields)


def plan(asked: AuditSpec | None = None, *, day: date = DAY, **changes: Any) -> Plan:
    candidate = facts(model_fingerprint="other", **changes)
    return build_audit_plan(asked or spec(), facts(), candidate, judged_on=day)


def test_an_audit_prepares_and_scores_two_models_and_trains_none() -> None:
    found = plan()
    kinds = [stage.kind for stage in found.stages]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "prepare_model": 2,
        "prepare_data": 2,
        "evaluate": 4,
        "noise_floor": 2,
        "audit": 1,
    }
    known: set[str] = set()
    for stage in found.stages:
        assert set(stage.inputs.values()) <= known
        known.add(stage.key)
    assert {s.params["split"] for s in found.stages if s.kind == "prepare_data"} == {"evaluation"}


def test_what_an_experiment_scores_of_the_same_model_is_the_same_stage() -> None:
    done = {stage.key for stage in build_plan(experiment(), facts()).stages}
    shared = [stage.label.title for stage in plan().stages if stage.key in done]
    assert shared == [
        "reference model",
        "s1 · evaluation data",
        "score reference on s1",
        "c1 · evaluation data",
        "score reference on c1",
        "noise floor on s1",
        "noise floor on c1",
    ]


def test_a_model_against_itself_is_scored_once() -> None:
    asked = spec(candidate={"source": "builtin"})
    same = build_audit_plan(asked, facts(), facts(), judged_on=DAY)
    assert len(of_kind(same, "prepare_model")) == 1
    assert len(of_kind(same, "evaluate")) == 2


def test_another_day_or_policy_judges_again_and_scores_nothing_again() -> None:
    first = plan()
    later = plan(day=date(2026, 3, 2))
    policy = {"name": "p", "tasks": [{"task": "s1", "margin": 0.01}, {"task": "c1"}]}
    for other in (later, plan(spec(policy=policy))):
        different = {s.key for s in other.stages} - {s.key for s in first.stages}
        assert different == set(of_kind(other, "audit"))


def test_both_models_take_the_engine_that_either_can_take() -> None:
    both = frozenset({"transformers", "vllm"})
    large = {"engines": both, "model_parameters": 10**10}
    asked = spec()
    alike = build_audit_plan(asked, facts(**large), facts(**large), judged_on=DAY)
    assert alike.engine == "vllm"
    mixed = build_audit_plan(asked, facts(**large), facts(engines=both), judged_on=DAY)
    assert mixed.engine == "transformers"
    assert {s.params["engine"] for s in mixed.stages if s.kind == "evaluate"} == {"transformers"}


def test_an_audit_beyond_the_limit_is_refused() -> None:
    with pytest.raises(PlanTooLarge, match="up to 12 stages"):
        build_audit_plan(spec(), facts(max_stages=11), facts(), judged_on=DAY)


def test_a_task_without_a_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="no rule about 's2'"):
        spec(tasks=["s1", "c1", "s2"])
