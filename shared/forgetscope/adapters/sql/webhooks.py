"""`SqlWebhooks`: the webhooks port, one transaction a method."""

from typing import Any

from pydantic import SecretStr
from sqlalchemy import (
    Connection,
    Row,
    Table,
    and_,
    case,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)

from forgetscope.adapters.sql import sending, values
from forgetscope.adapters.sql.outbox import new_delivery
from forgetscope.adapters.sql.tables_webhooks import deliveries, is_pending, webhooks
from forgetscope.adapters.sql.transactions import Transactions
from forgetscope.adapters.sql.values_webhooks import delivery_row, webhook_row
from forgetscope.ports.webhooks import Answer, DeliveryRow, EventCopy, Sending, WebhookRow
from forgetscope.schema.errors import Conflict, NotFound
from forgetscope.schema.views import Page
from forgetscope.schema.webhooks import DeliveryState, WebhookChange, WebhookSpec

__all__ = ["SqlWebhooks"]

_d, _w = deliveries.c, webhooks.c


class SqlWebhooks(Transactions):
    """`forgetscope.ports.webhooks.Webhooks`; documented there."""

    def add_webhook(
        self, webhook_id: str, spec: WebhookSpec, secret: SecretStr, *, most: int
    ) -> WebhookRow:
        def add(connection: Connection, now: float) -> WebhookRow:
            count = connection.scalar(select(func.count()).select_from(webhooks)) or 0
            if count >= most:
                raise Conflict(
                    f"There are {count} webhooks already.", hint="Delete one that nobody needs."
                )
            connection.execute(
                insert(webhooks).values(
                    id=webhook_id,
                    **spec.model_dump(mode="json", include=set(WebhookSpec.model_fields)),
                    active=True,
                    created_at=now,
                    secret=secret.get_secret_value(),
                    failures=0,
                )
            )
            return _webhook(connection, webhook_id)

        return self._change(add)

    def webhook(self, webhook_id: str) -> WebhookRow:
        return self._read(lambda c: _webhook(c, webhook_id))

    def webhooks(self, *, cursor: str | None, limit: int) -> Page[WebhookRow]:
        def page(connection: Connection) -> Page[WebhookRow]:
            rows, next_cursor = _paged(connection, webhooks, cursor, limit)
            return Page(items=tuple(map(webhook_row, rows)), next_cursor=next_cursor)

        return self._read(page)

    def change_webhook(self, webhook_id: str, change: WebhookChange) -> WebhookRow:
        given = change.model_dump(mode="json", exclude_none=True)
        if change.run == "any":
            given["run"] = None

        def apply(connection: Connection, now: float) -> WebhookRow:
            if given:
                _update(connection, webhook_id, given)
            if change.active is not None:
                waits = and_(_d.webhook_id == webhook_id, is_pending(), _d.sending_until.is_(None))
                due = case((_d.next_attempt_at.is_(None), now), else_=_d.next_attempt_at)
                connection.execute(
                    update(deliveries)
                    .where(waits)
                    .values(next_attempt_at=due if change.active else None)
                )
            return _webhook(connection, webhook_id)

        return self._touch(apply)

    def rotate_secret(
        self, webhook_id: str, secret: SecretStr, *, overlap_seconds: float
    ) -> WebhookRow:
        def rotate(connection: Connection, now: float) -> WebhookRow:
            fresh = {
                "previous_secret": _w.secret,
                "previous_secret_until": now + overlap_seconds,
                "secret": secret.get_secret_value(),
            }
            _update(connection, webhook_id, fresh)
            return _webhook(connection, webhook_id)

        return self._touch(rotate)

    def delete_webhook(self, webhook_id: str) -> None:
        def forget(connection: Connection, _now: float) -> None:
            _find(connection, webhook_id)
            connection.execute(delete(webhooks).where(_w.id == webhook_id))

        self._touch(forget)

    def add_test(self, webhook_id: str, delivery_id: str) -> DeliveryRow:
        def add(connection: Connection, now: float) -> DeliveryRow:
            _find(connection, webhook_id, lock=True)
            event = EventCopy(id=0, type="webhook.test", at=now, stage=None, data={}, run=None)
            row = new_delivery(now, webhook_id, delivery_id, event)
            connection.execute(insert(deliveries).values(row))
            return delivery_row(_find_delivery(connection, webhook_id, delivery_id))

        return self._touch(add)

    def deliveries(
        self, webhook_id: str, *, state: DeliveryState | None, cursor: str | None, limit: int
    ) -> Page[DeliveryRow]:
        def page(connection: Connection) -> Page[DeliveryRow]:
            _find(connection, webhook_id)
            wanted = [_d.webhook_id == webhook_id]
            if state is not None:
                wanted.append(_d.state == state)
            rows, next_cursor = _paged(connection, deliveries, cursor, limit, *wanted)
            return Page(items=tuple(map(delivery_row, rows)), next_cursor=next_cursor)

        return self._read(page)

    def delivery(self, webhook_id: str, delivery_id: str) -> DeliveryRow:
        return self._read(lambda c: delivery_row(_find_delivery(c, webhook_id, delivery_id)))

    def redeliver(self, webhook_id: str, delivery_id: str) -> DeliveryRow:
        def again(connection: Connection, now: float) -> DeliveryRow:
            row = _find_delivery(connection, webhook_id, delivery_id, lock=True)
            if row.sending_until is not None and row.sending_until > now:
                raise Conflict("It is being sent at this moment.", hint="Look again soon.")
            connection.execute(
                update(deliveries)
                .where(_d.webhook_id == webhook_id, _d.id == delivery_id)
                .values(state="pending", finished_at=None, next_attempt_at=now, tries=0)
            )
            return delivery_row(_find_delivery(connection, webhook_id, delivery_id))

        return self._touch(again)

    def take(self, *, lease_seconds: float) -> Sending | None:
        for webhook_id in self._read(lambda c: sending.due(c, self._now(c))):
            taken = self._touch(
                lambda c, now, w=webhook_id: sending.take(  # type: ignore[misc]
                    c, now, w, lease_seconds=lease_seconds
                )
            )
            if taken is not None:
                return taken
        return None

    def end_attempt(
        self, sending_: Sending, answer: Answer, *, error: str | None, pause_seconds: float | None
    ) -> bool:
        return self._touch(
            lambda c, now: sending.end(
                c, now, sending_, answer, error=error, pause_seconds=pause_seconds
            )
        )

    def prune(self, *, older_than_seconds: float, limit: int) -> int:
        return self._touch(lambda c, now: sending.prune(c, now - older_than_seconds, limit))


