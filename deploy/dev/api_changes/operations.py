"""Paths, parameters, bodies and answers of two descriptions, compared."""

from collections.abc import Iterator, Mapping
from typing import Any

from .schemas import Change, Document, Excess

__all__ = ["breaking_changes"]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
Part = Mapping[str, Any]


def breaking_changes(old: Document, new: Document) -> list[Change]:
    """What may break a client that was made for `old`; each once. Raises NotComparableError."""
    return list(dict.fromkeys(_Comparison(old, new).changes()))


class _Comparison:
    def __init__(self, old: Document, new: Document) -> None:
        self._old, self._new = old, new
        self._sent = Excess(old, new, reader=False)
        self._answered = Excess(new, old, reader=True)

    def changes(self) -> Iterator[Change]:
        before, now = _operations(self._old), _operations(self._new)
        for name, operation in before.items():
            if name in now:
                yield from self._operation(name, operation, now[name])
            else:
                yield Change(name, "is gone")
        names = [
            {f"schema {name}" for name in document.get("components", {}).get("schemas", {})}
            for document in (self._old, self._new)
        ]
        for name in sorted(names[0] - names[1]):
            yield Change(name, "has lost its name, which generated clients use")

    def _operation(self, name: str, old: Part, new: Part) -> Iterator[Change]:
        was, is_now = old.get("operationId"), new.get("operationId")
        if was != is_now:
            yield Change(name, f"operationId was {was} and is {is_now}")
        if new.get("security", []) not in ([], old.get("security", [])):
            yield Change(name, "asks for other credentials")
        yield from self._parameters(name, _parameters(old), _parameters(new))
        yield from self._body(f"{name} body", old.get("requestBody"), new.get("requestBody"))
        yield from self._answers(name, old["responses"], new["responses"])

    def _parameters(
        self, name: str, old: Mapping[str, Part], new: Mapping[str, Part]
    ) -> Iterator[Change]:
        for key in old.keys() | new.keys():
            where = f"{name} {key}"
            if key not in new:
                yield Change(where, "is gone")
            elif key not in old:
                if new[key].get("required"):
                    yield Change(where, "is new and required")
            else:
                if new[key].get("required") and not old[key].get("required"):
                    yield Change(where, "is required now")
                for word in ("style", "explode"):
                    if old[key].get(word) != new[key].get(word):
                        yield Change(where, f"{word} is another")
                yield from self._sent.find(where, old[key]["schema"], new[key]["schema"])

    def _body(self, where: str, old: Part | None, new: Part | None) -> Iterator[Change]:
        if old is None or new is None:
            if old is not None:
                yield Change(where, "is gone")
            elif new is not None and new.get("required"):
                yield Change(where, "is new and required")
            return
        if new.get("required") and not old.get("required"):
            yield Change(where, "is required now")
        yield from self._contents(where, old["content"], new["content"], sent=True)

    def _answers(
        self, name: str, old: Mapping[str, Part], new: Mapping[str, Part]
    ) -> Iterator[Change]:
        for status in sorted(old.keys() | new.keys()):
            where = f"{name} {status}"
            if status not in new:
                yield Change(where, "is gone")
            elif status not in old:
                # A client has to expect problems that it does not know.
                if not status.startswith(("4", "5")):
                    yield Change(where, "is a new answer")
            else:
                yield from self._answer(where, old[status], new[status])

    def _answer(self, where: str, old: Part, new: Part) -> Iterator[Change]:
        lost = {h.lower() for h in old.get("headers", ())} - {
            h.lower() for h in new.get("headers", ())
        }
        for header in sorted(lost):
            yield Change(where, f"header {header} is gone")
        contents = old.get("content", {}), new.get("content", {})
        yield from self._contents(where, *contents, sent=False)

    def _contents(
        self, where: str, old: Mapping[str, Part], new: Mapping[str, Part], *, sent: bool
    ) -> Iterator[Change]:
        for media_type in old:
            if media_type not in new:
                yield Change(where, f"{media_type} is gone")
                continue
            before, now = (each[media_type].get("schema", True) for each in (old, new))
            found = self._sent.find if sent else self._answered.find
            yield from found(where, *((before, now) if sent else (now, before)))


def _operations(document: Document) -> dict[str, Part]:
    """By method and path. What stands on a path for all its methods is put into each."""
    shared = {"parameters": [], "security": document.get("security", [])}
    return {
        f"{method.upper()} {path}": {
            **shared,
            **item[method],
            "parameters": [*item.get("parameters", ()), *item[method].get("parameters", ())],
        }
        for path, item in document.get("paths", {}).items()
        for method in METHODS
        if method in item
    }


def _parameters(operation: Part) -> dict[str, Part]:
    """By place and name; the names of headers have no case."""
    found = {}
    for parameter in operation["parameters"]:
        name = parameter["name"]
        place = parameter["in"]
        found[f"{place} parameter {name.lower() if place == 'header' else name}"] = parameter
    return found
