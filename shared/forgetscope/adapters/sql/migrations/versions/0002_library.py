"""Uploaded data sets and registered tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "datasets",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("columns", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["blobs.digest"], name=op.f("fk_datasets_digest")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_datasets")),
    )
    op.create_index(op.f("ix_datasets_created_at_digest"), "datasets", ["created_at", "digest"])
    op.create_table(
        "dataset_uses",
        sa.Column("stage_key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["datasets.digest"], name=op.f("fk_dataset_uses_digest")
        ),
        sa.ForeignKeyConstraint(
            ["stage_key"],
            ["stages.key"],
            name=op.f("fk_dataset_uses_stage_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("stage_key", "digest", name=op.f("pk_dataset_uses")),
    )
    op.create_index(op.f("ix_dataset_uses_digest"), "dataset_uses", ["digest"])
    op.create_table(
        "tasks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("definition", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tasks")),
    )
    op.create_table(
        "task_datasets",
        sa.Column("task_name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["datasets.digest"], name=op.f("fk_task_datasets_digest")
        ),
        sa.ForeignKeyConstraint(
            ["task_name"],
            ["tasks.name"],
            name=op.f("fk_task_datasets_task_name"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("task_name", "digest", name=op.f("pk_task_datasets")),
    )
    op.create_index(op.f("ix_task_datasets_digest"), "task_datasets", ["digest"])
