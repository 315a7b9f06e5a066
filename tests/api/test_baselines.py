"""Baselines over a real gateway. The data are prepared for real; other stages are made up."""

import hashlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from api.conftest import Gateway, claim_any, running_gateway
from api.test_audits import AUDIT, submit
from services.analysis.fabricate import FolderIO
from typer.testing import CliRunner

from forgetscope.app.prepare import prepare_data
from forgetscope.cli.main import app
from forgetscope.client import Client
from forgetscope.ports.stage import Work
from forgetscope.schema.audit import AuditSpec
from forgetscope.schema.base import JsonObject
from forgetscope.schema.stage import Manifest

TASK: dict[str, Any] = {"id": "safety", "name": "synthetic_safety", "evaluation_examples": 120}
OTHER: dict[str, Any] = {"id": "skill", "name": "synthetic_capability", "evaluation_examples": 60}
POLICY = {"name": "release", "tasks": [{"task": t["id"]} for t in (TASK, OTHER)]}
SETTINGS = {"max_length": 512, "noise_floor": None}
AGAINST: dict[str, Any] = AUDIT | {
    "reference": {"source": "baseline", "name": "production"},
    "tasks": [TASK],
    "policy": POLICY,
}
NOBODY = "00000000-0000-4000-8000-000000000000"


class Audited(NamedTuple):
    """A gateway with an audit that has succeeded, as the baseline `production`."""

    gateway: Gateway
    audit: str


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    home = tmp_path_factory.mktemp("baselines")
    with running_gateway(home) as gateway, httpx.Client(base_url=gateway.url, timeout=20) as http:
        changes = {"tasks": [TASK, OTHER], "policy": POLICY, "evaluation": SETTINGS}
        audit = submit(http, AUDIT | changes)
        work(gateway, home)
        answer = http.put("/v1/baselines/production", json={"audit": audit})
        assert answer.status_code == 201, answer.text
        assert answer.headers["Location"] == "/v1/baselines/production"
        yield Audited(gateway, audit)


@pytest.fixture
def http(audited: Audited) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=audited.gateway.url, timeout=20) as client:
        yield client


def work(gateway: Gateway, folder: Path) -> list[tuple[str, str]]:
    """Play every worker. Returns (kind, key) of each stage that ran."""
    records, store, ran = gateway.platform.records, gateway.platform.store, []
    while (claim := claim_any(gateway.platform)) is not None:
        ran.append((claim.kind, claim.key))
        output = folder / f"{claim.key}-{uuid.uuid4()}"
        meta: JsonObject = {"outcome": "pass"}
        io = FolderIO({}, output)
        if claim.kind == "prepare_data":
            done = Work(claim.key, claim.kind, claim.params, claim.inputs, 0)
            meta = prepare_data(done, io, rows=gateway.platform.rows)
        else:
            (output / "notes.txt").write_text(claim.key)
        files = {p.name: store.put(p, "text/plain") for p in output.iterdir()}
        manifest = Manifest(stage=claim.key, kind=claim.kind, files=files, meta=meta)
        assert records.finish(claim.key, claim.attempt, manifest, log_tail="").accepted
    return ran


def refused(answer: httpx.Response, status: int = 422) -> tuple[str, str]:
    """(pointer, detail) of the first fault."""
    assert answer.status_code == status, answer.text
    problem = answer.json()
    (first,) = problem.get("errors") or [{"pointer": "", "detail": problem["detail"]}]
    return first["pointer"], first["detail"]


def test_a_baseline_says_what_was_scored_and_with_what(
    audited: Audited, http: httpx.Client
) -> None:
    found = http.get("/v1/baselines/production").json()
    assert (found["name"], found["audit"], found["side"]) == (
        *("production", audited.audit, "candidate"),
    )
    assert found["model"] == {"source": "builtin", "name": "tiny"}
    assert (found["engine"], found["evaluation"]["max_length"]) == ("transformers", 512)
    artifacts = http.get(f"/v1/audits/{audited.audit}/artifacts").json()
    for task, items in zip(found["tasks"], (120, 60), strict=True):
        (file,) = [
            http.get(a["href"]).content
            for a in artifacts["items"]
            if a["path"] == "examples.jsonl" and a["label"]["task"] == task["id"]
        ]
        assert task["examples"] == hashlib.sha256(file).hexdigest()
        assert task["items"] == items == len(file.splitlines())
    assert http.get(found["links"]["audit"]).json()["id"] == audited.audit
    assert found in http.get("/v1/baselines").json()["items"]


