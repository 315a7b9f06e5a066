"""Audits over HTTP: plan, submit, look, follow, cancel, retry, delete, results."""

import hashlib
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from api.conftest import Gateway, claim_any, fail_one, finish_all, spec_with

from forgetscope.client import Client, NotFound
from forgetscope.schema.audit import AuditedModel, AuditResults, AuditSpec
from forgetscope.schema.experiment import BuiltinModel, ScoringSpec
from forgetscope.schema.policy import Policy
from forgetscope.schema.stage import Manifest

POLICY: dict[str, Any] = {"name": "release", "tasks": [{"task": "safety", "group_margin": 0.05}]}
AUDIT: dict[str, Any] = {
    "name": "candidate",
    "reference": {"source": "builtin", "name": "tiny"},
    "candidate": {"source": "builtin", "name": "tiny"},
    "tasks": [{"id": "safety", "name": "synthetic_safety"}],
    "policy": POLICY,
}


def audit_with(**changes: Any) -> dict[str, Any]:
    """An audit that shares no scoring with those of other tests: one has its own length."""
    return AUDIT | {"name": str(uuid.uuid4())} | changes


def submit(http: httpx.Client, spec: dict[str, Any], **headers: str) -> str:
    response = http.post("/v1/audits", json=spec, headers=headers)
    assert response.status_code == 202, response.text
    assert response.headers["Location"] == f"/v1/audits/{response.json()['id']}"
    return str(response.json()["id"])


def finish_audits(gateway: Gateway, folder: Path) -> AuditResults:
    """Play every worker; what the audits say is made up."""
    model = AuditedModel(model=BuiltinModel(), fingerprint="f", stage="a" * 64, files={})
    results = AuditResults.model_validate(
        {
            "name": "candidate",
            "judged_on": "2026-03-01",
            "outcome": "pass",
            "summary": ["Passed."],
            "rows": [],
            "tasks": [],
            "policy": Policy.model_validate(POLICY),
            "policy_digest": "b" * 64,
            "reference": model,
            "candidate": model,
            "evaluation": ScoringSpec(),
            "engine": "transformers",
        }
    )
    records, store = gateway.platform.records, gateway.platform.store
    while (claim := claim_any(gateway.platform)) is not None:
        contents = {"notes.txt": claim.key}
        if claim.kind == "audit":
            contents = {"audit.json": results.model_dump_json(), "audit.html": "<!doctype html>"}
        files = {}
        for name, text in contents.items():
            path = folder / hashlib.sha256(text.encode()).hexdigest()
            path.write_text(text)
            files[name] = store.put(path, "text/plain")
        manifest = Manifest(stage=claim.key, kind=claim.kind, files=files, meta={"outcome": "pass"})
        assert records.finish(claim.key, claim.attempt, manifest, log_tail="").accepted
    return results


def test_a_dry_run_plans_no_training_and_leaves_no_trace(http: httpx.Client) -> None:
    spec = audit_with()
    plan = http.post("/v1/audits", params={"dry_run": True}, json=spec).json()
    assert plan["trainings"] == 0
    # Reference and candidate are the same model here, and so are their stages.
    assert plan["by_kind"] == {
        "prepare_model": 1,
        "prepare_data": 1,
        "evaluate": 1,
        "noise_floor": 1,
        "audit": 1,
    }
    assert http.get("/v1/audits", params={"name": spec["name"]}).json()["items"] == []


def test_an_audit_goes_its_way_from_submission_to_its_results(
    fresh_gateway: Gateway, tmp_path: Path
) -> None:
    with Client(fresh_gateway.url) as client:
        audit = client.audits.submit(AUDIT)
        view = client.audits.get(audit)
        assert (view.state, view.outcome, view.spec) == (
            "queued",
            None,
            AuditSpec.model_validate(AUDIT),
        )
        results = finish_audits(fresh_gateway, tmp_path)
        assert client.audits.wait(audit).outcome == "pass"
        assert client.audits.results(audit) == results
        assert client.audits.report_html(audit) == "<!doctype html>"
        assert [e.type for e in client.audits.events(audit)][-1] == "audit.succeeded"
        kinds = [stage.kind for stage in client.audits.stages(audit)]
        assert kinds[-1] == "audit"
        files = list(client.audits.artifacts(audit))
        assert all(file.href.startswith(f"/v1/audits/{audit}/artifacts/") for file in files)
        client.download(next(f for f in files if f.path == "audit.json"), tmp_path / "a.json")
        assert AuditResults.model_validate_json((tmp_path / "a.json").read_text()) == results
        assert [each.id for each in client.audits.list(state="succeeded")] == [audit]
        client.audits.delete(audit)
        with pytest.raises(NotFound):
            client.audits.get(audit)


