"""Validation errors in words, with JSON pointers into the body that was sent. Pure."""

import re
from collections.abc import Sequence
from typing import Any

from forgetscope.schema.views import ProblemItem

__all__ = ["body_faults", "parameter_faults"]

MAX_FAULTS = 50
MAX_TEXT = 500


def body_faults(found: Sequence[Any], body: object) -> tuple[ProblemItem, ...]:
    """One item per fault, at most 50. The input itself is not repeated."""
    items = list(
        dict.fromkeys(
            (_pointer(fault["loc"][1:], body), _words(fault["msg"]), fault["type"])
            for fault in found
        )
    )
    pointers = [pointer for pointer, _, _ in items]
    return tuple(
        ProblemItem(pointer=pointer, detail=words)
        for pointer, words, kind in items
        # Of a union, the branch that the input took fails below the branch that it did not take.
        if not (kind.endswith("_type") and any(p.startswith(f"{pointer}/") for p in pointers))
    )[:MAX_FAULTS]


def parameter_faults(found: Sequence[Any]) -> str:
    """All faults of query parameters and headers, in one line."""
    return "; ".join(
        f"{fault['loc'][0]} parameter {fault['loc'][-1]!r}: {_words(fault['msg'])}"
        for fault in found[:MAX_FAULTS]
        if fault["loc"][0] != "body"
    )


def _words(message: str) -> str:
    words = message.removeprefix("Value error, ").replace("a valid tuple", "an array")
    words = re.sub(
        r"a valid dictionary( or (instance of \w+|object to extract fields from))?",
        "an object",
        words,
    )
    return words if len(words) <= MAX_TEXT else f"{words[:MAX_TEXT]}…"


def _pointer(location: Sequence[str | int], body: object) -> str:
    """The location as a JSON pointer (RFC 6901). Parts that are not in the body are the
    validator's own (branches of unions), but for the last one: a missing field."""
    pointer, here = "", body
    for n, part in enumerate(location):
        inside, below = _step(here, part)
        if inside:
            here = below
        elif not (isinstance(here, dict) and n == len(location) - 1 and _is_name(part)):
            continue
        pointer += "/" + str(part)[:100].replace("~", "~0").replace("/", "~1")
    return pointer


def _step(here: object, part: str | int) -> tuple[bool, object]:
    if isinstance(here, dict) and part in here:
        return True, here[part]
    if isinstance(here, list) and isinstance(part, int) and part < len(here):
        return True, here[part]
    return False, None


def _is_name(part: str | int) -> bool:
    return isinstance(part, str) and part.isidentifier() and part.islower()
