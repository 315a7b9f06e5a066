"""The public contract as a reviewed snapshot: `make openapi` writes it."""

import json
import re
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
        "The API has changed. If that is meant: make openapi"
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
            "get_ready",
            "503",
        ):
            assert list(response["content"]) == ["application/problem+json"]
    assert {"422", "500", "503"} <= set(operation["responses"])


def test_operations_have_names_that_are_fit_for_functions() -> None:
    names = [p.id or "" for p in OPERATIONS]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+){0,3}", name)] == []


# Variables of the functions that openapi-python-client makes: a parameter of that name clashes.
TAKEN = {"params", "headers", "cookies", "client", "body", "response"}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_parameter_has_a_name_that_generated_functions_use(operation: dict[str, Any]) -> None:
    assert TAKEN.isdisjoint(p["name"] for p in operation.get("parameters", ()))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_bodies_and_json_answers_are_schemas_with_a_name(operation: dict[str, Any]) -> None:
    messages = [operation.get("requestBody", {}), *operation["responses"].values()]
    schemas = [
        content["schema"]
        for message in messages
        for media_type, content in message.get("content", {}).items()
        if media_type.endswith(("/json", "+json"))
    ]
    assert [schema for schema in schemas if list(schema) != ["$ref"]] == []


def test_no_two_schemas_have_the_same_title() -> None:
    """Generators name classes after titles."""
    schemas = DOCUMENT["components"]["schemas"]
    titles = [schema["title"] for name, schema in schemas.items() if name != "JsonValue"]
    assert sorted({title for title in titles if titles.count(title) > 1}) == []


def test_the_examples_are_what_they_show() -> None:
    schema = {"$ref": "#/components/schemas/ExperimentSpec-Input"} | {
        "components": DOCUMENT["components"]
    }
    for example in SPEC_EXAMPLES.values():
        ExperimentSpec.model_validate(example["value"])
        jsonschema.Draft202012Validator(schema).validate(example["value"])
    PlanView.model_validate(PLAN_EXAMPLE)
