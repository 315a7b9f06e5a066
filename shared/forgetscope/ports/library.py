"""The library: data sets and tasks that users brought along.

Every method is one transaction. Raises `Unavailable` when the database does not answer.
"""

from typing import NamedTuple, Protocol

from forgetscope.schema.base import JsonObject
from forgetscope.schema.stage import BlobRef
from forgetscope.schema.views import Page

__all__ = ["DatasetRow", "Library", "TaskRow"]


class DatasetRow(NamedTuple):
    """An uploaded data set: immutable bytes in the store under `digest`.

    `columns` maps each column to the kinds of its values, e.g. "string" or "integer or null".
    """

    digest: str
    name: str
    format: str
    size: int
    rows: int
    columns: dict[str, str]
    created_at: float


class TaskRow(NamedTuple):
    """A registered task: its definition under its name."""

    name: str
    definition: JsonObject
    created_at: float


class Library(Protocol):
    """See the module's docstring."""

    def add_dataset(
        self, blob: BlobRef, *, name: str, format: str, rows: int, columns: dict[str, str]
    ) -> tuple[DatasetRow, bool]:
        """Record an upload whose bytes are in the store. The same bytes again are the first
        record, and created=False. The store's collector keeps away from recorded bytes.

        Raises Conflict when the bytes are being collected at this moment: put them again.
        """

    def dataset(self, digest: str) -> DatasetRow:
        """Raises NotFound."""

    def datasets(self, *, cursor: str | None, limit: int) -> Page[DatasetRow]:
        """Newest first. Raises InvalidInput for a foreign cursor."""

    def delete_dataset(self, digest: str) -> None:
        """Forget an upload; its bytes become garbage.

        Raises NotFound; Conflict while a recorded stage or a registered task reads it.
        """

    def add_task(
        self, name: str, definition: JsonObject, *, datasets: frozenset[str]
    ) -> tuple[TaskRow, bool]:
        """Register a task that reads the uploads `datasets` (digests). The same definition again
        is the first record, and created=False.

        Raises Conflict when the name stands for another definition; NotFound for an upload.
        """

    def task(self, name: str) -> TaskRow:
        """Raises NotFound."""

    def tasks(self) -> tuple[TaskRow, ...]:
        """All, by name."""

    def delete_task(self, name: str) -> None:
        """Forget a task. Experiments keep the definition that they were planned with.
        Raises NotFound."""
