"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "blobs",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_blobs")),
    )
    op.create_table(
        "experiments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("spec", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("engine_reason", sa.Text(), nullable=False),
        sa.Column("notes", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("finished_at", sa.Float(precision=53), nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("request_digest", sa.Text(), nullable=False),
        sa.Column("counts", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("event_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_experiments_idempotency_key")),
    )
    op.create_index(op.f("ix_experiments_created_at_id"), "experiments", ["created_at", "id"])
    op.create_index(
        op.f("ix_experiments_state_created_at_id"),
        "experiments",
        ["state", "created_at", "id"],
    )
    op.create_table(
        "garbage",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("collected_at", sa.Float(precision=53), nullable=True),
        sa.Column("taken_at", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_garbage")),
    )
    op.create_table(
        "stages",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("params", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("base_key", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("unwanted", sa.Boolean(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.Float(precision=53), nullable=True),
        sa.Column("blobs_since", sa.Float(precision=53), nullable=True),
        sa.Column("ready_at", sa.Float(precision=53), nullable=True),
        sa.Column("rung_at", sa.Float(precision=53), nullable=True),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("started_at", sa.Float(precision=53), nullable=True),
        sa.Column("finished_at", sa.Float(precision=53), nullable=True),
        sa.Column("progress", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("failure", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("manifest", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("resume", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_stages")),
    )
    op.create_index(
        "ix_stages_lease",
        "stages",
        ["lease_until", "key"],
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "ix_stages_pending",
        "stages",
        ["key"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_stages_rates",
        "stages",
        ["base_key", "finished_at"],
        sqlite_where=sa.text("state = 'succeeded'"),
        postgresql_where=sa.text("state = 'succeeded'"),
    )
    op.create_index(
        "ix_stages_ready",
        "stages",
        ["queue", "ready_at", "base_key", "key"],
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_index(
        "ix_stages_rung",
        "stages",
        ["rung_at", "key"],
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_table(
        "attempts",
        sa.Column("stage_key", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Float(precision=53), nullable=False),
        sa.Column("finished_at", sa.Float(precision=53), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("failure", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("log_tail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["stage_key"], ["stages.key"], name=op.f("fk_attempts_stage_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("stage_key", "attempt", name=op.f("pk_attempts")),
    )
    op.create_table(
        "blob_uses",
        sa.Column("stage_key", sa.Text(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["blobs.digest"], name=op.f("fk_blob_uses_digest")),
        sa.ForeignKeyConstraint(
            ["stage_key"], ["stages.key"], name=op.f("fk_blob_uses_stage_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("stage_key", "slot", "digest", name=op.f("pk_blob_uses")),
    )
    op.create_index(op.f("ix_blob_uses_digest"), "blob_uses", ["digest"])
    op.create_table(
        "edges",
        sa.Column("stage_key", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("input_key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["input_key"], ["stages.key"], name=op.f("fk_edges_input_key")),
        sa.ForeignKeyConstraint(
            ["stage_key"], ["stages.key"], name=op.f("fk_edges_stage_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("stage_key", "role", name=op.f("pk_edges")),
    )
    op.create_index(op.f("ix_edges_input_key"), "edges", ["input_key"])
    op.create_table(
        "events",
        sa.Column("experiment_id", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("stage_key", sa.Text(), nullable=True),
        sa.Column("data", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("fk_events_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("experiment_id", "id", name=op.f("pk_events")),
    )
    op.create_table(
        "experiment_stages",
        sa.Column("experiment_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("stage_key", sa.Text(), nullable=False),
        sa.Column("label", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("fk_experiment_stages_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["stage_key"], ["stages.key"], name=op.f("fk_experiment_stages_stage_key")
        ),
        sa.PrimaryKeyConstraint("experiment_id", "position", name=op.f("pk_experiment_stages")),
    )
    op.create_index(
        op.f("ix_experiment_stages_stage_key_experiment_id"),
        "experiment_stages",
        ["stage_key", "experiment_id"],
        unique=True,
    )
