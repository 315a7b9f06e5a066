"""JSON Schemas as lists of alternatives, without references, unions and enumerations.

`{"anyOf": [{"type": "null"}, {"enum": ["a", "b"]}]}` becomes null, const "a", const "b". Each
alternative has one type, or a `const`, or neither (anything). `allOf` is merged into them.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

__all__ = ["LOWER", "UPPER", "NotComparableError", "Schema", "alternatives", "tagged"]

Schema = Mapping[str, Any]

_ABOUT = {
    "number": ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
    "object": (
        *("properties", "required", "additionalProperties", "patternProperties"),
        *("propertyNames", "minProperties", "maxProperties"),
    ),
}
LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
# What says nothing about which values are valid, and what is taken apart here.
_NOT_OWN = (
    *("title", "description", "examples", "example", "default", "discriminator", "deprecated"),
    *("$ref", "anyOf", "oneOf", "allOf", "enum"),
)


class NotComparableError(Exception):
    """A schema says something that this program does not understand."""


def alternatives(
    schema: Schema | bool, resolve: Callable[[str], Schema], above: tuple[str, ...] = ()
) -> list[Schema]:
    """A value is valid under the schema if it is valid under one of these.

    `resolve` finds what a reference points to. Raises NotComparableError.
    """
    if isinstance(schema, bool):
        return [{}] if schema else []
    own = {key: schema[key] for key in schema if key not in _NOT_OWN and not key.startswith("x-")}
    found = _by_type(own)
    if "enum" in schema:
        found = _both(found, [{"const": value} for value in schema["enum"]])
    if (target := schema.get("$ref")) is not None:
        if target in above:
            raise NotComparableError(f"{target} refers to nothing but itself")
        found = _both(found, alternatives(resolve(target), resolve, (*above, target)))
    for part in schema.get("allOf", ()):
        found = _both(found, alternatives(part, resolve, above))
    for union in ("anyOf", "oneOf"):
        if union in schema:
            parts = [alternatives(part, resolve, above) for part in schema[union]]
            found = _both(found, [each for part in parts for each in part])
    return [_relevant(each) for each in found if _is_possible(each)]


def _is_possible(schema: Schema) -> bool:
    words = {key: schema[key] for key in schema.keys() & {"type", "pattern", *LOWER, *UPPER}}
    return "const" not in schema or bool(Draft202012Validator(words).is_valid(schema["const"]))


def _relevant(schema: Schema) -> Schema:
    """Without the words that are about other types than its own."""
    kind = schema.get("type")
    kind = "number" if kind == "integer" else kind
    others = [words for about, words in _ABOUT.items() if kind not in (None, about)]
    return {key: schema[key] for key in schema if not any(key in words for words in others)}


def _by_type(schema: Schema) -> list[Schema]:
    if not isinstance(schema.get("type"), list):
        return [schema]
    return [{**schema, "type": kind} for kind in schema["type"]]


def _both(some: list[Schema], others: list[Schema]) -> list[Schema]:
    merged = [_merged(one, other) for one in some for other in others]
    return [each for each in merged if each is not None]


def _merged(one: Schema, other: Schema) -> Schema | None:
    """What is valid under both; None where nothing can be."""
    made: dict[str, Any] = {**one, **other}
    kinds = {each["type"] for each in (one, other) if "type" in each}
    if kinds:
        kinds = {"integer"} if kinds == {"integer", "number"} else kinds
        made["type"] = kinds.pop()
    if kinds:
        return None
    for key in (one.keys() & other.keys()) - {"type"}:
        if json.dumps(one[key]) == json.dumps(other[key]):  # True is 1 in Python
            continue
        if key == "const":
            return None
        made[key] = _merged_keyword(key, one[key], other[key])
    for closed, open_ in ((one, other), (other, one)):
        foreign = open_.get("properties", {}).keys() - closed.get("properties", {}).keys()
        if foreign and "additionalProperties" in closed:
            raise NotComparableError(f"allOf: additionalProperties stands beside {sorted(foreign)}")
    return made


def _merged_keyword(key: str, one: Any, other: Any) -> Any:
    if key in LOWER:
        return max(one, other)
    if key in UPPER:
        return min(one, other)
    if key == "required":
        return sorted({*one, *other})
    if key in {"properties", "patternProperties"}:
        both = {name: {"allOf": [one[name], other[name]]} for name in one.keys() & other.keys()}
        return {**one, **other, **both}
    if key in {"items", "propertyNames", "additionalProperties"}:
        return {"allOf": [one, other]}
    if key == "pattern":
        return f"^(?=[\\s\\S]*(?:{one}))(?=[\\s\\S]*(?:{other}))"
    raise NotComparableError(f"allOf with two of {key}")


def tagged(schema: Schema, resolve: Callable[[str], Schema]) -> dict[str, Any]:
    """The fields of an object that can have one value only: what tells alternatives apart."""
    found = {}
    for name, part in schema.get("properties", {}).items():
        kinds = alternatives(part, resolve)
        if len(kinds) == 1 and "const" in kinds[0]:
            found[name] = kinds[0]["const"]
    return found
