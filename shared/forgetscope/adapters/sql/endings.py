"""How attempts end, and what that means for other stages. All need the structure lock."""

from typing import Any, Literal

from sqlalchemy import Connection, Row, or_, select, true, update

from forgetscope.adapters.sql import blobs
from forgetscope.adapters.sql.journal import Change, publish
from forgetscope.adapters.sql.moves import bells_of, promote, skip_dependants
from forgetscope.adapters.sql.tables import attempts, edges, has_state, stages
from forgetscope.core import lifecycle
from forgetscope.ports.records import Bell, Finish, Sweep
from forgetscope.schema.errors import WorkerDied
from forgetscope.schema.stage import Failure, Manifest, StageState

__all__ = ["cancelled", "fail", "finish", "release", "save_resume", "sweep"]

Outcome = Literal["succeeded", "failed", "lost", "cancelled", "released"]

# More are named by the next sweep: a doorbell needs no storm.
_BELLS_A_SWEEP = 1000


def finish(
    connection: Connection,
    now: float,
    key: str,
    attempt: int,
    *,
    manifest: Manifest,
    log_tail: str,
) -> Finish:
    stage = _held(connection, key, attempt)
    if stage is None:
        return Finish(accepted=False)
    again = blobs.unsafe(connection, manifest, stage.blobs_since)
    if again:
        # What the worker stores from now on is stored after these deletions.
        connection.execute(update(stages).where(stages.c.key == key).values(blobs_since=now))
        return Finish(accepted=False, put_again=again)
    blobs.use(connection, key, "manifest", manifest)
    blobs.retire(connection, blobs.disuse(connection, key, "resume"))
    change = _end(
        connection,
        now,
        stage,
        "succeeded",
        outcome="succeeded",
        log_tail=log_tail,
        manifest=manifest.model_dump(mode="json"),
        resume=None,
    )
    users = select(edges.c.stage_key).where(edges.c.input_key == key)
    promoted, bells = promote(connection, now, stages.c.key.in_(users))
    publish(connection, now, [change, *promoted])
    return Finish(accepted=True, bells=bells)


def fail(
    connection: Connection,
    now: float,
    key: str,
    attempt: int,
    *,
    failure: Failure,
    log_tail: str,
    max_attempts: int,
) -> tuple[Bell, ...]:
    stage = _held(connection, key, attempt)
    if stage is None:
        return ()
    changes = _end_badly(
        connection,
        now,
        stage,
        outcome="failed",
        failure=failure,
        log_tail=log_tail,
        max_attempts=max_attempts,
    )
    publish(connection, now, changes)
    return _ring(connection, now, [key])


def cancelled(connection: Connection, now: float, key: str, attempt: int, log_tail: str) -> None:
    _give_back(connection, now, key, attempt, outcome="cancelled", log_tail=log_tail)


def release(connection: Connection, now: float, key: str, attempt: int) -> tuple[Bell, ...]:
    _give_back(connection, now, key, attempt, outcome="released", log_tail="")
    return _ring(connection, now, [key])


def save_resume(connection: Connection, key: str, attempt: int, manifest: Manifest) -> bool:
    """A point that names garbage is not recorded: the one before stays."""
    stage = _held(connection, key, attempt)
    if stage is None:
        return False
    if not blobs.unsafe(connection, manifest, stage.blobs_since):
        replaced = blobs.disuse(connection, key, "resume")
        blobs.use(connection, key, "resume", manifest)
        blobs.retire(connection, replaced)
        point = manifest.model_dump(mode="json")
        connection.execute(update(stages).where(stages.c.key == key).values(resume=point))
    return True


