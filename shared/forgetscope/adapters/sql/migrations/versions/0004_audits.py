"""Audits are experiments of a kind of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column(
        "experiments", sa.Column("kind", sa.Text(), nullable=False, server_default="experiment")
    )
    op.drop_index(op.f("ix_experiments_created_at_id"), "experiments")
    op.drop_index(op.f("ix_experiments_state_created_at_id"), "experiments")
    op.create_index(
        op.f("ix_experiments_kind_created_at_id"), "experiments", ["kind", "created_at", "id"]
    )
    op.create_index(
        op.f("ix_experiments_kind_state_created_at_id"),
        "experiments",
        ["kind", "state", "created_at", "id"],
    )
