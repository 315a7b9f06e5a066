"""A monitored stage from the specification to the events, the files and the facts."""

import json

import pytest
from e2e.conftest import Embedded
from e2e.processes import SPEC, finish

from forgetscope.schema.base import JsonObject

pytestmark = pytest.mark.timeout(600)

MONITOR = {"every": 4, "items_per_group": 24, "margin": 0.02, "action": "stop"}
WATCHED: JsonObject = SPEC | {
    "name": "watched",
    "tasks": [
        {"name": "synthetic_safety", "train_examples": 960, "evaluation_examples": 400},
        {"name": "synthetic_capability", "train_examples": 960, "evaluation_examples": 400},
    ],
    "steps": {"watched": {"kind": "train", "monitor": MONITOR}},
    "chains": [["synthetic_safety", "synthetic_capability:watched"]],
    "training": {
        "learning_rate": 3e-3,
        "epochs": 8,
        "batch_size": 32,
        "overrides": [{"position": 2, "values": {"learning_rate": 1e-3, "epochs": 5}}],
    },
}
CONTRADICTED = {"velin", "dorrak"}
"""The groups that the capability task contradicts by default."""


def test_a_monitored_stage_tells_its_calls_and_stops(embedded: Embedded) -> None:
    experiment = embedded.client.submit(WATCHED)
    finish(embedded.client, experiment)
    (stage,) = [
        s
        for s in embedded.client.stages(experiment)
        if s.kind == "train" and "reference" in s.inputs
    ]
    manifest = embedded.client.stage(experiment, stage.key).manifest
    assert manifest is not None
    facts = manifest.meta["monitor"]
    assert isinstance(facts, dict)
    calls = facts["calls"]
    assert isinstance(calls, dict)
    assert calls
    assert set(calls) <= CONTRADICTED
    assert facts["stopped_at"] == manifest.meta["steps"] < 150
    events = [e for e in embedded.client.events(experiment) if e.stage == stage.key]
    told = {str(e.data["group"]): e.data["step"] for e in events if e.type == "stage.breach"}
    assert told == calls
    metrics = [e.data["metrics"] for e in events if e.type == "stage.progress"]
    assert any("worst_biased_forgetting" in json.dumps(of) for of in metrics)
    assert "monitor.jsonl" in manifest.files
    (seen,) = embedded.client.results(experiment).monitored
    assert {g.group: g.call.step for g in seen.groups if g.call is not None} == calls
    assert seen.stopped_at == facts["stopped_at"]
    assert all(len(g.looks) == facts["looks"] for g in seen.groups)
    assert "What the monitor of" in embedded.client.report_html(experiment)
