import threading
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from api.conftest import Gateway, claim_any, fail_one, finish_all, spec_with

NOWHERE = "/v1/experiments/00000000-0000-4000-8000-000000000000"


def submit(http: httpx.Client, spec: dict[str, Any]) -> str:
    response = http.post("/v1/experiments", json=spec)
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["type"], body["status"]) == (f"/problems/{code}", status)
    return body


def test_a_submission_is_accepted_and_found_at_its_location(http: httpx.Client) -> None:
    response = http.post("/v1/experiments", json=spec_with(1))
    assert response.status_code == 202
    view = http.get(response.headers["location"]).json()
    assert view["id"] == response.json()["id"]
    assert (view["state"], view["name"]) == ("queued", "both orders")
    assert view["spec"]["tasks"][0]["name"] == "synthetic_safety"
    assert view["eta_seconds"] is None and view["eta_basis"]
    assert all(
        http.get(link).status_code in {200, 404, 405}
        for link in view["links"].values()
        if not link.endswith("events")
    )


def test_a_repeated_idempotency_key_gives_the_same_answer_and_runs_nothing_twice(
    http: httpx.Client,
) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    name = str(uuid.uuid4())
    first = http.post("/v1/experiments", json=spec_with(2, name=name), headers=headers)
    again = http.post("/v1/experiments", json=spec_with(2, name=name), headers=headers)
    assert (first.status_code, first.text) == (again.status_code, again.text)
    assert first.headers["location"] == again.headers["location"]
    assert len(http.get("/v1/experiments", params={"name": name}).json()["items"]) == 1


def test_an_idempotency_key_of_another_request_is_refused(http: httpx.Client) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    http.post("/v1/experiments", json=spec_with(3), headers=headers)
    other = http.post("/v1/experiments", json=spec_with(4), headers=headers)
    problem(other, 409, "idempotency-conflict")


@pytest.mark.parametrize("key", ["", "two words", "x" * 201])
def test_an_idempotency_key_that_is_none_is_refused(http: httpx.Client, key: str) -> None:
    response = http.post("/v1/experiments", json=spec_with(3), headers={"Idempotency-Key": key})
    assert "idempotency-key" in problem(response, 422, "invalid-input")["detail"]


def test_a_plan_states_memory_and_gpu_hours_before_anything_runs(http: httpx.Client) -> None:
    answer = http.post("/v1/plans", json=spec_with(7, curvature={"examples": 8}))
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    rows = {(row["kind"], row["way"], row["over"]): row for row in plan["memory"]}
    training = rows["train", "full", "all weights"]
    assert training["parameters"] == 475_776
    assert 0 < training["weights"] < training["total"] < 1
    assert {way for kind, way, _ in rows if kind == "curvature"} == {
        "exact",
        "layered",
        "finite_differences",
    }
    assert plan["compute"]["flops"] == 2 * 475_776 * plan["tokens"]
    assert plan["compute"]["gpu_hours"] > 0


def test_the_model_of_the_paper_is_planned_where_its_files_are_not_but_not_submitted(
    http: httpx.Client,
) -> None:
    revision = "0123456789abcdef0123456789abcdef01234567"
    model = {"source": "hub", "id": "meta-llama/Llama-2-7b-hf", "revision": revision}
    spec = spec_with(7, model=model, curvature={"examples": 8})
    plan = http.post("/v1/plans", json=spec).json()
    (training,) = [row for row in plan["memory"] if row["kind"] == "train"]
    assert training["total"] > 100
    assert plan["compute"]["gpu_hours"] > 0.01
    assert any("plan only" in note for note in plan["notes"])
    refused = http.post("/v1/experiments", json=spec)
    assert refused.status_code == 422
    assert "offline" in refused.json()["detail"]
    model["id"] = "nobody/model"
    unknown = http.post("/v1/plans", json=spec)
    assert unknown.status_code == 422
    assert unknown.json()["errors"][0]["pointer"] == "/model"


def test_a_dry_run_answers_with_the_plan_and_leaves_no_trace(http: httpx.Client) -> None:
    name = str(uuid.uuid4())
    spec = spec_with(5, name=name)
    dry = http.post("/v1/experiments", params={"dry_run": True}, json=spec)
    planned = http.post("/v1/plans", json=spec)
    assert (dry.status_code, planned.status_code) == (200, 200)
    assert dry.json() == planned.json()
    assert (dry.json()["trainings"], dry.json()["to_run"]) == (4, len(dry.json()["stages"]))
    assert http.get("/v1/experiments", params={"name": name}).json()["items"] == []


