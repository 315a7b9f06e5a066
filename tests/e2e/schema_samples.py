"""Documents that use every field of a JSON Schema, with values that are not the defaults."""

from collections.abc import Iterator
from typing import Any

__all__ = ["samples"]

Schema = dict[str, Any]


def samples(document: Schema, schema: Schema, tag: str | None = None) -> list[Any]:
    """Values of `schema` that use each of its fields, and each kind of value of a field, at least
    once. References lead into `document`; `tag` is the field that tells variants apart.

    The values have the right types; what they name need not exist.
    """
    schema = _resolved(document, schema)
    variants = [
        _resolved(document, one) for one in schema.get("anyOf") or schema.get("oneOf") or ()
    ]
    if variants:
        tag = schema.get("discriminator", {}).get("propertyName")
        kinds = [one for one in variants if one.get("type") != "null"]
        found = [value for one in kinds for value in samples(document, one, tag)]
        nullable = len(kinds) < len(variants)
        return [*found, None] if nullable and "x-default" in schema else found
    if "properties" in schema:
        return list(_objects(document, schema, tag))
    if schema.get("type") == "object":
        (values,) = schema.get(
            "patternProperties", {"": schema.get("additionalProperties")}
        ).values()
        return [{f"key{n}": value for n, value in enumerate(samples(document, values))}]
    if schema.get("type") == "array":
        items = samples(document, schema["items"])
        return [items if items != schema.get("default") else items * 2]
    return _single(schema)


def _resolved(document: Schema, schema: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    found: Any = document
    for part in schema["$ref"].split("/")[1:]:
        found = found[part]
    return {**_resolved(document, found), **{k: v for k, v in schema.items() if k != "$ref"}}


def _objects(document: Schema, schema: Schema, tag: str | None) -> Iterator[Schema]:
    fields = {
        key: samples(document, one)
        for key, one in schema["properties"].items()
        if key == tag or "const" not in one
    }
    for n in range(max(map(len, fields.values()), default=1)):
        whole = {key: values[n % len(values)] for key, values in fields.items()}
        yield {key: value for key, value in whole.items() if value is not None or n}


def _single(schema: Schema) -> list[Any]:
    usual = schema.get("default")
    if "const" in schema:
        return [schema["const"]]
    if "enum" in schema:
        return [value for value in schema["enum"] if value != usual][-1:]
    match schema.get("type"):
        case "boolean":
            return [not usual]
        case "integer":
            return [int(schema.get("minimum", 0)) + (usual == schema.get("minimum"))]
        case "number":
            lowest: Any = schema.get("minimum", schema.get("exclusiveMinimum", 0))
            return [lowest + 0.015625]
        case "string":
            return ["2031-05-04" if schema.get("format") == "date" else "some-name"]
    return [{"any": [1, "x"]}, 0.5, "text", [1, [2]]]