def test_the_same_again_is_the_same_and_another_model_needs_replace(
    audited: Audited, http: httpx.Client
) -> None:
    first = http.get("/v1/baselines/production").json()
    again = http.put("/v1/baselines/production", json={"audit": audited.audit})
    assert (again.status_code, again.json()) == (200, first)
    staging = {"audit": audited.audit, "side": "candidate"}
    assert http.put("/v1/baselines/staging", json=staging).status_code == 201
    other = staging | {"side": "reference"}
    answer = http.put("/v1/baselines/staging", json=other)
    assert "candidate of audit" in refused(answer, 409)[1]
    assert "replace=true" in answer.json()["hint"]
    replaced = http.put("/v1/baselines/staging", params={"replace": "true"}, json=other)
    assert (replaced.status_code, replaced.json()["side"]) == (200, "reference")
    assert http.delete("/v1/baselines/staging").status_code == 204
    assert http.delete("/v1/baselines/staging").status_code == 404


def test_what_cannot_be_a_baseline_is_said(http: httpx.Client) -> None:
    unfinished = submit(http, AUDIT | {"name": "unfinished"})
    body = {"audit": unfinished}
    assert "is queued" in refused(http.put("/v1/baselines/new", json=body), 409)[1]
    assert http.post(f"/v1/audits/{unfinished}/cancel").status_code == 202
    assert "is cancelled" in refused(http.put("/v1/baselines/new", json=body), 409)[1]
    nobody = refused(http.put("/v1/baselines/new", json={"audit": NOBODY}))
    assert nobody == ("/audit", f"There is no audit '{NOBODY}'.")
    assert refused(http.put("/v1/baselines/new", json={"audit": "x"}))[0] == "/audit"
    side = body | {"side": "both"}
    assert refused(http.put("/v1/baselines/new", json=side))[0] == "/side"
    for name in ("Production", "a b", "ä", "..%2Faudits", "%00", "a" * 65, "-a", "a%0A"):
        answer = http.put(f"/v1/baselines/{name}", json=body)
        assert answer.status_code in {404, 422}, name
        if answer.status_code == 422:
            assert "cannot be the name" in answer.json()["detail"]
    assert http.get("/v1/baselines/new").status_code == 404


def test_an_audit_is_kept_while_it_is_a_baseline(audited: Audited, http: httpx.Client) -> None:
    answer = http.delete(f"/v1/audits/{audited.audit}")
    assert "'production'" in refused(answer, 409)[1]
    assert "Delete that baseline" in answer.json()["hint"]


def test_an_audit_against_a_baseline_scores_the_candidate_only(
    audited: Audited, http: httpx.Client, tmp_path: Path
) -> None:
    plan = http.post("/v1/audits", params={"dry_run": True}, json=AGAINST).json()
    # The candidate is the model of the baseline here: nothing is left but the verdict.
    assert (plan["to_run"], plan["existing"]) == (1, 3)
    assert (
        plan["engine_reason"] == "transformers, because baseline 'production' was scored with it."
    )
    shorter = AGAINST | {"tasks": [TASK], "evaluation": {"noise_floor": {"items": 40}}}
    audit = submit(http, shorter)
    assert [kind for kind, _ in work(audited.gateway, tmp_path)] == ["noise_floor", "audit"]
    view = http.get(f"/v1/audits/{audit}").json()
    assert view["spec"]["reference"] == AGAINST["reference"]
    assert view["spec"]["evaluation"]["max_length"] == 512
    assert view["notes"] == [f"Baseline 'production' is the candidate of audit {audited.audit}."]
    (judged,) = [
        http.get(f"/v1/audits/{audit}/stages/{s['key']}").json()
        for s in http.get(f"/v1/audits/{audit}/stages", params={"kind": "audit"}).json()["items"]
    ]
    baseline = http.get("/v1/baselines/production").json()
    told = judged["params"]["baseline"]
    assert told["used"]["created_at"] == baseline["created_at"]
    assert told["items"] == {t["id"]: t["examples"] for t in baseline["tasks"]}


