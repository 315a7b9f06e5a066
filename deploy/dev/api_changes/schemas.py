"""What one JSON Schema allows and another does not."""

import json
import re
from collections.abc import Iterator, Mapping
from math import ceil, floor, inf
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from .alternatives import LOWER, UPPER, Schema, alternatives, tagged

__all__ = ["Change", "Document", "Excess"]

Document = Mapping[str, Any]

_STRUCTURE = {
    *("type", "const", "items", "prefixItems", "required", "properties"),
    *("additionalProperties", "patternProperties", "propertyNames"),
}
_NAMED = "#/components/schemas/"


class Change(NamedTuple):
    """A breaking change: where in the description, and what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class Excess:
    """Finds what is valid in a part of `inner` and not in a part of `outer`.

    With `reader`, `outer` is what a client was made for, which ignores fields that it does not
    know, and misses those that are gone. Without, `outer` is what a server accepts now. Faults
    within a named schema are told by its name.
    """

    def __init__(self, inner: Document, outer: Document, *, reader: bool) -> None:
        self._inner, self._outer, self._reader = inner, outer, reader
        self._seen: dict[str, list[Change]] = {}

    def find(self, where: str, inner: Schema | bool, outer: Schema | bool) -> list[Change]:
        """Nothing: all that is valid in `inner` is valid in `outer`. Raises NotComparableError."""
        pair = json.dumps([inner, outer], sort_keys=True)
        if pair not in self._seen:
            self._seen[pair] = []  # for a schema that contains itself: no fault until one is found
            if isinstance(inner, Mapping) and inner.get("$ref", "").startswith(_NAMED):
                side = "in answers" if self._reader else "in requests"
                where = f"{inner['$ref'].removeprefix(_NAMED)} ({side}) "
            self._seen[pair] = list(self._excess(where, inner, outer))
        return self._seen[pair]

    def _excess(self, where: str, inner: Schema | bool, outer: Schema | bool) -> Iterator[Change]:
        allowed = alternatives(outer, self._in_outer)
        for one in alternatives(inner, self._in_inner):
            tries = [list(self._of_one(where, one, other)) for other in self._like(one, allowed)]
            if all(tries):
                what = f"{self._name(one)} {self._may_now()}"
                yield from min(tries, key=len, default=[Change(where, what)])

    def _may_now(self) -> str:
        return "may be answered now" if self._reader else "is refused now"

    def _name(self, alternative: Schema) -> str:
        if "const" in alternative:
            return json.dumps(alternative["const"])
        tags = tagged(alternative, self._in_inner)
        return json.dumps(tags) if tags else str(alternative.get("type", "any value"))

    def _like(self, one: Schema, allowed: list[Schema]) -> list[Schema]:
        """The alternatives that could hold it: those of its type and of its tag."""
        if "const" in one:
            return [each for each in allowed if self._is_valid(one["const"], each)]
        tags = tagged(one, self._in_inner)
        found = []
        for each in allowed:
            theirs = tagged(each, self._in_outer)
            if all(tags[name] == theirs[name] for name in tags.keys() & theirs.keys()) and (
                "type" not in each or (one.get("type"), each["type"]) in _fits(each["type"])
            ):
                found.append(each)
        return found

    def _is_valid(self, value: object, schema: Schema) -> bool:
        whole = {**schema, "components": self._outer.get("components", {})}
        return bool(Draft202012Validator(whole).is_valid(value))

    def _of_one(self, where: str, inner: Schema, outer: Schema) -> Iterator[Change]:
        """Of alternatives that are alike. A `const` within is valid already."""
        if "const" in inner:
            return
        if "const" in outer or ("type" not in inner and outer.keys() - inner.keys()):
            yield Change(where, f"{self._name(inner)} {self._may_now()}")
            return
        ours, theirs = _limits(inner), _limits(outer)
        for name, limit in theirs.items():
            if ours.get(name, (-inf, False)) < limit and limit != _NO_LIMIT.get(name):
                yield self._changed(where, name, inner.get(name), outer.get(name))
        for name in sorted(outer.keys() - _STRUCTURE - {*LOWER, *UPPER}):
            if inner.get(name) != outer[name]:
                yield self._changed(where, name, inner.get(name), outer[name])
        yield from self._items(where, inner, outer)
        yield from self._fields(where, inner, outer)

    def _changed(self, where: str, name: str, inner: object, outer: object) -> Change:
        old, new = (outer, inner) if self._reader else (inner, outer)
        return Change(where, f"{name} was {json.dumps(old)} and is {json.dumps(new)}")

    def _items(self, where: str, inner: Schema, outer: Schema) -> Iterator[Change]:
        ours, theirs = inner.get("prefixItems", ()), outer.get("prefixItems", ())
        most = inner.get("maxItems", inf)
        for n in range(max(len(ours), len(theirs)) + 1):
            if n < most:
                mine = ours[n] if n < len(ours) else inner.get("items", True)
                other = theirs[n] if n < len(theirs) else outer.get("items", True)
                yield from self.find(f"{where}/*", mine, other)

    def _fields(self, where: str, inner: Schema, outer: Schema) -> Iterator[Change]:
        for name in sorted({*outer.get("required", ())} - {*inner.get("required", ())}):
            what = "can be left out now" if self._reader else "is required now"
            yield Change(f"{where}/{name}", what)
        ours, theirs = inner.get("properties", {}), outer.get("properties", {})
        for name in sorted(ours.keys() | theirs.keys()):
            if self._reader and name not in ours:
                yield Change(f"{where}/{name}", "is gone")
            yield from self._field(f"{where}/{name}", _of_name(inner, name), _of_name(outer, name))
        patterns = inner.get("patternProperties", {}).keys()
        for pattern in {*patterns, *outer.get("patternProperties", {}), None}:
            mine, other = _of_pattern(inner, pattern), _of_pattern(outer, pattern)
            yield from self._field(f"{where}/*", mine, other)
        names = outer.get("propertyNames", True)
        mine = {"type": "string", **inner.get("propertyNames", {})}
        yield from self.find(f"{where}/* (name)", mine, names)

    def _field(self, where: str, inner: Schema | bool, outer: Schema | bool) -> Iterator[Change]:
        if inner is False or (outer is False and self._reader):
            return
        if outer is False:
            yield Change(where, "is gone")
        else:
            yield from self.find(where, inner, outer)

    def _in_inner(self, reference: str) -> Schema:
        return _resolved(self._inner, reference)

    def _in_outer(self, reference: str) -> Schema:
        return _resolved(self._outer, reference)


_NO_LIMIT = {"minLength": (0, False), "minItems": (0, False), "minProperties": (0, False)}


def _limits(schema: Schema) -> dict[str, tuple[float, bool]]:
    """Each limit so that a higher one is the narrower; an exclusive one under the name of the
    other."""
    found: dict[str, tuple[float, bool]] = {}
    for names, sign in ((LOWER, 1), (UPPER, -1)):
        for name in names:
            if name in schema:
                common = name.replace("exclusiveM", "m")
                limit, exclusive = sign * schema[name], name != common
                if schema.get("type") == "integer":
                    limit, exclusive = floor(limit) + 1 if exclusive else ceil(limit), False
                found[common] = max((limit, exclusive), found.get(common, (-inf, False)))
    return found


def _fits(kind: str) -> set[tuple[str | None, str]]:
    return {(kind, kind), ("integer", "number")}


def _resolved(document: Document, reference: str) -> Schema:
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    found: Schema = node
    return found


def _of_name(schema: Schema, name: str) -> Schema | bool:
    """What a field of this name has to be."""
    patterns = schema.get("patternProperties", {})
    found = [part for pattern, part in patterns.items() if re.search(pattern, name)]
    if name in schema.get("properties", {}):
        found.append(schema["properties"][name])
    if not found:
        found.append(schema.get("additionalProperties", True))
    return found[0] if len(found) == 1 else {"allOf": found}


def _of_pattern(schema: Schema, pattern: str | None) -> Schema | bool:
    """What fields that match the pattern have to be; None: those that nothing else is about."""
    found: Schema | bool = schema.get("patternProperties", {}).get(
        pattern, schema.get("additionalProperties", True)
    )
    return found
