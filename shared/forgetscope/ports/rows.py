"""Raw rows of data sets."""

from collections.abc import Iterator
from typing import Protocol

from forgetscope.schema.example import Row, Source

__all__ = ["Rows", "Source"]


class Rows(Protocol):
    """Reads rows, and tells whether they are still the same.

    Raises `UnknownName` when a file is not there and `BadRow` (file and row number) when a line
    cannot be read.
    """

    def fingerprint(self, sources: tuple[Source, ...]) -> str:
        """sha256 over the bytes of the files, as hex."""

    def read(self, source: Source) -> Iterator[Row]: ...
