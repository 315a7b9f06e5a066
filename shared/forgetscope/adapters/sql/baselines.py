"""`SqlBaselines`: the baselines port, one transaction a method."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, tuple_

from forgetscope.adapters.sql import experiments as experiment_moves
from forgetscope.adapters.sql import values
from forgetscope.adapters.sql.journal import chunks
from forgetscope.adapters.sql.tables import baselines, has_state, stages
from forgetscope.adapters.sql.transactions import Transactions
from forgetscope.ports.baselines import BaselineRow
from forgetscope.ports.records import Bell
from forgetscope.schema.audit import AuditSpec, BaselineSide
from forgetscope.schema.baseline import BaselineContents
from forgetscope.schema.errors import Conflict, NotFound
from forgetscope.schema.plan import Plan
from forgetscope.schema.views import Page

__all__ = ["SqlBaselines"]


class SqlBaselines(Transactions):
    """`forgetscope.ports.baselines.Baselines`; documented there."""

    def put_baseline(
        self,
        name: str,
        audit_id: str,
        side: BaselineSide,
        contents: BaselineContents,
        *,
        replace: bool,
    ) -> tuple[BaselineRow, bool]:
        def put(connection: Connection, now: float) -> tuple[BaselineRow, bool]:
            # Deleting an audit needs the same lock: it cannot go between here and the insert.
            experiment_moves.find(connection, audit_id, "audit")
            earlier = _baseline(connection, name)
            if earlier is not None and (earlier.audit_id, earlier.side) == (audit_id, side):
                return earlier, False
            if earlier is not None and not replace:
                raise Conflict(
                    f"Baseline {name!r} is the {earlier.side} of audit {earlier.audit_id!r}.",
                    hint="Ask to replace it (replace=true, or --replace), or choose another name.",
                )
            connection.execute(delete(baselines).where(baselines.c.name == name))
            connection.execute(
                insert(baselines).values(
                    name=name,
                    audit_id=audit_id,
                    side=side,
                    contents=contents.model_dump(mode="json"),
                    created_at=now,
                )
            )
            return BaselineRow(name, audit_id, side, contents, now), earlier is None

        return self._change(put)

    def baseline(self, name: str) -> BaselineRow:
        return self._read(lambda c: _found(c, name))

    def baselines(self, *, cursor: str | None, limit: int) -> Page[BaselineRow]:
        return self._read(lambda c: _page(c, cursor, limit))

    def delete_baseline(self, name: str) -> None:
        def forget(connection: Connection, _now: float) -> None:
            _found(connection, name)
            connection.execute(delete(baselines).where(baselines.c.name == name))

        self._change(forget)

    def submitted(self, idempotency_key: str, request_digest: str) -> str | None:
        return self._read(lambda c: experiment_moves.submitted(c, idempotency_key, request_digest))

    def add_audit(
        self,
        audit_id: str,
        spec: AuditSpec,
        plan: Plan,
        *,
        pinned: Collection[str],
        idempotency_key: str | None,
        request_digest: str,
    ) -> tuple[str, bool, tuple[Bell, ...]]:
        def add(connection: Connection, now: float) -> tuple[str, bool, tuple[Bell, ...]]:
            added = experiment_moves.add(
                connection,
                now,
                audit_id,
                spec=spec,
                plan=plan,
                idempotency_key=idempotency_key,
                request_digest=request_digest,
            )
            if added[1] and _succeeded(connection, pinned) < len(set(pinned)):
                # Takes back all of the above.
                raise Conflict(
                    "What the baseline has scored was deleted at this moment.",
                    where="/reference",
                    hint="Look what the name stands for now, and submit again.",
                )
            return added

        return self._change(add)


def _succeeded(connection: Connection, keys: Collection[str]) -> int:
    return sum(
        connection.scalar(
            select(func.count()).where(stages.c.key.in_(part), has_state("succeeded"))
        )
        or 0
        for part in chunks(sorted(set(keys)))
    )


def _baseline(connection: Connection, name: str) -> BaselineRow | None:
    row = connection.execute(select(baselines).where(baselines.c.name == name)).first()
    return None if row is None else _row(row)


def _found(connection: Connection, name: str) -> BaselineRow:
    row = _baseline(connection, name)
    if row is None:
        raise NotFound(f"There is no baseline {name!r}.")
    return row


def _page(connection: Connection, cursor: str | None, limit: int) -> Page[BaselineRow]:
    table = baselines.c
    query = select(baselines).order_by(table.created_at.desc(), table.name.desc())
    if cursor is not None:
        place = values.time_cursor(cursor)
        query = query.where(tuple_(table.created_at, table.name) < tuple_(*place))
    found = connection.execute(query.limit(limit + 1)).all()
    rows = tuple(_row(row) for row in found[:limit])
    more = len(found) > limit
    return Page(
        items=rows,
        next_cursor=values.cursor_of(rows[-1].created_at, rows[-1].name) if more else None,
    )


def _row(row: Row[Any]) -> BaselineRow:
    return BaselineRow(
        name=row.name,
        audit_id=row.audit_id,
        side=row.side,
        contents=BaselineContents.model_validate(row.contents),
        created_at=row.created_at,
    )
