"""The columns of a data set, and the kind of value that each holds in every row."""

from collections.abc import Mapping

from pydantic import JsonValue

from forgetscope.schema.errors import BadRow
from forgetscope.schema.example import Row

__all__ = ["Columns"]

MAX_COLUMNS = 1000
MAX_NAME = 500
MAX_DEPTH = 64


class Columns:
    """Takes in rows one by one and keeps only what it knows of their columns.

    The kinds are string, integer, number, boolean, array and object. A column has one kind in
    every row; integers among numbers are numbers. A column may be null, or missing, in a row:
    then its kind ends in "or null"; one without any value is just "null".
    """

    def __init__(self) -> None:
        self._kinds: dict[str, str | None] = {}
        self._filled: dict[str, int] = {}
        self.rows = 0
        self.size = 0

    def add(self, row: Row) -> None:
        """Raises BadRow, which names the row and its column.

        `size` grows by the row's characters, and by 8 for every other value.
        """
        self.rows += 1
        for name, value in row.data.items():
            if name not in self._kinds:
                self._add_column(name, row)
            self.size += _checked(value, row, name, 1)
            kind = _kind(value)
            if kind is not None:
                self._kinds[name] = _common(self._kinds[name], kind, row, name)
                self._filled[name] += 1

    def kinds(self) -> dict[str, str]:
        """Kind of value by name, in the order in which the columns appeared."""
        return {name: self._words(name, kind) for name, kind in self._kinds.items()}

    def _words(self, name: str, kind: str | None) -> str:
        if kind is None:
            return "null"
        return kind if self._filled[name] == self.rows else f"{kind} or null"

    def _add_column(self, name: str, row: Row) -> None:
        if len(self._kinds) == MAX_COLUMNS:
            raise _bad(row, name, f"there are more than {MAX_COLUMNS} columns")
        if len(name) > MAX_NAME:
            raise _bad(row, name, f"the name of a column has more than {MAX_NAME} characters")
        _checked(name, row, name, 0)
        self._kinds[name] = None
        self._filled[name] = 0


def _kind(value: JsonValue) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "number"
        case list():
            return "array"
    return "object"


def _common(before: str | None, kind: str, row: Row, name: str) -> str:
    if before is None or before == kind:
        return kind
    if {before, kind} == {"integer", "number"}:
        return "number"
    raise _bad(row, name, f"the value is of kind {kind}; in the rows before it was {before}")


def _checked(value: JsonValue, row: Row, name: str, depth: int) -> int:
    """Size of a value. Refuses what databases and other readers do not take."""
    if depth > MAX_DEPTH:
        raise _bad(row, name, f"the value is nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        if "\0" in value:
            raise _bad(row, name, "a text holds a NUL character")
        return len(value)
    if isinstance(value, list):
        return 8 + sum(_checked(item, row, name, depth + 1) for item in value)
    if isinstance(value, Mapping):
        keys = sum(_checked(key, row, name, depth + 1) for key in value)
        return 8 + keys + sum(_checked(item, row, name, depth + 1) for item in value.values())
    return 8


def _bad(row: Row, name: str, detail: str) -> BadRow:
    shown = name if len(name) <= 80 else f"{name[:80]}…"
    return BadRow(detail, where=f"{row.file}, row {row.number}, column {shown!r}")
