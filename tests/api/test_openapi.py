"""The public contract as a reviewed snapshot: `python -m forgetscope.api.openapi` writes it."""

import json
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from forgetscope.api.described import PLAN_EXAMPLE, SPEC_EXAMPLES
from forgetscope.api.openapi import text
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import PlanView

SNAPSHOT = Path(__file__).parent / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(text())
OPERATIONS = [
    pytest.param(operation, id=operation["operationId"])
    for methods in DOCUMENT["paths"].values()
    for operation in methods.values()
]


def test_the_document_is_the_reviewed_one() -> None:
    assert text() == SNAPSHOT.read_text(encoding="utf-8"), (
        "The API has changed. If that is meant: "
        "python -m forgetscope.api.openapi > tests/api/openapi.json"
    )


def test_the_gateway_serves_the_document(http: httpx.Client) -> None:
    assert http.get("/openapi.json").json()["paths"] == DOCUMENT["paths"]
    assert DOCUMENT["openapi"].startswith("3.1")


def test_every_reference_resolves() -> None:
    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [r for value in node.values() for r in references(value)]
        return [r for value in node for r in references(value)] if isinstance(node, list) else []

    found = {r for r in references(DOCUMENT) if r.startswith("#/components/")}
    assert "#/components/schemas/Problem" in found
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert found <= known


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_is_described_and_lists_its_problems(operation: dict[str, Any]) -> None:
    assert operation["summary"] and operation["description"] and operation["tags"]
    assert (
        all(p.get("description") or p["name"] == "code" for p in operation["parameters"])
        if ("parameters" in operation)
        else True
    )
    for status, response in operation["responses"].items():
        assert response["description"]
        if int(status) >= 400 and (operation["operationId"], status) != (
            "get_ready_v1_health_ready_get",
            "503",
        ):
            assert list(response["content"]) == ["application/problem+json"]
    assert {"422", "500", "503"} <= set(operation["responses"])


def test_the_examples_are_what_they_show() -> None:
    schema = {"$ref": "#/components/schemas/ExperimentSpec-Input"} | {
        "components": DOCUMENT["components"]
    }
    for example in SPEC_EXAMPLES.values():
        ExperimentSpec.model_validate(example["value"])
        jsonschema.Draft202012Validator(schema).validate(example["value"])
    PlanView.model_validate(PLAN_EXAMPLE)