def sweep(
    connection: Connection, now: float, max_attempts: int, ring_after_seconds: float
) -> Sweep:
    lost = connection.execute(
        select(stages)
        .where(has_state("running"), stages.c.lease_until < now)
        .order_by(stages.c.lease_until, stages.c.key)
        .with_for_update(key_share=True)
    ).all()
    changes: list[Change] = []
    for stage in lost:
        failure = Failure(
            code=WorkerDied.code,
            detail=f"Worker {stage.worker} fell silent in attempt {stage.attempt}.",
            hint="It was killed, ran out of memory, or lost its connection: see its log.",
        )
        changes += _end_badly(
            connection,
            now,
            stage,
            outcome="lost",
            failure=failure,
            log_tail="",
            max_attempts=max_attempts,
        )
    promoted, _ = promote(connection, now, true(), ring=False)
    publish(connection, now, [*changes, *promoted])
    silent = connection.scalars(
        select(stages.c.key)
        .where(
            has_state("ready"),
            or_(stages.c.rung_at.is_(None), stages.c.rung_at <= now - ring_after_seconds),
        )
        .order_by(stages.c.rung_at, stages.c.key)
        .limit(_BELLS_A_SWEEP)
        .with_for_update(skip_locked=True, key_share=True)
    ).all()
    return Sweep(lost=len(lost), bells=_ring(connection, now, silent))


def _held(connection: Connection, key: str, attempt: int) -> Row[Any] | None:
    """The running stage, locked; None when this attempt has no right to it any more."""
    return connection.execute(
        select(stages)
        .where(stages.c.key == key, stages.c.attempt == attempt, has_state("running"))
        .with_for_update(key_share=True)
    ).first()


def _give_back(
    connection: Connection,
    now: float,
    key: str,
    attempt: int,
    *,
    outcome: Outcome,
    log_tail: str,
) -> None:
    stage = _held(connection, key, attempt)
    if stage is None:
        return
    after = lifecycle.without_worker(unwanted=stage.unwanted)
    # It keeps its place among those that wait.
    kept = {"ready_at": stage.ready_at} if after == "ready" else {}
    publish(
        connection,
        now,
        [_end(connection, now, stage, after, outcome=outcome, log_tail=log_tail, **kept)],
    )


def _end_badly(
    connection: Connection,
    now: float,
    stage: Row[Any],
    *,
    outcome: Outcome,
    failure: Failure,
    log_tail: str,
    max_attempts: int,
) -> list[Change]:
    failures = stage.failures + 1
    after = lifecycle.after_failure(
        failures,
        max_attempts=max_attempts,
        permanent=failure.permanent,
        unwanted=stage.unwanted,
    )
    said = failure.model_dump(mode="json")
    change = _end(
        connection,
        now,
        stage,
        after,
        outcome=outcome,
        log_tail=log_tail,
        failed=said,
        failure=said,
        failures=failures,
    )
    skipped = skip_dependants(connection, now, stage.key) if after == "failed" else []
    return [change, *skipped]


def _end(
    connection: Connection,
    now: float,
    stage: Row[Any],
    after: StageState,
    *,
    outcome: Outcome,
    log_tail: str,
    failed: dict[str, Any] | None = None,
    **values: object,
) -> Change:
    """End an attempt: the stage, with further `values`, and its attempt."""
    ready = {"ready_at": now, "rung_at": None, "started_at": None}
    connection.execute(
        update(stages)
        .where(stages.c.key == stage.key)
        .values(
            {
                "state": after,
                "worker": None,
                "lease_until": None,
                "unwanted": False,
                **(ready if after == "ready" else {"finished_at": now}),
                **values,
            }
        )
    )
    connection.execute(
        update(attempts)
        .where(attempts.c.stage_key == stage.key, attempts.c.attempt == stage.attempt)
        .values(finished_at=now, outcome=outcome, failure=failed, log_tail=log_tail)
    )
    data = {"attempt": stage.attempt, "outcome": outcome}
    if failed is not None:
        data["failure"] = failed
    return Change(stage.key, "running", after, data)


def _ring(connection: Connection, now: float, keys: Any) -> tuple[Bell, ...]:
    """Mark those of the stages that are ready as rung, and name their bells."""
    return bells_of(
        connection.execute(
            update(stages)
            .where(stages.c.key.in_(keys), has_state("ready"))
            .values(rung_at=now)
            .returning(stages.c.key, stages.c.queue)
        )
    )
