"""Values of columnar files as plain JSON."""

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from pydantic import JsonValue

__all__ = ["plain"]


def plain(value: object) -> JsonValue:
    """Dates and times become ISO 8601 text, durations seconds; decimals and UUIDs become text, so
    that no digit is lost. Lists, structs and maps stay what they are.

    Raises ValueError for what JSON cannot hold: bytes (images, sounds), numbers that are not
    finite, keys of a map that are not text.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no number of JSON")
        return value
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("a map has keys that are not text")
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return [plain(item) for item in value]
    raise ValueError(f"values of type {type(value).__name__} are not read")
