"""Streams that fail before they answer, or break off, but never end well with wrong bytes."""

from collections.abc import Iterator
from itertools import chain

__all__ = ["opened"]


def opened(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks, with the first one read already (an error then is still a proper answer) and
    each handed on only after its successor was read.

    A store finds out after the last chunk that the bytes do not match their digest. By then the
    client has not got that chunk: the connection breaks off short of its Content-Length.
    """
    held = _one_behind(chunks)
    first = next(held, b"")
    return chain([first], held)


def _one_behind(chunks: Iterator[bytes]) -> Iterator[bytes]:
    last: bytes | None = None
    for chunk in chunks:
        if last is not None:
            yield last
        last = chunk
    if last is not None:
        yield last
