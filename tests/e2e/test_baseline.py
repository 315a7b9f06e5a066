"""A model is audited, named, and gone; the next one is audited against its name. For real."""

import shutil
from pathlib import Path

import pytest
from e2e.conftest import Embedded
from endpoint_peer import Peer
from safetensors.torch import load_file, save_file

from forgetscope.client import InvalidRequest
from forgetscope.schema.audit import AuditResults
from forgetscope.trainer.builtin import make

pytestmark = pytest.mark.timeout(600)

TASK: dict[str, object] = {"id": "safety", "name": "synthetic_safety", "evaluation_examples": 60}
POLICY = {"name": "release", "tasks": [{"task": "safety", "margin": 0.9}]}
BASELINE = {"source": "baseline", "name": "production"}


def submit(
    embedded: Embedded, reference: object, candidate: Path, task: dict[str, object] = TASK
) -> str:
    spec: dict[str, object] = {
        "reference": reference,
        "candidate": {"source": "local", "path": str(candidate)},
        "tasks": [task],
        "policy": POLICY,
        "bootstrap_replicates": 200,
    }
    if reference != BASELINE:
        spec["evaluation"] = {"engine": "transformers", "noise_floor": None, "max_length": 1000}
    return embedded.client.audits.submit(spec)


def results(embedded: Embedded, audit: str) -> AuditResults:
    view = embedded.client.audits.wait(audit)
    assert view.state == "succeeded", view.failures
    return embedded.client.audits.results(audit)


def test_the_next_model_is_audited_against_one_that_is_gone(embedded: Embedded) -> None:
    client = embedded.client
    old, new = embedded.models / "v1", embedded.models / "v2"
    old.mkdir()
    make("tiny", old)
    shutil.copytree(old, new)
    weights = load_file(new / "model.safetensors")
    weights["model.norm.weight"] *= -1
    save_file(weights, new / "model.safetensors", {"format": "pt"})
    first = submit(embedded, {"source": "builtin", "name": "tiny"}, old)
    scored = results(embedded, first)
    stored = client.baselines.put("production", first)
    assert stored.tasks[0].examples == scored.tasks[0].examples
    shutil.rmtree(old)
    with pytest.raises(InvalidRequest):
        submit(embedded, {"source": "local", "path": str(old)}, new)

    second = submit(embedded, BASELINE, new)
    found = results(embedded, second)
    its = {stage.key for stage in client.audits.stages(first)}
    ran = [event.stage for event in client.audits.events(second) if event.type == "stage.running"]
    assert not its & {*ran}
    kinds = sorted(s.kind for s in client.audits.stages(second) if s.key in ran)
    assert kinds == ["audit", "evaluate", "prepare_model"], "the candidate's alone"
    (before,), (after,) = scored.rows, found.rows
    assert after.items == before.items == 60
    # Bootstrap intervals are drawn anew, with the seed of each audit.
    assert after.reference.value == before.candidate.value is not None
    assert found.tasks[0].examples == scored.tasks[0].examples
    assert found.evaluation.max_length == 1000
    used = found.reference.baseline
    assert used is not None and (used.name, used.audit) == ("production", first)
    assert found.reference.files == scored.candidate.files
    assert found.reference.fingerprint == scored.candidate.fingerprint

    with pytest.raises(InvalidRequest, match="'safety' has other items"):
        submit(embedded, BASELINE, new, TASK | {"evaluation_examples": 59})
    client.baselines.delete("production")


def test_a_served_model_is_audited_against_one_that_the_server_has_no_more(
    embedded: Embedded,
) -> None:
    client = embedded.client
    rules = {"task": "safety", "margin": 0.9, "min_items": 2, "min_clusters": 2}
    spec: dict[str, object] = {
        "tasks": [TASK],
        "policy": {"name": "release", "tasks": [rules]},
        "bootstrap_replicates": 200,
    }
    peer = Peer(int(embedded.endpoint.rpartition(":")[2]), limit=2000)
    model = {"source": "endpoint", "url": peer.url, "model": "m"}
    evaluation = {"noise_floor": {"items": 8}}
    try:
        first = client.audits.submit(
            {**spec, "reference": model, "candidate": model, "evaluation": evaluation}
        )
        (calm,) = results(embedded, first).rows
        assert calm.noise_floor == 0
        assert "noise floor" not in calm.reason
        client.baselines.put("served", first)

        peer.answer = peer.batching
        second = client.audits.submit(
            {**spec, "reference": BASELINE | {"name": "served"}, "candidate": model}
        )
        found = results(embedded, second)
    finally:
        peer.stop()
    its = {stage.key for stage in client.audits.stages(first)}
    new = sorted(s.kind for s in client.audits.stages(second) if s.key not in its)
    assert new == ["audit", "evaluate", "noise_floor", "prepare_model"], "the candidate's alone"
    assert found.reference.fingerprint != found.candidate.fingerprint
    (noisy,) = found.rows
    assert (noisy.noise_floor, noisy.verdict) == (1, "underpowered")
    assert noisy.reason == "the margin 0.9 lies below the noise floor 1"
    (noise,) = found.noise
    assert {condition.engine for condition in noise.measured.conditions} == {"endpoint"}
    client.baselines.delete("served")
