"""The values of the language, their bounds, and when two are the same."""

import math

from pydantic import JsonValue

__all__ = [
    "MAX_BITS",
    "MAX_DEPTH",
    "MAX_SIZE",
    "ExpressionError",
    "NoValue",
    "NotAnExpression",
    "fits",
    "same",
]

MAX_SIZE = 1000  # characters and entries
MAX_DEPTH = 50  # levels of an expression, and of a value
MAX_BITS = 1023  # so that every integer is in the range of a float, and none is slow to print


class ExpressionError(Exception):
    """What went wrong. It never repeats the text, which may be offensive."""


class NotAnExpression(ExpressionError):
    """The text is outside of the language, whatever the variables are."""


class NoValue(ExpressionError):
    """The expression has no value for these variables: a fault such as a division by zero, or a
    value on the way that is out of bounds."""


def fits(value: object) -> bool:
    """Whether a value is of the language and within its bounds: None, bool, an integer of at most
    1023 bits, a finite float, a text, or a list, tuple or dict of such.

    The characters and entries in it, at all of its levels together, are at most 1000 (a pair of a
    dict is two); it has at most 50 levels.
    """
    room = MAX_SIZE
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, str):
            room -= len(item)
        elif isinstance(item, list | tuple | dict):
            parts = [p for pair in item.items() for p in pair] if isinstance(item, dict) else item
            room -= len(parts)
            if room < 0 or depth > MAX_DEPTH:
                return False
            waiting += ((part, depth + 1) for part in parts)
        elif isinstance(item, int):
            if item.bit_length() > MAX_BITS:
                return False
        elif isinstance(item, float):
            if not math.isfinite(item):
                return False
        elif item is not None:
            return False
    return room >= 0


def same(value: object, wanted: JsonValue) -> bool:
    """Whether two values that `fits` admits are equal, by value and by type.

    Integers and floats are one type, number, as in JSON. Two integers must be equal; with a float
    among them, two numbers are equal within a relative 1e-9 or an absolute 1e-12, so that another
    order of the same steps is right, too. True is no number, and a tuple is no list.
    """
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(same, value, wanted))
    if isinstance(value, dict) and isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(same(value[k], wanted[k]) for k in wanted)
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, int) and isinstance(wanted, int):
        return value == wanted
    if isinstance(value, int | float) and isinstance(wanted, int | float):
        return math.isclose(value, wanted, rel_tol=1e-9, abs_tol=1e-12)
    return type(value) is type(wanted) and value == wanted
