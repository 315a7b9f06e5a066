"""The outbox: events are copied for webhooks in the transaction that records them."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, true

from forgetscope.adapters.sql.tables_webhooks import deliveries, webhooks
from forgetscope.core.webhooks import delivery_id, wants
from forgetscope.ports.webhooks import EventCopy

__all__ = ["new_delivery", "post"]


def post(connection: Connection, now: float, told: Sequence[EventCopy]) -> None:
    """Record a delivery for every webhook that wants one of the events: one short query when none
    does.

    A webhook stays while this goes on: the lock admits any change of it but its deletion.
    """
    if not told:
        return
    table = webhooks.c
    query = select(table.id, table.events, table.run).where(table.active == true())
    listening = connection.execute(
        query.order_by(table.id).with_for_update(read=True, key_share=True)
    )
    rows = [
        new_delivery(now, webhook.id, delivery_id(event.run.id, event.id), event)
        for webhook in listening
        for event in told
        if event.run is not None
        and event.type != "webhook.test"
        and wants(webhook.events, webhook.run, event.run.kind, event.type)
    ]
    if rows:
        connection.execute(insert(deliveries), rows)


def new_delivery(
    now: float, webhook_id: str, delivery_id: str, event: EventCopy
) -> dict[str, object]:
    """A row that is due at once."""
    run = event.run
    return {
        "webhook_id": webhook_id,
        "id": delivery_id,
        "run_id": None if run is None else run.id,
        "run_kind": None if run is None else run.kind,
        "run_name": None if run is None else run.name,
        "event_id": event.id,
        "type": event.type,
        "at": event.at,
        "stage_key": event.stage,
        "data": event.data,
        "state": "pending",
        "created_at": now,
        "attempt": 0,
        "tries": 0,
        "next_attempt_at": now,
        "attempts": [],
    }
