"""Values of a row as words. Pure."""

import json

__all__ = ["word_of"]


def word_of(value: object) -> str | None:
    """Text as it is, numbers and truth values as JSON writes them; None for everything else.

    A whole number that was read as a float (CSV and Parquet files have such columns) is written
    without its point.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value) if isinstance(value, (bool, int, float)) else None
