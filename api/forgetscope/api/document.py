"""The OpenAPI description, made so that people and generators of clients can use it."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from forgetscope.schema.stage import RunKind
from forgetscope.schema.views import Problem

__all__ = ["document_of", "name_of", "name_under"]


def name_of(route: APIRoute) -> str:
    """The operationId: the function's own name. Generators name their functions after it, so that
    it is part of the contract."""
    return route.name


def name_under(kind: RunKind, route: APIRoute) -> str:
    """The operationId of a route that is mounted below several kinds: `list_stages` of an audit is
    `list_audit_stages`."""
    verb, _, rest = route.name.partition("_")
    return f"{verb}_{kind}_{rest}"


def document_of(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1, with the problem's own schema, which no route names as its model."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            license_info=app.license_info,
            routes=app.routes,
        )
        _, problem = models_json_schema(
            [(Problem, "serialization")], ref_template="#/components/schemas/{model}"
        )
        schemas = document["components"]["schemas"]
        schemas |= problem["$defs"]
        for operation in (o for path in document["paths"].values() for o in path.values()):
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _without_null(parameter["schema"])
        for name, schema in schemas.items():
            if name.endswith(("-Input", "-Output")):
                schema["title"] = name.replace("-", "")
        _tell_defaults_of_unions(document)
        app.openapi_schema = document
    return app.openapi_schema


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter can be left out, but there is no way to write null into a URL or a header."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    return {**kinds[0], **{key: value for key, value in schema.items() if key != "anyOf"}}


def _tell_defaults_of_unions(node: object) -> None:
    """Say an object that is the default of a union in words and as an example: generators have no
    way to write it down as a default, and drop the schema and every operation that needs it."""
    if isinstance(node, list):
        for item in node:
            _tell_defaults_of_unions(item)
    if isinstance(node, dict):
        if node.keys() & {"oneOf", "anyOf"} and isinstance(node.get("default"), dict):
            default = node.pop("default")
            words = (node.get("description"), f"default: `{json.dumps(default)}`")
            node["description"] = "; ".join(filter(None, words))
            node["examples"] = [default]
            node["x-default"] = default  # the dashboard's forms are made from this document
        for item in node.values():
            _tell_defaults_of_unions(item)
