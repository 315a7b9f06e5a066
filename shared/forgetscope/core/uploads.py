"""Which uploaded data sets a definition, or a stage, reads."""

from pydantic import JsonValue

__all__ = ["uploads_in"]


def uploads_in(value: JsonValue) -> frozenset[str]:
    """Digests of the sources of kind `upload` anywhere in parameters or a definition."""
    match value:
        case {"kind": "upload", "digest": str() as digest}:
            return frozenset({digest})
        case dict():
            return frozenset(digest for item in value.values() for digest in uploads_in(item))
        case list():
            return frozenset(digest for item in value for digest in uploads_in(item))
    return frozenset()
