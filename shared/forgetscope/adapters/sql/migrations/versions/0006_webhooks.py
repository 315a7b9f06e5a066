"""Webhooks with their outbox; events of audits have names of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_SECONDS = sa.Float(precision=53)


def upgrade() -> None:
    op.execute(
        "UPDATE events SET type = 'audit' || substr(type, 11) WHERE type LIKE 'experiment.%' "
        "AND experiment_id IN (SELECT id FROM experiments WHERE kind = 'audit')"
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("run", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", _SECONDS, nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("previous_secret", sa.Text(), nullable=True),
        sa.Column("previous_secret_until", _SECONDS, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_delivered_at", _SECONDS, nullable=True),
        sa.Column("last_failed_at", _SECONDS, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index(op.f("ix_webhooks_created_at_id"), "webhooks", ["created_at", "id"])
    _create_deliveries()


def _create_deliveries() -> None:
    name = "webhook_deliveries"
    op.create_table(
        name,
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("run_kind", sa.Text(), nullable=True),
        sa.Column("run_name", sa.Text(), nullable=True),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", _SECONDS, nullable=False),
        sa.Column("stage_key", sa.Text(), nullable=True),
        sa.Column("data", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", _SECONDS, nullable=False),
        sa.Column("finished_at", _SECONDS, nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", _SECONDS, nullable=True),
        sa.Column("sending_until", _SECONDS, nullable=True),
        sa.Column("attempts", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            name=op.f("fk_webhook_deliveries_webhook_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("webhook_id", "id", name=op.f("pk_webhook_deliveries")),
    )
    for columns in (["created_at", "id"], ["state", "created_at", "id"]):
        index = "_".join(["ix", name, "webhook_id", *columns])
        op.create_index(op.f(index), name, ["webhook_id", *columns])
    for index, columns, where in (
        ("due", ["webhook_id", "next_attempt_at", "id"], "state = 'pending'"),
        ("sending", ["webhook_id", "sending_until"], "sending_until IS NOT NULL"),
        ("over", ["finished_at"], "finished_at IS NOT NULL"),
    ):
        op.create_index(
            f"ix_{name}_{index}",
            name,
            columns,
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )
