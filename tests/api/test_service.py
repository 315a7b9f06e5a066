import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from api.conftest import Gateway
from api.test_experiments import problem
from structlog.testing import capture_logs

from forgetscope.api.errors import ROWS
from forgetscope.schema import errors
from forgetscope.schema.errors import ForgetScopeError


def test_every_error_class_has_its_status() -> None:
    declared = {getattr(errors, name) for name in errors.__all__} - {errors.ForgetScopeError}
    assert declared <= {row.error for row in ROWS}
    codes = [row.error.code for row in ROWS]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.error.code)
def test_every_problem_type_explains_itself(http: httpx.Client, row: object) -> None:
    error = row.error  # type: ignore[attr-defined]
    body = http.get(f"/problems/{error.code}").json()
    assert (body["title"], body["type"]) == (error.title, f"/problems/{error.code}")
    page = http.get(f"/problems/{error.code}", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html") and error.title in page.text


def test_unknown_problem_types_and_addresses_are_not_found(http: httpx.Client) -> None:
    problem(http.get("/problems/none"), 404, "not-found")
    problem(http.get("/v1/nothing"), 404, "not-found")
    problem(http.get("/v1/tasks/"), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "address", "allowed"),
    [
        ("PUT", "/v1/experiments", {"GET", "POST"}),
        ("PATCH", "/v1/experiments/x", {"GET", "DELETE"}),
        ("DELETE", "/v1/plans", {"POST"}),
        ("TRACE", "/v1/tasks", {"GET", "POST"}),
    ],
)
def test_a_wrong_method_is_told_all_right_ones(
    http: httpx.Client, method: str, address: str, allowed: set[str]
) -> None:
    response = http.request(method, address)
    problem(response, 405, "method-not-allowed")
    assert set(response.headers["allow"].split(", ")) == allowed


def test_tasks_and_components_come_with_the_schemas_of_their_parameters(
    http: httpx.Client,
) -> None:
    tasks = http.get("/v1/tasks").json()["items"]
    assert {"safety", "capability"} == {task["kind"] for task in tasks}
    for task in tasks:
        assert http.get(f"/v1/tasks/{task['name']}").json() == task
        assert task["params_schema"]["type"] == "object"
    body = problem(http.get("/v1/tasks/arcs"), 404, "not-found")
    assert "'arc'" in body["hint"]
    catalogue = http.get("/v1/catalogue").json()
    assert {m["name"] for m in catalogue["methods"]} >= {"full", "lora"}
    assert [e["name"] for e in catalogue["engines"]] == ["transformers"]


def test_health_says_what_does_not_answer(fresh_gateway: Gateway, tmp_path: Path) -> None:
    with httpx.Client(base_url=fresh_gateway.url) as http:
        assert http.get("/v1/health/live").json()["status"] == "ok"
        assert http.get("/v1/health/ready").json()["status"] == "ok"
        shutil.rmtree(tmp_path / "unfinished")
        away = http.get("/v1/health/ready")
        assert (away.status_code, away.json()["status"]) == (503, "degraded")
        assert away.json()["components"]["records"] == "ok"
        assert "store" in away.json()["components"]["store"]
        assert http.get("/v1/health/live").status_code == 200


def test_a_database_that_does_not_answer_is_worth_another_try(
    fresh_gateway: Gateway, tmp_path: Path
) -> None:
    with (
        httpx.Client(base_url=fresh_gateway.url) as http,
        closing(sqlite3.connect(tmp_path / "records.sqlite")) as database,
    ):
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("ALTER TABLE experiments RENAME TO elsewhere")
        database.commit()
        response = http.get("/v1/experiments")
        problem(response, 503, "unavailable")
        assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize("fault", [RuntimeError("a secret"), ForgetScopeError("a secret")])
def test_an_unforeseen_fault_leaves_as_an_id_only(
    fresh_gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
) -> None:
    def fail(**_: object) -> None:
        raise fault

    monkeypatch.setattr(fresh_gateway.platform.records, "experiments", fail)
    with capture_logs() as log, httpx.Client(base_url=fresh_gateway.url) as http:
        response = http.get("/v1/experiments")
    body = problem(response, 500, "internal")
    assert body["instance"].startswith("urn:uuid:") and "secret" not in response.text
    assert [entry["incident"] for entry in log] == [body["instance"]]


def test_the_documentation_needs_no_foreign_host(http: httpx.Client) -> None:
    for address in ("/docs", "/redoc"):
        page = http.get(address)
        assert page.status_code == 200
        links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert links and all(link.startswith("/") for link in links)
        for link in links:
            assert http.get(link).status_code == 200
        assert "default-src 'self'" in page.headers["content-security-policy"]


def test_every_answer_carries_the_headers_that_protect_browsers(http: httpx.Client) -> None:
    for address in ("/v1/tasks", "/v1/nothing", "/docs"):
        headers = http.get(address).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