def _find(connection: Connection, webhook_id: str, *, lock: bool = False) -> Row[Any]:
    # Its secrets are left where they are.
    query = select(*(_w[name] for name in WebhookRow._fields)).where(_w.id == webhook_id)
    if lock:
        query = query.with_for_update(read=True, key_share=True)
    row = connection.execute(query).first()
    if row is None:
        raise NotFound(f"There is no webhook {webhook_id!r}.")
    return row


def _webhook(connection: Connection, webhook_id: str) -> WebhookRow:
    return webhook_row(_find(connection, webhook_id))


def _update(connection: Connection, webhook_id: str, given: dict[str, Any]) -> None:
    changed = update(webhooks).where(_w.id == webhook_id).values(given).returning(_w.id)
    if connection.execute(changed).first() is None:
        raise NotFound(f"There is no webhook {webhook_id!r}.")


def _find_delivery(
    connection: Connection, webhook_id: str, delivery_id: str, *, lock: bool = False
) -> Row[Any]:
    query = select(deliveries).where(_d.webhook_id == webhook_id, _d.id == delivery_id)
    if lock:
        query = query.with_for_update(key_share=True)
    row = connection.execute(query).first()
    if row is None:
        _find(connection, webhook_id)
        raise NotFound(
            f"Webhook {webhook_id!r} has no delivery {delivery_id!r}.",
            hint="Old ones are forgotten after FORGETSCOPE_WEBHOOK_LOG_DAYS.",
        )
    return row


def _paged(
    connection: Connection, table: Table, cursor: str | None, limit: int, *wanted: Any
) -> tuple[list[Row[Any]], str | None]:
    """Newest first, and the cursor of the page after."""
    place = (table.c.created_at, table.c.id)
    query = select(table).where(*wanted).order_by(*(column.desc() for column in place))
    if cursor is not None:
        query = query.where(tuple_(*place) < tuple_(*values.time_cursor(cursor)))
    found = connection.execute(query.limit(limit + 1)).all()
    rows = list(found[:limit])
    more = len(found) > limit
    return rows, values.cursor_of(rows[-1].created_at, rows[-1].id) if more else None
