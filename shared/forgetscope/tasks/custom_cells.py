"""Columns of a row, read as a definition names them. Errors name file, row and column, no text."""

import difflib
import hashlib
import re
from collections.abc import Iterable

from pydantic import JsonValue

from forgetscope.core.words import word_of
from forgetscope.schema.custom_parts import GroupColumn
from forgetscope.schema.example import Row
from forgetscope.tasks.base import bad_row

__all__ = ["cell", "groups_of", "key_of", "missing", "texts", "word"]

# At most three words: longer values may be texts of the data set.
_PLAIN_KEY = re.compile(r"(?=.{1,40}\Z)[\w.:+-]+( +[\w.:+-]+){0,2}")


def cell(row: Row, column: str) -> JsonValue:
    """The value of a column; dots lead into objects unless a key has them itself."""
    if column in row.data:
        return row.data[column]
    here: JsonValue = row.data
    for part in column.split("."):
        if not isinstance(here, dict) or part not in here:
            raise bad_row(row, missing(row, column))
        here = here[part]
    return here


def missing(row: Row, column: str) -> str:
    """That a row has no such column, and which one may be meant."""
    first = column.partition(".")[0]
    near = [] if first in row.data else difflib.get_close_matches(first, row.data, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return f"column {column!r} is missing{meant}"


def word(row: Row, column: str) -> str:
    """A column that must hold text, a number or a truth value; blanks at the ends are cut off."""
    found = word_of(cell(row, column))
    if found is None:
        raise bad_row(row, f"column {column!r} holds neither text nor a number")
    return found.strip()


def texts(row: Row, column: str, field: str | None = None) -> tuple[str, ...]:
    """A column that holds a list of texts, or of objects with a text in `field`."""
    value = cell(row, column)
    if not isinstance(value, list):
        raise bad_row(row, f"column {column!r} holds no list")
    found = []
    for number, item in enumerate(value, start=1):
        if field is not None:
            item = item.get(field) if isinstance(item, dict) else None  # noqa: PLW2901
        text = word_of(item)
        if text is None:
            what = "no text" if field is None else f"no text in its field {field!r}"
            raise bad_row(row, f"column {column!r}: item {number} has {what}")
        found.append(text.strip())
    return tuple(found)


def groups_of(row: Row, rule: GroupColumn) -> tuple[str, ...]:
    """The known groups of a row by one column, each once."""
    value = cell(row, rule.column)
    if value is None:
        return ()
    if isinstance(value, list):
        words: Iterable[str] = texts(row, rule.column)
    elif rule.separator is not None:
        words = (part.strip() for part in word(row, rule.column).split(rule.separator))
    else:
        words = (word(row, rule.column),)
    known = [one for one in words if one and one not in rule.unknown]
    if rule.map and any(one not in rule.map for one in known):
        raise bad_row(
            row, f"column {rule.column!r}: a group is neither in the map nor among the unknown ones"
        )
    return tuple(dict.fromkeys(rule.map.get(one, one) for one in known))


def key_of(*words: str) -> str:
    """A name for a combination of values: readable where they are short, else a digest, because
    names stand in messages, and texts of data sets do not."""
    if all(_PLAIN_KEY.fullmatch(one) for one in words):
        return "/".join(words)
    return hashlib.sha256("\x1f".join(words).encode()).hexdigest()[:16]
