"""Experiments: submit, cancel, retry, delete. All of these need the structure lock."""

from collections import Counter
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, insert, select, update

from forgetscope.adapters.sql import blobs
from forgetscope.adapters.sql.journal import Change, Opening, chunks, publish
from forgetscope.adapters.sql.moves import belongs_to, promote, revive
from forgetscope.adapters.sql.tables import (
    baselines,
    dataset_uses,
    datasets,
    edges,
    experiment_stages,
    experiments,
    stages,
)
from forgetscope.core import lifecycle
from forgetscope.core.uploads import uploads_in
from forgetscope.ports.records import Bell
from forgetscope.schema.audit import AuditSpec
from forgetscope.schema.errors import Conflict, IdempotencyConflict, NotFound, UnknownName
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import Plan, PlannedStage
from forgetscope.schema.stage import ExperimentState, RunKind

__all__ = ["add", "cancel", "find", "forget", "retry", "submitted"]


def add(
    connection: Connection,
    now: float,
    experiment_id: str,
    *,
    spec: ExperimentSpec | AuditSpec,
    plan: Plan,
    idempotency_key: str | None,
    request_digest: str,
) -> tuple[str, bool, tuple[Bell, ...]]:
    if idempotency_key is not None:
        earlier = submitted(connection, idempotency_key, request_digest)
        if earlier is not None:
            return earlier, False, ()
    connection.execute(
        insert(experiments).values(
            id=experiment_id,
            kind="audit" if isinstance(spec, AuditSpec) else "experiment",
            name=spec.name,
            state="queued",
            spec=spec.model_dump(mode="json"),
            engine=plan.engine,
            engine_reason=plan.engine_reason,
            notes=list(plan.notes),
            created_at=now,
            idempotency_key=idempotency_key,
            request_digest=request_digest,
            counts={},
            event_seq=0,
        )
    )
    _add_stages(connection, now, plan)
    members = [
        {
            "experiment_id": experiment_id,
            "position": position,
            "stage_key": stage.key,
            "label": stage.label.model_dump(mode="json"),
        }
        for position, stage in enumerate(plan.stages)
    ]
    if members:
        connection.execute(insert(experiment_stages), members)
    connection.execute(
        update(experiments)
        .where(experiments.c.id == experiment_id)
        .values(counts=_count(connection, experiment_id))
    )
    bells = _want(connection, now, experiment_id, Opening("submitted", "queued"))
    return experiment_id, True, bells


def submitted(connection: Connection, idempotency_key: str, request_digest: str) -> str | None:
    """Id of what was submitted with this key. Raises IdempotencyConflict."""
    query = select(experiments.c.id, experiments.c.request_digest)
    earlier = connection.execute(
        query.where(experiments.c.idempotency_key == idempotency_key)
    ).first()
    if earlier is None:
        return None
    if earlier.request_digest != request_digest:
        raise IdempotencyConflict(
            f"The Idempotency-Key {idempotency_key!r} was used for another request.",
            where="Idempotency-Key",
            hint="Use a new key for a new request.",
        )
    return str(earlier.id)


def _add_stages(connection: Connection, now: float, plan: Plan) -> None:
    known: set[str] = set()
    for part in chunks([stage.key for stage in plan.stages]):
        known.update(connection.scalars(select(stages.c.key).where(stages.c.key.in_(part))))
    new = [stage for stage in plan.stages if stage.key not in known]
    if not new:
        return
    connection.execute(insert(stages), [_new_stage(stage, now) for stage in new])
    links = [
        {"stage_key": stage.key, "role": role, "input_key": key}
        for stage in new
        for role, key in stage.inputs.items()
    ]
    if links:
        connection.execute(insert(edges), links)
    _use_datasets(connection, new)


def _use_datasets(connection: Connection, new: list[PlannedStage]) -> None:
    """Record which uploads the stages read: these cannot be deleted meanwhile."""
    uses = {s.key: uploads_in(s.params) for s in new if s.kind == "prepare_data"}
    wanted = sorted(frozenset[str]().union(*uses.values()))
    found: set[str] = set()
    for part in chunks(wanted):
        found.update(
            connection.scalars(select(datasets.c.digest).where(datasets.c.digest.in_(part)))
        )
    for digest in wanted:
        if digest not in found:
            raise UnknownName(
                f"there is no uploaded data set {digest!r}.",
                where=f"upload {digest[:12]}",
                hint="It was deleted, or never uploaded: upload it, then submit again.",
            )
    rows = [{"stage_key": key, "digest": digest} for key in uses for digest in sorted(uses[key])]
    if rows:
        connection.execute(insert(dataset_uses), rows)


def _new_stage(stage: PlannedStage, now: float) -> dict[str, object]:
    return {
        "key": stage.key,
        "kind": stage.kind,
        "queue": stage.queue,
        "state": "pending",
        "params": stage.params,
        "tokens": stage.tokens,
        "base_key": stage.inputs.get("base"),
        "attempt": 0,
        "failures": 0,
        "unwanted": False,
        "created_at": now,
    }