def test_the_list_goes_through_all_pages_and_filters(http: httpx.Client) -> None:
    name = str(uuid.uuid4())
    ids = [submit(http, spec_with(6, name=f"{name} {n}")) for n in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"name": name, "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = http.get("/v1/experiments", params=query).json()
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ids[::-1]
    query = {"name": name, "state": "succeeded"}
    assert http.get("/v1/experiments", params=query).json()["items"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 201},
        {"limit": "many"},
        {"state": "asleep"},
        {"cursor": "made up"},
        {"cursor": "x" * 2000},
        {"name": "\0"},
        {"limits": 5},
        {"limit": ["1", "2"]},
    ],
)
def test_a_list_refuses_parameters_that_it_does_not_have(
    http: httpx.Client, query: dict[str, Any]
) -> None:
    problem(http.get("/v1/experiments", params=query), 422, "invalid-input")


@pytest.mark.parametrize("address", [NOWHERE, "/v1/experiments/x", "/v1/experiments/%00"])
@pytest.mark.parametrize(
    ("method", "part"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("GET", "/stages"),
        ("GET", f"/stages/{'0' * 64}"),
        ("GET", "/stages/key"),
        ("GET", "/events"),
        ("GET", "/results"),
        ("GET", "/report"),
        ("GET", "/artifacts"),
        ("GET", f"/artifacts/{'0' * 64}/a.txt"),
        ("GET", f"/artifacts/{'0' * 64}/../../a"),
    ],
)
def test_what_is_not_there_is_not_found(
    http: httpx.Client, address: str, method: str, part: str
) -> None:
    problem(http.request(method, address + part), 404, "not-found")


def test_a_cancelled_experiment_can_be_retried_and_deleted(http: httpx.Client) -> None:
    address = f"/v1/experiments/{submit(http, spec_with(7))}"
    problem(http.delete(address), 409, "conflict")
    problem(http.post(f"{address}/retry"), 409, "conflict")
    cancelled = http.post(f"{address}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    problem(http.post(f"{address}/cancel"), 409, "conflict")
    retried = http.post(f"{address}/retry")
    assert (retried.status_code, retried.json()["state"]) == (202, "queued")
    http.post(f"{address}/cancel")
    deleted = http.delete(address)
    assert (deleted.status_code, deleted.content) == (204, b"")
    problem(http.get(address), 404, "not-found")


def test_stages_are_listed_by_kind_and_shown_with_their_attempts(
    fresh_gateway: Gateway, tmp_path: Path
) -> None:
    with httpx.Client(base_url=fresh_gateway.url) as http:
        address = f"/v1/experiments/{submit(http, spec_with(8))}"
        finish_all(fresh_gateway.platform, tmp_path)
        trainings = http.get(f"{address}/stages", params={"kind": "train", "limit": 200}).json()
        assert [s["state"] for s in trainings["items"]] == ["succeeded"] * 4
        first = http.get(f"{address}/stages", params={"limit": 1}).json()
        assert len(first["items"]) == 1 and first["next_cursor"]
        detail = http.get(f"{address}/stages/{trainings['items'][0]['key']}").json()
        assert [a["outcome"] for a in detail["attempts"]] == ["succeeded"]
        assert detail["attempts"][0]["log_tail"] == "all well"
        assert "notes" in next(iter(detail["manifest"]["files"]))
        assert detail["params"]["learning_rate"] > 0


def test_a_failed_stage_shows_why_and_only_stops_what_depends_on_it(
    fresh_gateway: Gateway, tmp_path: Path
) -> None:
    with httpx.Client(base_url=fresh_gateway.url) as http:
        address = f"/v1/experiments/{submit(http, spec_with(9))}"
        claim = claim_any(fresh_gateway.platform)
        assert claim is not None
        fail_one(fresh_gateway.platform, claim)
        finish_all(fresh_gateway.platform, tmp_path)
        view = http.get(address).json()
        assert view["state"] == "failed"
        assert view["failures"][claim.key]["detail"] == "the disk is full"
        body = problem(http.get(f"{address}/results"), 404, "not-found")
        assert "failed" in body["detail"]


def test_requests_are_served_while_others_wait(http: httpx.Client, gateway: Gateway) -> None:
    experiment = submit(http, spec_with(10))
    open_streams = [
        threading.Thread(target=_first_event, args=(gateway.url, experiment)) for _ in range(8)
    ]
    for thread in open_streams:
        thread.start()
    began = time.monotonic()
    assert http.get("/v1/health/live").status_code == 200
    assert time.monotonic() - began < 5
    for thread in open_streams:
        thread.join()


def _first_event(url: str, experiment: str) -> None:
    with httpx.stream("GET", f"{url}/v1/experiments/{experiment}/events") as response:
        next(response.iter_lines())
