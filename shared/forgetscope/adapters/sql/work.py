"""Taking stages and reporting on them while they run. Locks one stage, then its experiments."""

from sqlalchemy import Connection, func, insert, select, update

from forgetscope.adapters.sql.journal import Change, publish, publish_breach, publish_progress
from forgetscope.adapters.sql.tables import attempts, edges, has_state, stages
from forgetscope.ports.records import Claim, Directive
from forgetscope.schema.plan import Queue
from forgetscope.schema.stage import Breach, Manifest, Progress

__all__ = ["any_ready", "breach", "claim", "heartbeat"]


def any_ready(connection: Connection, queue: Queue) -> bool:
    """A look that takes no lock, for workers that ask often."""
    query = select(stages.c.key).where(has_state("ready"), stages.c.queue == queue)
    # The order leads the planner to the index that holds this queue alone.
    return connection.execute(query.order_by(stages.c.ready_at).limit(1)).first() is not None


def claim(
    connection: Connection,
    now: float,
    queue: Queue,
    worker: str,
    *,
    lease_seconds: float,
    prefer_base: str | None,
) -> Claim | None:
    key = _longest_waiting(connection, queue, prefer_base)
    if key is None:
        return None
    stage = connection.execute(
        update(stages)
        .where(stages.c.key == key)
        .values(
            state="running",
            attempt=stages.c.attempt + 1,
            worker=worker,
            lease_until=now + lease_seconds,
            blobs_since=now,
            started_at=now,
            progress=None,
            failure=None,
        )
        .returning(stages.c.key, stages.c.kind, stages.c.params, stages.c.attempt, stages.c.resume)
    ).one()
    connection.execute(
        insert(attempts).values(
            stage_key=key,
            attempt=stage.attempt,
            worker=worker,
            started_at=now,
            outcome="running",
            log_tail="",
        )
    )
    inputs = connection.execute(
        select(edges.c.role, stages.c.manifest)
        .join(stages, stages.c.key == edges.c.input_key)
        .where(edges.c.stage_key == key)
        .order_by(edges.c.role)
    )
    taken = Claim(
        key=key,
        kind=stage.kind,
        params=stage.params,
        inputs={role: Manifest.model_validate(manifest) for role, manifest in inputs},
        attempt=stage.attempt,
        resume=None if stage.resume is None else Manifest.model_validate(stage.resume),
    )
    data = {"attempt": stage.attempt, "worker": worker}
    publish(connection, now, [Change(key, "ready", "running", data)])
    return taken


def _longest_waiting(connection: Connection, queue: Queue, prefer_base: str | None) -> str | None:
    """A ready stage that nobody else is taking, locked."""
    waiting = [has_state("ready"), stages.c.queue == queue]
    free = select(stages.c.key).where(*waiting).limit(1)
    free = free.with_for_update(skip_locked=True, key_share=True)
    if prefer_base is not None:
        longest = select(func.min(stages.c.ready_at)).where(*waiting).scalar_subquery()
        equal = free.where(stages.c.ready_at == longest, stages.c.base_key == prefer_base)
        found = connection.execute(equal.order_by(stages.c.key)).first()
        if found is not None:
            return str(found.key)
    free = free.order_by(stages.c.ready_at, stages.c.base_key, stages.c.key)
    key: str | None = connection.scalar(free)
    return key


def heartbeat(
    connection: Connection,
    now: float,
    key: str,
    attempt: int,
    *,
    lease_seconds: float,
    progress: Progress | None,
) -> Directive:
    values: dict[str, object] = {"lease_until": now + lease_seconds}
    data = None if progress is None else progress.model_dump(mode="json")
    if data is not None:
        values["progress"] = data
    held = connection.execute(
        update(stages)
        .where(stages.c.key == key, stages.c.attempt == attempt, has_state("running"))
        .values(values)
        .returning(stages.c.unwanted)
    ).first()
    if held is None:
        return Directive(held=False, cancel=False)
    if data is not None:
        publish_progress(connection, now, key, data)
    return Directive(held=True, cancel=held.unwanted)


def breach(connection: Connection, now: float, key: str, attempt: int, *, breach: Breach) -> bool:
    held = connection.execute(
        select(stages.c.key)
        .where(stages.c.key == key, stages.c.attempt == attempt, has_state("running"))
        .with_for_update(key_share=True)
    ).first()
    if held is None:
        return False
    publish_breach(connection, now, key, breach)
    return True
