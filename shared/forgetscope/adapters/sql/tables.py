"""The tables. Times are seconds since 1970 (UTC); every query of the adapter has its index here."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    literal,
    text,
)

from forgetscope.schema.stage import StageState

__all__ = [
    "attempts",
    "baselines",
    "blob_uses",
    "blobs",
    "dataset_uses",
    "datasets",
    "edges",
    "events",
    "experiment_stages",
    "experiments",
    "garbage",
    "has_state",
    "metadata",
    "search_rounds",
    "searches",
    "stages",
    "task_datasets",
    "tasks",
]


class Words(TypeDecorator[str]):
    """Text that any database takes: what cannot be stored (NUL, lone surrogates) is replaced.

    The schema refuses such strings where people type them; a worker's log may still hold them.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


# Plain JSON, not JSONB: nothing is queried inside, and JSONB reorders keys, rewrites numbers and
# refuses NUL, so that the two databases would give different answers.
_json = JSON(none_as_null=True)
_seconds = Float(53)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

experiments = Table(
    "experiments",
    metadata,
    Column("id", Words, primary_key=True),
    Column("kind", Words, nullable=False, server_default="experiment"),
    Column("name", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("spec", _json, nullable=False),
    Column("engine", Words, nullable=False),
    Column("engine_reason", Words, nullable=False),
    Column("notes", _json, nullable=False),
    Column("created_at", _seconds, nullable=False),
    Column("finished_at", _seconds),
    Column("idempotency_key", Words, unique=True),
    Column("request_digest", Words, nullable=False),
    # Stages by state, kept exact by every transition, so that lists never count.
    Column("counts", _json, nullable=False),
    Column("event_seq", BigInteger, nullable=False),
    Index(None, "kind", "created_at", "id"),
    Index(None, "kind", "state", "created_at", "id"),
)

stages = Table(
    "stages",
    metadata,
    Column("key", Words, primary_key=True),
    Column("kind", Words, nullable=False),
    Column("queue", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("params", _json, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("base_key", Words),  # its `base` input: a loaded model is used again
    Column("attempt", Integer, nullable=False),
    Column("failures", Integer, nullable=False),  # since it was last revived
    Column("unwanted", Boolean, nullable=False),  # runs, but is to stop
    Column("worker", Words),
    Column("lease_until", _seconds),
    Column("blobs_since", _seconds),  # everything the attempt names was stored after this
    Column("ready_at", _seconds),
    Column("rung_at", _seconds),  # null: its bell has not been rung
    Column("created_at", _seconds, nullable=False),
    Column("started_at", _seconds),
    Column("finished_at", _seconds),
    Column("progress", _json),
    Column("failure", _json),
    Column("manifest", _json),
    Column("resume", _json),
)


def _partial(name: str, state: StageState, *columns: str) -> None:
    # Most stages have ended: an index over the few that matter stays small.
    only = text(f"state = '{state}'")
    Index(name, *(stages.c[c] for c in columns), sqlite_where=only, postgresql_where=only)


_partial("ix_stages_pending", "pending", "key")
_partial("ix_stages_ready", "ready", "queue", "ready_at", "base_key", "key")
_partial("ix_stages_rung", "ready", "rung_at", "key")
_partial("ix_stages_lease", "running", "lease_until", "key")
_partial("ix_stages_rates", "succeeded", "base_key", "finished_at")


def has_state(state: StageState) -> ColumnElement[bool]:
    """Compares with a constant: no planner matches a bound parameter with a partial index."""
    return stages.c.state == literal(state, Text, literal_execute=True)


edges = Table(
    "edges",
    metadata,
    Column("stage_key", ForeignKey("stages.key", ondelete="CASCADE"), primary_key=True),
    Column("role", Words, primary_key=True),
    Column("input_key", ForeignKey("stages.key"), nullable=False, index=True),
)

experiment_stages = Table(
    "experiment_stages",
    metadata,
    Column("experiment_id", ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("stage_key", ForeignKey("stages.key"), nullable=False),
    Column("label", _json, nullable=False),
    Index(None, "stage_key", "experiment_id", unique=True),
)

attempts = Table(
    "attempts",
    metadata,
    Column("stage_key", ForeignKey("stages.key", ondelete="CASCADE"), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("worker", Words, nullable=False),
    Column("started_at", _seconds, nullable=False),
    Column("finished_at", _seconds),
    Column("outcome", Words, nullable=False),
    Column("failure", _json),
    Column("log_tail", Words, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("experiment_id", ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("type", Words, nullable=False),
    Column("at", _seconds, nullable=False),
    Column("stage_key", Words),
    Column("data", _json, nullable=False),
)

blobs = Table(
    "blobs",
    metadata,
    Column("digest", Words, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("media_type", Words, nullable=False),
)

blob_uses = Table(
    "blob_uses",
    metadata,
    Column("stage_key", ForeignKey("stages.key", ondelete="CASCADE"), primary_key=True),
    Column("slot", Words, primary_key=True),  # "manifest" or "resume"
    Column("digest", ForeignKey("blobs.digest"), primary_key=True, index=True),
)

garbage = Table(
    "garbage",
    metadata,
    Column("digest", Words, primary_key=True),
    Column("collected_at", _seconds),  # null: the store still has it
    Column("taken_at", _seconds),  # when a collector last set out to delete it
)

datasets = Table(
    "datasets",
    metadata,
    Column("digest", ForeignKey("blobs.digest"), primary_key=True),
    Column("name", Words, nullable=False),
    Column("format", Words, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("columns", _json, nullable=False),
    Column("created_at", _seconds, nullable=False),
    Index(None, "created_at", "digest"),
)

dataset_uses = Table(
    "dataset_uses",
    metadata,
    Column("stage_key", ForeignKey("stages.key", ondelete="CASCADE"), primary_key=True),
    Column("digest", ForeignKey("datasets.digest"), primary_key=True, index=True),
)

tasks = Table(
    "tasks",
    metadata,
    Column("name", Words, primary_key=True),
    Column("definition", _json, nullable=False),
    Column("created_at", _seconds, nullable=False),
)

task_datasets = Table(
    "task_datasets",
    metadata,
    Column("task_name", ForeignKey("tasks.name", ondelete="CASCADE"), primary_key=True),
    Column("digest", ForeignKey("datasets.digest"), primary_key=True, index=True),
)

baselines = Table(
    "baselines",
    metadata,
    Column("name", Words, primary_key=True),
    Column("audit_id", ForeignKey("experiments.id"), nullable=False, index=True),
    Column("side", Words, nullable=False),
    Column("contents", _json, nullable=False),
    Column("created_at", _seconds, nullable=False),
    Index(None, "created_at", "name"),
)

searches = Table(
    "searches",
    metadata,
    Column("id", Words, primary_key=True),
    Column("name", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("spec", _json, nullable=False),
    Column("facts", _json, nullable=False),
    Column("created_at", _seconds, nullable=False),
    Column("finished_at", _seconds),
    Column("idempotency_key", Words, unique=True),
    Column("request_digest", Words, nullable=False),
    Column("answer", _json),
    Column("failure", _json),
    Index(None, "created_at", "id"),
    Index(None, "state", "created_at", "id"),
)

search_rounds = Table(
    "search_rounds",
    metadata,
    Column("search_id", ForeignKey("searches.id", ondelete="CASCADE"), primary_key=True),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("value", Float(53), nullable=False),
    Column("experiment_id", ForeignKey("experiments.id", ondelete="SET NULL"), index=True),
    Column("started_at", _seconds, nullable=False),
    Column("judged_at", _seconds),
    Column("judged", _json),
)
