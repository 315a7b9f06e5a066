"""Where an upload waits while it is checked."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from forgetscope.schema.views import DatasetFormat

__all__ = ["Arrival", "Contents", "Inbox"]


class Contents(NamedTuple):
    """What an upload holds. `columns`: see `forgetscope.core.columns`."""

    rows: int
    columns: dict[str, str]


class Arrival(Protocol):
    """The bytes of one upload, in a file that is gone when the arrival ends, or its process."""

    @property
    def path(self) -> Path: ...

    @property
    def digest(self) -> str:
        """sha256 of what has been written, as hex."""

    def write(self, piece: bytes) -> None:
        """Append. Raises Unavailable when the disk is full."""

    def contents(self, name: str, format: DatasetFormat) -> Contents:
        """Read every row. `name` is the file's name in errors.

        Raises BadRow, which names row and column; TooLarge for too many rows, or for rows that
        need too much memory or time; Unavailable when too many others are being read.
        """


class Inbox(Protocol):
    """See the module's docstring."""

    def arrival(self) -> AbstractContextManager[Arrival]:
        """Begin an upload. Raises Unavailable when the disk does not take it."""