def test_audits_and_experiments_are_not_found_by_the_routes_of_the_other(
    http: httpx.Client,
) -> None:
    audit = submit(http, audit_with())
    experiment = str(http.post("/v1/experiments", json=spec_with(31)).json()["id"])
    for kind, other in (("experiments", audit), ("audits", experiment)):
        for path in ("", "/stages", "/events", "/results", "/report", "/artifacts"):
            answer = http.get(f"/v1/{kind}/{other}{path}", headers={"Accept": "application/json"})
            assert answer.status_code == 404, (kind, path)
        for verb in ("cancel", "retry"):
            assert http.post(f"/v1/{kind}/{other}/{verb}").status_code == 404
        assert http.delete(f"/v1/{kind}/{other}").status_code == 404
        listed = http.get(f"/v1/{kind}", params={"limit": 200}).json()["items"]
        assert other not in {item["id"] for item in listed}
    assert http.post(f"/v1/audits/{audit}/cancel").status_code == 202
    assert http.post(f"/v1/experiments/{experiment}/cancel").status_code == 202


def test_a_repeated_submission_is_the_same_audit(http: httpx.Client) -> None:
    spec, key = audit_with(), str(uuid.uuid4())
    first = submit(http, spec, **{"Idempotency-Key": key})
    assert submit(http, spec, **{"Idempotency-Key": key}) == first
    other = http.post("/v1/audits", json=audit_with(), headers={"Idempotency-Key": key})
    assert other.status_code == 409


def test_what_failed_is_run_again_on_retry_and_cancel_stops_the_rest(
    fresh_gateway: Gateway, tmp_path: Path
) -> None:
    with httpx.Client(base_url=fresh_gateway.url, timeout=20) as http:
        audit = submit(http, audit_with())
        claim = claim_any(fresh_gateway.platform)
        assert claim is not None
        fail_one(fresh_gateway.platform, claim)
        finish_audits(fresh_gateway, tmp_path)
        assert http.get(f"/v1/audits/{audit}").json()["failures"]
        retried = http.post(f"/v1/audits/{audit}/retry").json()
        assert retried["state"] in {"queued", "running"}
        assert http.delete(f"/v1/audits/{audit}").status_code == 409
        assert http.post(f"/v1/audits/{audit}/cancel").json()["state"] == "cancelled"
        refused = http.post(f"/v1/audits/{audit}/cancel").json()
        assert refused["detail"].startswith("Audit ")


def test_what_an_experiment_has_scored_is_not_scored_again(
    fresh_gateway: Gateway, tmp_path: Path
) -> None:
    with httpx.Client(base_url=fresh_gateway.url, timeout=20) as http:
        submitted = http.post("/v1/experiments", json=spec_with(1)).json()
        finish_all(fresh_gateway.platform, tmp_path)
        assert http.get(submitted["links"]["self"]).json()["state"] == "succeeded"
        plan = http.post("/v1/audits", params={"dry_run": True}, json=AUDIT).json()
    assert (plan["existing"], plan["to_run"]) == (4, 1)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        (
            {"tasks": ["nothing"], "policy": {"name": "p", "tasks": [{"task": "nothing"}]}},
            "/tasks/0",
        ),
        ({"candidate": {"source": "builtin", "name": "none"}}, "/candidate"),
        ({"reference": {"source": "local", "path": "/etc"}}, "/reference"),
        (
            {"candidate": {"source": "endpoint", "url": "http://169.254.169.254/v1", "model": "m"}},
            "/candidate/url",
        ),
        ({"tasks": ["synthetic_safety"]}, ""),
        (
            {"policy": {"name": "p", "tasks": [{"task": "safety", "margin": 5}]}},
            "/policy/tasks/0/margin",
        ),
    ],
)
def test_what_cannot_be_audited_is_said_with_its_place(
    http: httpx.Client, changes: dict[str, Any], pointer: str
) -> None:
    answer = http.post("/v1/audits", json=audit_with(**changes))
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"].startswith(pointer)
