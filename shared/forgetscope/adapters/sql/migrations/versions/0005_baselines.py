"""Baselines: models of audits under a name."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "baselines",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("audit_id", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("contents", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(
            ["audit_id"], ["experiments.id"], name=op.f("fk_baselines_audit_id")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_baselines")),
    )
    op.create_index(op.f("ix_baselines_audit_id"), "baselines", ["audit_id"])
    op.create_index(op.f("ix_baselines_created_at_name"), "baselines", ["created_at", "name"])
