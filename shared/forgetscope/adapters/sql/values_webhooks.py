"""From rows of webhooks and deliveries to values."""

from typing import Any

from sqlalchemy import Row

from forgetscope.ports.webhooks import DeliveryRow, EventCopy, WebhookRow
from forgetscope.schema.webhooks import DeliveryTry, RunRef

__all__ = ["delivery_row", "event_copy", "webhook_row"]


def webhook_row(row: Row[Any]) -> WebhookRow:
    values = {name: getattr(row, name) for name in WebhookRow._fields}
    return WebhookRow(**{**values, "events": tuple(row.events)})


def delivery_row(row: Row[Any]) -> DeliveryRow:
    return DeliveryRow(
        webhook_id=row.webhook_id,
        id=row.id,
        event=event_copy(row),
        state=row.state,
        created_at=row.created_at,
        finished_at=row.finished_at,
        next_attempt_at=row.next_attempt_at,
        attempts=tuple(map(DeliveryTry.model_validate, row.attempts)),
    )


def event_copy(row: Row[Any]) -> EventCopy:
    run = None
    if row.run_id is not None:
        run = RunRef(id=row.run_id, kind=row.run_kind, name=row.run_name)
    return EventCopy(
        id=row.event_id, type=row.type, at=row.at, stage=row.stage_key, data=row.data, run=run
    )
