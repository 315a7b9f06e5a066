"""Moves that several operations make. All need the structure lock.

Each returns the changes it made, for `journal.publish`.
"""

from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, select, update

from forgetscope.adapters.sql.journal import Change
from forgetscope.adapters.sql.tables import edges, experiment_stages, has_state, stages
from forgetscope.core import lifecycle
from forgetscope.ports.records import Bell

__all__ = ["bells_of", "belongs_to", "promote", "revive", "skip_dependants"]


def belongs_to(experiment_id: str) -> ColumnElement[bool]:
    """Selects the stages of an experiment."""
    table = experiment_stages.c
    return stages.c.key.in_(select(table.stage_key).where(table.experiment_id == experiment_id))


def promote(
    connection: Connection, now: float, among: ColumnElement[bool], *, ring: bool = True
) -> tuple[list[Change], tuple[Bell, ...]]:
    """Make ready what waits for nothing any more; with `ring` the bells count as rung."""
    needed = stages.alias("needed")
    unfinished = exists().where(
        edges.c.stage_key == stages.c.key,
        needed.c.key == edges.c.input_key,
        needed.c.state != "succeeded",
    )
    moved = connection.execute(
        update(stages)
        .where(has_state("pending"), among, ~unfinished)
        .values(state="ready", ready_at=now, rung_at=now if ring else None)
        .returning(stages.c.key, stages.c.queue)
    ).all()
    bells = bells_of(moved)
    return [Change(bell.key, "pending", "ready") for bell in bells], bells


def skip_dependants(connection: Connection, now: float, key: str) -> list[Change]:
    """Skip everything that needs this stage, directly or through others."""
    needing = (
        select(edges.c.stage_key).where(edges.c.input_key == key).cte("needing", recursive=True)
    )
    needing = needing.union(
        select(edges.c.stage_key).where(edges.c.input_key == needing.c.stage_key)
    )
    skipped = connection.scalars(
        update(stages)
        .where(stages.c.key.in_(select(needing.c.stage_key)), has_state("pending"))
        .values(state="skipped", finished_at=now)
        .returning(stages.c.key)
    ).all()
    return [Change(k, "pending", "skipped", {"because": key}) for k in sorted(skipped)]


def revive(connection: Connection, experiment_id: str) -> tuple[list[Change], list[str]]:
    """Want every stage of the experiment again.

    Those that ended without a result wait anew, with fresh attempts. Running ones that were to stop
    may go on; they are the second part of the answer.
    """
    mine = belongs_to(experiment_id)
    bad = connection.execute(
        select(stages.c.key, stages.c.state)
        .where(mine, stages.c.state.in_(lifecycle.BAD))
        .order_by(stages.c.key)
    ).all()
    connection.execute(
        update(stages)
        .where(mine, stages.c.state.in_(lifecycle.BAD))
        .values(
            state="pending",
            failures=0,
            failure=None,
            progress=None,
            started_at=None,
            finished_at=None,
        )
    )
    kept = connection.scalars(
        update(stages).where(mine, stages.c.unwanted).values(unwanted=False).returning(stages.c.key)
    ).all()
    return [Change(row.key, row.state, "pending") for row in bad], list(kept)


def bells_of(rows: Any) -> tuple[Bell, ...]:
    """Bells of rows with `queue` and `key`, in the order of the keys."""
    return tuple(sorted((Bell(row.queue, row.key) for row in rows), key=lambda bell: bell.key))