def _count(connection: Connection, experiment_id: str) -> dict[str, int]:
    # Locked: a claim under way does not know the new experiment yet, so it has to end first.
    states = select(stages.c.state).where(belongs_to(experiment_id)).order_by(stages.c.key)
    return dict(Counter(connection.scalars(states.with_for_update(key_share=True))))


def _want(
    connection: Connection, now: float, experiment_id: str, opening: Opening
) -> tuple[Bell, ...]:
    revived, kept = revive(connection, experiment_id)
    promoted, bells = promote(connection, now, belongs_to(experiment_id))
    openings = {experiment_id: opening}
    publish(connection, now, [*revived, *promoted], openings=openings, touched=kept)
    return bells


def find(connection: Connection, experiment_id: str, kind: RunKind | None = None) -> Row[Any]:
    """The row of the experiment, or audit. Raises NotFound, also for one of another kind."""
    row = connection.execute(select(experiments).where(experiments.c.id == experiment_id)).first()
    if row is None or kind not in {None, row.kind}:
        raise NotFound(f"There is no {kind or 'experiment'} {experiment_id!r}.")
    return row


def _named(row: Row[Any]) -> str:
    return f"{row.kind.capitalize()} {row.id!r}"


def cancel(connection: Connection, now: float, experiment_id: str) -> None:
    row = find(connection, experiment_id)
    if row.state == "cancelling":
        return
    if row.state in lifecycle.OVER:
        raise Conflict(f"{_named(row)} is over: {row.state}.")
    other, member = experiments.alias("other"), experiment_stages.alias("member")
    wanted = exists().where(
        member.c.stage_key == stages.c.key,
        member.c.experiment_id != experiment_id,
        other.c.id == member.c.experiment_id,
        other.c.state.in_(lifecycle.LIVE),
    )
    # Locked before they are judged: a claim in between decides whether one waits or runs.
    unneeded = connection.execute(
        select(stages.c.key, stages.c.state)
        .where(belongs_to(experiment_id), stages.c.state.in_(lifecycle.OPEN), ~wanted)
        .order_by(stages.c.key)
        .with_for_update(key_share=True)
    ).all()
    waiting = [
        Change(row.key, row.state, "cancelled") for row in unneeded if row.state != "running"
    ]
    for part in chunks([change.key for change in waiting]):
        cancelled = update(stages).values(state="cancelled", finished_at=now)
        connection.execute(cancelled.where(stages.c.key.in_(part)))
    for part in chunks([row.key for row in unneeded if row.state == "running"]):
        connection.execute(update(stages).values(unwanted=True).where(stages.c.key.in_(part)))
    opening = Opening("cancelling", "cancelling")
    publish(connection, now, waiting, openings={experiment_id: opening})


def retry(connection: Connection, now: float, experiment_id: str) -> tuple[Bell, ...]:
    row = find(connection, experiment_id)
    if row.state == "cancelling":
        raise Conflict(
            f"{_named(row)} is being cancelled.",
            hint="Retry it when it is cancelled.",
        )
    if row.state == "succeeded" or (
        row.state in lifecycle.LIVE and not any(row.counts.get(s) for s in lifecycle.BAD)
    ):
        raise Conflict(f"{_named(row)} has no stage to retry: {row.state}.")
    state: ExperimentState = row.state if row.state in lifecycle.LIVE else "queued"
    return _want(connection, now, experiment_id, Opening("retried", state))


def forget(connection: Connection, experiment_id: str) -> None:
    row = find(connection, experiment_id)
    if row.state not in lifecycle.OVER:
        raise Conflict(f"{_named(row)} is {row.state}.", hint="Cancel it first.")
    named = select(baselines.c.name).where(baselines.c.audit_id == experiment_id)
    baseline = connection.scalar(named.order_by(baselines.c.name).limit(1))
    if baseline is not None:
        raise Conflict(
            f"Baseline {baseline!r} is a model of {row.kind} {row.id!r}.",
            hint="Delete that baseline, or give its name to another audit, first.",
        )
    other = experiment_stages.alias("other")
    shared = exists().where(
        other.c.stage_key == stages.c.key, other.c.experiment_id != experiment_id
    )
    mine = connection.scalars(select(stages.c.key).where(belongs_to(experiment_id), ~shared)).all()
    released = blobs.used_by(connection, mine)
    connection.execute(delete(experiments).where(experiments.c.id == experiment_id))
    for part in chunks(mine):
        connection.execute(delete(edges).where(edges.c.stage_key.in_(part)))
    for part in chunks(mine):
        connection.execute(delete(stages).where(stages.c.key.in_(part)))
    blobs.retire(connection, released)
