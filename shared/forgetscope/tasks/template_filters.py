"""The filters of prompts: each takes values of a row, and gives text of bounded length."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from jinja2 import Undefined

from forgetscope.core.words import word_of

__all__ = ["FILTERS", "MissingColumn", "TemplateFault", "limited", "written"]


class TemplateFault(Exception):
    """Why a template cannot be used, or not on this row. Holds no text of the row."""


class MissingColumn(TemplateFault):
    """The row lacks a column that the template needs."""

    def __init__(self, column: str) -> None:
        super().__init__(f"column {column!r} is missing")
        self.column = column


def written(value: object, path: str) -> str:
    """A value as it stands in the prompt; `path` is its column."""
    if isinstance(value, Undefined):
        raise MissingColumn(path)
    word = word_of(value)
    if word is None:
        kind = "null" if value is None else "a list or an object"
        hint = "use default or if" if value is None else "name a field, use join or a loop"
        raise TemplateFault(f"column {path!r} holds {kind}: {hint}")
    return word


def limited(function: Callable[..., Any], limit: int) -> Callable[..., Any]:
    """The filter; no text that goes in or comes out is longer than `limit`."""

    @wraps(function)
    def checked(value: object, *arguments: str) -> object:
        if isinstance(value, str) and len(value) > limit:
            raise TemplateFault(f"a value has more than {limit} characters")
        if function is _replace and len(_text(value)) * (1 + len(arguments[1])) > 16 * limit:
            raise TemplateFault(f"replace could give more than {16 * limit} characters")
        return function(value, *arguments)

    return checked


def _text(value: object) -> str:
    if isinstance(value, Undefined):
        str(value)  # raises, with the name of the column
    word = word_of(value)
    if word is None:
        raise TemplateFault("a filter for text was given null, a list or an object")
    return word


def _list(value: object) -> list[Any]:
    if isinstance(value, Undefined):
        str(value)
    if not isinstance(value, list) or not value:
        raise TemplateFault("a filter for lists was given something else, or an empty list")
    return value


def _join(value: object, between: str = "") -> str:
    return between.join(map(_text, _list(value)))


def _replace(value: object, old: str, new: str) -> str:
    return _text(value).replace(old, new)


def _default(value: object, other: str) -> object:
    return other if value is None or isinstance(value, Undefined) else value


# Name → function and the numbers of arguments that it takes.
FILTERS: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "trim": (lambda value: _text(value).strip(), (0,)),
    "lower": (lambda value: _text(value).lower(), (0,)),
    "upper": (lambda value: _text(value).upper(), (0,)),
    "title": (lambda value: _text(value).title(), (0,)),
    "capitalize": (lambda value: _text(value).capitalize(), (0,)),
    "join": (_join, (0, 1)),
    "replace": (_replace, (2,)),
    "first": (lambda value: _list(value)[0], (0,)),
    "last": (lambda value: _list(value)[-1], (0,)),
    "default": (_default, (1,)),
}