@pytest.mark.parametrize(
    ("changes", "pointer", "words"),
    [
        ({"reference": {"source": "baseline", "name": "none"}}, "/reference/name", "no baseline"),
        ({"reference": {"source": "baseline", "name": "A b"}}, "/reference/baseline/name", ""),
        ({"candidate": AGAINST["reference"]}, "/candidate", ""),
        (
            {"tasks": [TASK, {"id": "new", "name": "synthetic_safety"}]},
            "/tasks/1",
            "was not scored on 'new'",
        ),
        (
            {"tasks": [OTHER, TASK | {"evaluation_examples": 119}]},
            "/tasks/1",
            "'safety' has other items",
        ),
        ({"tasks": [TASK | {"balance": "groups"}]}, "/tasks/0", "'safety' has other items"),
        ({"evaluation": {"dtype": "bfloat16"}}, "/evaluation/dtype", "'float32'"),
        ({"evaluation": {"engine": "vllm"}}, "/evaluation/engine", "'transformers'"),
    ],
)
def test_what_cannot_be_compared_with_a_baseline_is_said_with_its_place(
    http: httpx.Client, changes: dict[str, Any], pointer: str, words: str
) -> None:
    rules = {"tasks": [{"task": name} for name in ("safety", "skill", "new")], "name": "p"}
    name = str(uuid.uuid4())
    answer = http.post("/v1/audits", json=AGAINST | {"name": name, "policy": rules} | changes)
    where, detail = refused(answer)
    assert where.startswith(pointer.split("/baseline", maxsplit=1)[0]) and words in detail
    assert http.get("/v1/audits", params={"name": name}).json()["items"] == []


def test_a_submitted_audit_does_not_follow_the_name(
    audited: Audited, http: httpx.Client, tmp_path: Path
) -> None:
    body = {"audit": audited.audit}
    assert http.put("/v1/baselines/passing", json=body).status_code == 201
    spec = AGAINST | {"name": "kept", "reference": {"source": "baseline", "name": "passing"}}
    key = str(uuid.uuid4())
    audit = submit(http, spec, **{"Idempotency-Key": key})
    note = http.get(f"/v1/audits/{audit}").json()["notes"]
    other = body | {"side": "reference"}
    assert http.put("/v1/baselines/passing?replace=true", json=other).status_code == 200
    assert submit(http, spec, **{"Idempotency-Key": key}) == audit
    assert http.delete("/v1/baselines/passing").status_code == 204
    assert submit(http, spec, **{"Idempotency-Key": key}) == audit
    clash = http.post("/v1/audits", json=AGAINST, headers={"Idempotency-Key": key})
    assert clash.status_code == 409
    work(audited.gateway, tmp_path)
    found = http.get(f"/v1/audits/{audit}").json()
    assert (found["state"], found["notes"]) == ("succeeded", note)


def test_the_client_stores_lists_and_deletes_baselines(audited: Audited) -> None:
    with Client(audited.gateway.url) as client:
        put = client.baselines.put("mine", audited.audit, side="reference")
        assert client.baselines.get("mine") == put
        assert put in list(client.baselines.list())
        # A specification made as a value says nothing of the settings either.
        planned = client.audits.plan(AuditSpec.model_validate(AGAINST))
        assert planned.to_run == 1
        client.baselines.delete("mine")
        assert "mine" not in {found.name for found in client.baselines.list()}


def test_the_command_line_sets_shows_lists_and_removes(audited: Audited) -> None:
    def run(*arguments: str, status: int = 0) -> str:
        runner = CliRunner(env={"FORGETSCOPE_URL": audited.gateway.url, "COLUMNS": "160"})
        result = runner.invoke(app, ["baseline", *arguments])
        assert result.exit_code == status, result.output
        assert "Traceback" not in result.output
        return result.output

    said = run("set", "cli", audited.audit)
    assert f"cli: the candidate of audit {audited.audit}" in said
    assert "safety: 120 items of synthetic_safety, sha256" in said
    assert "--replace" in run("set", "cli", audited.audit, "--side", "reference", status=3)
    run("set", "cli", audited.audit, "--side", "reference", "--replace")
    assert json.loads(run("show", "cli", "--json"))["side"] == "reference"
    assert run("list").index("cli") < run("list").index("production"), "newest first"
    assert json.loads(run("list", "--json", "--limit", "1"))[0]["name"] == "cli"
    assert "Removed." in run("remove", "cli")
    assert "no baseline 'cli'" in run("show", "cli", status=3)
    run("set", "cli", audited.audit, "--side", "both", status=2)
    run("list", "--home", "/no/such/folder", status=2)
