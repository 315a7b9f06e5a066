"""`SqlLibrary`: the library port, one transaction a method."""

from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, delete, insert, select, tuple_

from forgetscope.adapters.sql import blobs, values
from forgetscope.adapters.sql.tables import blobs as blobs_table
from forgetscope.adapters.sql.tables import (
    dataset_uses,
    datasets,
    experiment_stages,
    task_datasets,
    tasks,
)
from forgetscope.adapters.sql.transactions import Transactions
from forgetscope.core.identity import digest_of
from forgetscope.ports.library import DatasetRow, TaskRow
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import Conflict, NotFound
from forgetscope.schema.stage import BlobRef
from forgetscope.schema.views import Page

__all__ = ["SqlLibrary"]

T = TypeVar("T")


class SqlLibrary(Transactions):
    """`forgetscope.ports.library.Library`; documented there."""

    # Data sets --------------------------------------------------------------------------------

    def add_dataset(
        self, blob: BlobRef, *, name: str, format: str, rows: int, columns: dict[str, str]
    ) -> tuple[DatasetRow, bool]:
        def add(connection: Connection, now: float) -> tuple[DatasetRow, bool]:
            earlier = _dataset(connection, blob.digest)
            if earlier is not None:
                return earlier, False
            if blobs.is_garbage(connection, blob.digest):
                raise Conflict(
                    f"the bytes of data set {blob.digest!r} are being deleted.",
                    hint="Upload it again in a moment.",
                )
            blobs.add(connection, [blob])
            connection.execute(
                insert(datasets).values(
                    digest=blob.digest,
                    name=name,
                    format=format,
                    rows=rows,
                    columns=columns,
                    created_at=now,
                )
            )
            return _found(connection, blob.digest), True

        return self._change(add)

    def dataset(self, digest: str) -> DatasetRow:
        return self._read(lambda c: _found(c, digest))

    def datasets(self, *, cursor: str | None, limit: int) -> Page[DatasetRow]:
        return self._read(lambda c: _dataset_page(c, cursor, limit))

    def delete_dataset(self, digest: str) -> None:
        def forget(connection: Connection, _now: float) -> None:
            _found(connection, digest)
            _refuse_used(connection, digest)
            connection.execute(delete(datasets).where(datasets.c.digest == digest))
            blobs.retire(connection, [digest])

        self._change(forget)

    # Tasks ------------------------------------------------------------------------------------

    def add_task(
        self, name: str, definition: JsonObject, *, datasets: frozenset[str]
    ) -> tuple[TaskRow, bool]:
        def add(connection: Connection, now: float) -> tuple[TaskRow, bool]:
            earlier = _task(connection, name)
            if earlier is not None:
                if digest_of(earlier.definition) != digest_of(definition):
                    raise Conflict(
                        f"Task {name!r} is registered with another definition.",
                        hint="Choose another name, or delete that task first.",
                    )
                return earlier, False
            for digest in sorted(datasets):
                _found(connection, digest)
            connection.execute(
                insert(tasks).values(name=name, definition=definition, created_at=now)
            )
            if datasets:
                uses = [{"task_name": name, "digest": digest} for digest in sorted(datasets)]
                connection.execute(insert(task_datasets), uses)
            return TaskRow(name, definition, now), True

        return self._change(add)

    def task(self, name: str) -> TaskRow:
        row = self._read(lambda c: _task(c, name))
        if row is None:
            raise _no_task(name)
        return row

    def tasks(self) -> tuple[TaskRow, ...]:
        query = select(tasks).order_by(tasks.c.name)
        return self._read(lambda c: tuple(_task_row(row) for row in c.execute(query)))

    def delete_task(self, name: str) -> None:
        def forget(connection: Connection, _now: float) -> None:
            if _task(connection, name) is None:
                raise _no_task(name)
            connection.execute(delete(tasks).where(tasks.c.name == name))

        self._change(forget)


def _datasets() -> Select[Any]:
    known = datasets.join(blobs_table, blobs_table.c.digest == datasets.c.digest)
    return select(datasets, blobs_table.c.size).select_from(known)


def _dataset(connection: Connection, digest: str) -> DatasetRow | None:
    row = connection.execute(_datasets().where(datasets.c.digest == digest)).first()
    return None if row is None else values.dataset_row(row)


def _found(connection: Connection, digest: str) -> DatasetRow:
    row = _dataset(connection, digest)
    if row is None:
        raise NotFound(f"There is no data set {digest!r}.")
    return row


def _dataset_page(connection: Connection, cursor: str | None, limit: int) -> Page[DatasetRow]:
    table = datasets.c
    query = _datasets().order_by(table.created_at.desc(), table.digest.desc())
    if cursor is not None:
        place = values.dataset_cursor(cursor)
        query = query.where(tuple_(table.created_at, table.digest) < tuple_(*place))
    rows = [values.dataset_row(row) for row in connection.execute(query.limit(limit + 1))]
    last = rows[:limit][-1] if len(rows) > limit else None
    return Page(
        items=tuple(rows[:limit]),
        next_cursor=None if last is None else values.cursor_of(last.digest, last.created_at),
    )


def _refuse_used(connection: Connection, digest: str) -> None:
    by_task = select(task_datasets.c.task_name).where(task_datasets.c.digest == digest)
    name = connection.scalar(by_task.order_by(task_datasets.c.task_name).limit(1))
    if name is not None:
        raise Conflict(
            f"Task {name!r} reads data set {digest!r}.", hint="Delete the tasks that read it first."
        )
    by_experiment = (
        select(experiment_stages.c.experiment_id)
        .join(dataset_uses, dataset_uses.c.stage_key == experiment_stages.c.stage_key)
        .where(dataset_uses.c.digest == digest)
    )
    experiment_id = connection.scalar(by_experiment.limit(1))
    if experiment_id is not None:
        raise Conflict(
            f"Experiment {experiment_id!r} reads data set {digest!r}.",
            hint="Delete the experiments that read it first.",
        )


def _task(connection: Connection, name: str) -> TaskRow | None:
    row = connection.execute(select(tasks).where(tasks.c.name == name)).first()
    return None if row is None else _task_row(row)


def _task_row(row: Row[Any]) -> TaskRow:
    return TaskRow(name=row.name, definition=row.definition, created_at=row.created_at)


def _no_task(name: str) -> NotFound:
    return NotFound(f"There is no registered task {name!r}.")
