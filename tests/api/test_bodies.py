import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from api.conftest import MAX_BODY_BYTES, SPEC
from api.test_experiments import problem

JSON = {"Content-Type": "application/json"}


def send(http: httpx.Client, content: bytes | Iterator[bytes]) -> httpx.Response:
    return http.post("/v1/plans", content=content, headers=JSON)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"tasks: [arc]",
        b'{"name": "\xff"}',
        json.dumps(SPEC).encode("utf-16"),
        b'{"name": "a", "name": "b"}',
        b'{"seeds": [NaN]}',
        b'{"seeds": [Infinity]}',
        b'{"seeds": [1e999]}',
        b'{"seeds": [' + b"9" * 5000 + b"]}",
        b'{"seeds": [-9007199254740993]}',
        b'{"name": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"name": "\\u0000"}',
        b"[" * 9000,
        b"[" * 66 + b"]" * 66,
        b'{"a":' * 500 + b"1" + b"}" * 500,
    ],
)
def test_a_body_that_is_not_plain_json_is_malformed(http: httpx.Client, content: bytes) -> None:
    problem(send(http, content), 400, "malformed-body")


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/xml", "nonsense", "a/b/c"])
def test_a_body_that_is_not_said_to_be_json_is_refused(
    http: httpx.Client, media_type: str | None
) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    response = http.post("/v1/plans", content=json.dumps(SPEC).encode(), headers=headers)
    problem(response, 415, "unsupported-media-type")


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "application/x+json"])
def test_json_under_its_other_names_is_read(http: httpx.Client, media_type: str) -> None:
    content = json.dumps(SPEC).encode()
    response = http.post("/v1/plans", content=content, headers={"Content-Type": media_type})
    assert response.status_code == 200


def test_a_body_over_the_limit_is_refused_with_and_without_its_length(http: httpx.Client) -> None:
    problem(send(http, b" " * (MAX_BODY_BYTES + 1)), 413, "too-large")
    problem(send(http, iter([b" " * MAX_BODY_BYTES, b"  "])), 413, "too-large")


def test_a_body_at_the_limit_is_read(http: httpx.Client) -> None:
    content = json.dumps(SPEC).encode().ljust(MAX_BODY_BYTES)
    assert send(http, content).status_code == 200
    assert send(http, iter([content[:100], content[100:]])).status_code == 200


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"tasks": []}, "/tasks"),
        ({"tasks": ["arc", {"name": 5}]}, "/tasks/1/name"),
        ({"tasks": [{"name": "arc", "train_examples": 0}]}, "/tasks/0/train_examples"),
        ({"taks": 1}, "/taks"),
        ({"chains": [["safety"], []]}, "/chains/1"),
        ({"chains": {"generate": "all"}}, "/chains/generate"),
        ({"chains": 5}, "/chains"),
        ({"model": {"source": "hub", "id": "a/b"}}, "/model/revision"),
        ({"model": {"source": "attic"}}, "/model"),
        ({"training": {"method": {"name": "full", "extra/~": 1}}}, "/training/method/extra~1~0"),
        ({"training": {"overrides": [{"values": {}}]}}, "/training/overrides/0"),
        ({"seeds": [0, -1]}, "/seeds/1"),
        ({"chains": [["safety"], ["safety"]]}, ""),
    ],
)
def test_each_fault_is_pointed_at(http: httpx.Client, change: dict[str, Any], pointer: str) -> None:
    body = problem(http.post("/v1/plans", json=SPEC | change), 422, "invalid-input")
    assert pointer in [item["pointer"] for item in body["errors"]]


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"chains": [["unheard"]]}, "invalid-spec", "/chains/0/0"),
        ({"tasks": ["arcc"], "chains": [["arcc"]]}, "unknown-name", "/tasks/0"),
        ({"training": {"method": "magic"}}, "unknown-name", None),
        ({"model": {"source": "builtin", "name": "huge"}}, "unknown-name", "/model"),
        ({"model": {"source": "local", "path": "/etc"}}, "path-not-allowed", "/model"),
        (
            {"seeds": list(range(100)), "chains": [["safety", "capability"] * 8]},
            "plan-too-large",
            None,
        ),
        (
            {
                "tasks": [{"name": "synthetic_safety", "train_examples": 900_000}],
                "chains": [["synthetic_safety"]],
            },
            "not-enough-examples",
            "/tasks/0",
        ),
        ({"evaluation": {"engine": "vllm"}}, "unknown-name", "/evaluation/engine"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(
    http: httpx.Client, change: dict[str, Any], code: str, pointer: str | None
) -> None:
    body = problem(http.post("/v1/experiments", json=SPEC | change), 422, code)
    if pointer is not None:
        assert body["errors"][0]["pointer"].startswith(pointer)


def test_a_fault_never_repeats_a_long_input(http: httpx.Client) -> None:
    response = http.post("/v1/plans", json=SPEC | {"name": "x" * 5000, "y" * 5000: 1})
    assert len(problem(response, 422, "invalid-input")["errors"]) == 2
    assert len(response.content) < 2000
