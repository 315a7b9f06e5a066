import re
import shutil
from pathlib import Path

import httpx
import pytest
from api.conftest import Gateway
from api.test_experiments import problem

from forgetscope.api.errors import ROWS
from forgetscope.schema import errors


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
        ("TRACE", "/v1/tasks", {"GET"}),
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


def test_a_broken_database_is_unavailable_and_an_unforeseen_fault_is_an_id(
    fresh_gateway: Gateway, tmp_path: Path
) -> None:
    with httpx.Client(base_url=fresh_gateway.url) as http:
        for file in tmp_path.glob("records.sqlite*"):
            file.write_bytes(b"not a database" * 1000)
        response = http.get("/v1/experiments")
        assert response.status_code in {500, 503}
        body = response.json()
        if response.status_code == 503:
            assert response.headers["retry-after"].isdigit()
        else:
            assert body["instance"].startswith("urn:uuid:")
        assert "sqlite" not in response.text and "Traceback" not in response.text


def test_the_documentation_needs_no_foreign_host(http: httpx.Client) -> None:
    assert http.get("/").headers["location"] == "/docs"
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
