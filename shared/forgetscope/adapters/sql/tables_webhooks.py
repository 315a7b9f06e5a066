"""The tables of webhooks and their deliveries: the outbox of events."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    literal,
    text,
)

from forgetscope.adapters.sql.tables import Words, metadata

__all__ = ["deliveries", "is_pending", "webhooks"]

_json = JSON(none_as_null=True)
_seconds = Float(53)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Words, primary_key=True),
    Column("url", Words, nullable=False),
    Column("events", _json, nullable=False),
    Column("run", Words),
    Column("description", Words, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", _seconds, nullable=False),
    # Read for signing only. A MAC needs the key itself: a digest of it would not do.
    Column("secret", Words, nullable=False),
    Column("previous_secret", Words),
    Column("previous_secret_until", _seconds),
    Column("failures", Integer, nullable=False),
    Column("last_delivered_at", _seconds),
    Column("last_failed_at", _seconds),
    Column("last_error", Words),
    Index(None, "created_at", "id"),
)

deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("webhook_id", ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True),
    Column("id", Words, primary_key=True),
    # A copy of the event: it is delivered, and can be again, when its experiment was deleted.
    Column("run_id", Words),
    Column("run_kind", Words),
    Column("run_name", Words),
    Column("event_id", BigInteger, nullable=False),
    Column("type", Words, nullable=False),
    Column("at", _seconds, nullable=False),
    Column("stage_key", Words),
    Column("data", _json, nullable=False),
    Column("state", Words, nullable=False),
    Column("created_at", _seconds, nullable=False),
    Column("finished_at", _seconds),
    Column("attempt", Integer, nullable=False),
    Column("tries", Integer, nullable=False),  # since it was recorded, or last asked for again
    Column("next_attempt_at", _seconds),  # null: waits until its webhook is active
    Column("sending_until", _seconds),  # the lease of the attempt under way
    Column("attempts", _json, nullable=False),
    Index(None, "webhook_id", "created_at", "id"),
    Index(None, "webhook_id", "state", "created_at", "id"),
)

_PENDING = text("state = 'pending'")
_SENDING = text("sending_until IS NOT NULL")
_OVER = text("finished_at IS NOT NULL")
_d = deliveries.c
Index(
    "ix_webhook_deliveries_due",
    *(_d.webhook_id, _d.next_attempt_at, _d.id),
    sqlite_where=_PENDING,
    postgresql_where=_PENDING,
)
Index(
    "ix_webhook_deliveries_sending",
    *(_d.webhook_id, _d.sending_until),
    sqlite_where=_SENDING,
    postgresql_where=_SENDING,
)
Index("ix_webhook_deliveries_over", _d.finished_at, sqlite_where=_OVER, postgresql_where=_OVER)


def is_pending() -> ColumnElement[bool]:
    """Compares with a constant: no planner matches a bound parameter with a partial index."""
    return deliveries.c.state == literal("pending", Text, literal_execute=True)
