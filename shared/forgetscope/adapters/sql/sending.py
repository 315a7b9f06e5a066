"""Attempts to deliver: taken with a lease, ended once, pruned when old.

Webhooks are locked before their deliveries, everywhere.
"""

from typing import Any

from pydantic import SecretStr
from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, select, update

from forgetscope.adapters.sql.tables_webhooks import deliveries, is_pending, webhooks
from forgetscope.adapters.sql.values_webhooks import event_copy
from forgetscope.ports.webhooks import Answer, Sending

__all__ = ["due", "end", "prune", "take"]

_d, _w = deliveries.c, webhooks.c

# Of a delivery that is asked for again and again the log keeps the latest.
_KEPT_ATTEMPTS = 50
_LOST = "the gateway ended before the answer came"


def due(connection: Connection, now: float) -> list[str]:
    """Webhooks that wait for a delivery and are not being sent one, in any order: if one is always
    late, the others still have their turn. Takes no lock."""
    waiting = exists().where(_is_due(_w.id, now))
    busy = exists().where(_d.webhook_id == _w.id, _d.sending_until > now)
    return list(connection.scalars(select(_w.id).where(waiting, ~busy).order_by(func.random())))


def _is_due(webhook_id: Any, now: float) -> ColumnElement[bool]:
    return and_(_d.webhook_id == webhook_id, is_pending(), _d.next_attempt_at <= now)


def take(
    connection: Connection, now: float, webhook_id: str, *, lease_seconds: float
) -> Sending | None:
    free = select(deliveries).where(_is_due(webhook_id, now))
    free = free.order_by(_d.next_attempt_at, _d.id).limit(1)
    row = connection.execute(free.with_for_update(skip_locked=True, key_share=True)).first()
    if row is None:
        return None
    target = connection.execute(
        select(_w.url, _w.secret, _w.previous_secret, _w.previous_secret_until).where(
            _w.id == webhook_id
        )
    ).first()
    if target is None:
        return None
    attempt, until = row.attempt + 1, now + lease_seconds
    connection.execute(
        update(deliveries)
        .where(_this(webhook_id, row.id))
        .values(
            attempt=attempt,
            tries=row.tries + 1,
            next_attempt_at=until,
            sending_until=until,
            attempts=[*_ended(row.attempts), {"attempt": attempt, "at": now}][-_KEPT_ATTEMPTS:],
        )
    )
    overlaps = target.previous_secret_until is not None and now < target.previous_secret_until
    secrets = [target.secret, *([target.previous_secret] if overlaps else [])]
    return Sending(
        webhook_id=webhook_id,
        id=row.id,
        attempt=attempt,
        tries=row.tries + 1,
        url=target.url,
        secrets=tuple(map(SecretStr, secrets)),
        event=event_copy(row),
    )


def _ended(attempts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """An attempt whose lease is over without an end was lost."""
    return [a if a.keys() & {"status", "error"} else {**a, "error": _LOST} for a in attempts]


def _this(webhook_id: str, delivery_id: str) -> ColumnElement[bool]:
    return and_(_d.webhook_id == webhook_id, _d.id == delivery_id)


def end(
    connection: Connection,
    now: float,
    sending: Sending,
    answer: Answer,
    *,
    error: str | None,
    pause_seconds: float | None,
) -> bool:
    health = (
        {"failures": 0, "last_delivered_at": now}
        if error is None
        else {"failures": _w.failures + 1, "last_failed_at": now, "last_error": error}
    )
    held = connection.execute(
        update(webhooks).where(_w.id == sending.webhook_id).values(health).returning(_w.active)
    ).first()
    row = connection.execute(
        select(deliveries)
        .where(
            _this(sending.webhook_id, sending.id),
            _d.attempt == sending.attempt,
            _d.sending_until.is_not(None),
        )
        .with_for_update(key_share=True)
    ).first()
    if held is None or row is None:
        return False
    said = {
        "seconds": round(answer.seconds, 3),
        "status": answer.status,
        "error": error,
        "excerpt": answer.excerpt,
    }
    known = {name: value for name, value in said.items() if value is not None}
    again = error is not None and pause_seconds is not None
    due_at = now + pause_seconds if pause_seconds is not None and held.active else None
    connection.execute(
        update(deliveries)
        .where(_this(sending.webhook_id, sending.id))
        .values(
            state="pending" if again else "delivered" if error is None else "failed",
            finished_at=None if again else now,
            next_attempt_at=due_at if again else None,
            sending_until=None,
            attempts=[*row.attempts[:-1], {**row.attempts[-1], **known}],
        )
    )
    return True


def prune(connection: Connection, before: float, limit: int) -> int:
    old = select(_d.webhook_id, _d.id).where(_d.finished_at.is_not(None), _d.finished_at < before)
    rows = connection.execute(
        old.order_by(_d.finished_at).limit(limit).with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        connection.execute(delete(deliveries).where(_this(row.webhook_id, row.id)))
    return len(rows)
