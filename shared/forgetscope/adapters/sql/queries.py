"""Reads. None of them locks, and none reads more rows than it answers."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, func, select, tuple_

from forgetscope.adapters.sql import values
from forgetscope.adapters.sql.experiments import find
from forgetscope.adapters.sql.journal import chunks
from forgetscope.adapters.sql.tables import (
    attempts,
    edges,
    events,
    experiment_stages,
    experiments,
    has_state,
    stages,
)
from forgetscope.core import lifecycle
from forgetscope.ports.records import AuditRow, ExperimentRow, KindRate, StageRecord
from forgetscope.schema.errors import NotFound
from forgetscope.schema.plan import Queue, StageKind
from forgetscope.schema.stage import ExperimentState, Manifest, RunKind, StageState
from forgetscope.schema.views import AttemptView, EventView, Page, StageView

__all__ = [
    "attempts_of",
    "audit",
    "audit_page",
    "events_after",
    "experiment",
    "experiment_page",
    "finished",
    "manifests",
    "rates",
    "remaining",
    "stage",
    "stage_page",
    "stage_view",
    "state",
]

T = TypeVar("T")

# The latest ones tell best how fast a model runs now.
RATED_STAGES = 200

_LARGEST_ID = 2**63 - 1


def experiment(connection: Connection, experiment_id: str) -> ExperimentRow:
    return values.experiment_row(find(connection, experiment_id, "experiment"))


def audit(connection: Connection, audit_id: str) -> AuditRow:
    return values.audit_row(find(connection, audit_id, "audit"))


def state(connection: Connection, experiment_id: str, kind: RunKind | None) -> ExperimentState:
    found: ExperimentState = find(connection, experiment_id, kind).state
    return found


def experiment_page(connection: Connection, **asked: Any) -> Page[ExperimentRow]:
    return _run_page(connection, "experiment", values.experiment_row, **asked)


def audit_page(connection: Connection, **asked: Any) -> Page[AuditRow]:
    return _run_page(connection, "audit", values.audit_row, **asked)


def _run_page(
    connection: Connection,
    kind: RunKind,
    row_of: Callable[[Row[Any]], T],
    *,
    state: ExperimentState | None,
    name: str | None,
    cursor: str | None,
    limit: int,
) -> Page[T]:
    table = experiments.c
    query = select(experiments).where(table.kind == kind)
    query = query.order_by(table.created_at.desc(), table.id.desc())
    if state is not None:
        query = query.where(table.state == state)
    if name is not None:
        query = query.where(table.name.icontains(name, autoescape=True))
    if cursor is not None:
        query = query.where(
            tuple_(table.created_at, table.id) < tuple_(*values.time_cursor(cursor))
        )
    rows, more = _page(connection, query, limit)
    return Page(
        items=tuple(map(row_of, rows)),
        next_cursor=values.cursor_of(rows[-1].created_at, rows[-1].id) if more else None,
    )


def stage_page(
    connection: Connection,
    experiment_id: str,
    *,
    kind: StageKind | None,
    state: StageState | None,
    cursor: str | None,
    limit: int,
) -> Page[StageView]:
    _exists(connection, experiment_id)
    query = _members(experiment_id).order_by(experiment_stages.c.position)
    if kind is not None:
        query = query.where(stages.c.kind == kind)
    if state is not None:
        query = query.where(stages.c.state == state)
    if cursor is not None:
        after = values.position_cursor(cursor, experiment_id)
        query = query.where(experiment_stages.c.position > after)
    rows, more = _page(connection, query, limit)
    return Page(
        items=tuple(_views(connection, rows)),
        next_cursor=values.cursor_of(experiment_id, rows[-1].position) if more else None,
    )


def stage_view(connection: Connection, experiment_id: str, key: str) -> StageView:
    row = connection.execute(
        _members(experiment_id).where(experiment_stages.c.stage_key == key)
    ).first()
    if row is None:
        _exists(connection, experiment_id)
        raise NotFound(f"Experiment {experiment_id!r} has no stage {key!r}.")
    return _views(connection, [row])[0]


def stage(connection: Connection, key: str) -> StageRecord:
    row = connection.execute(select(stages).where(stages.c.key == key)).first()
    if row is None:
        raise NotFound(f"There is no stage {key!r}.")
    return values.stage_record(row, _inputs(connection, [key]).get(key, {}))


def attempts_of(connection: Connection, key: str) -> tuple[AttemptView, ...]:
    query = select(attempts).where(attempts.c.stage_key == key).order_by(attempts.c.attempt)
    return tuple(values.attempt_view(row) for row in connection.execute(query))


def manifests(connection: Connection, experiment_id: str) -> Sequence[tuple[StageView, Manifest]]:
    _exists(connection, experiment_id)
    query = _members(experiment_id).where(has_state("succeeded"))
    rows = connection.execute(query.order_by(experiment_stages.c.position)).all()
    views = _views(connection, rows)
    return [
        (view, Manifest.model_validate(row.manifest)) for view, row in zip(views, rows, strict=True)
    ]


def finished(connection: Connection, keys: Iterable[str]) -> frozenset[str]:
    found: set[str] = set()
    for part in chunks(list(keys)):
        query = select(stages.c.key).where(stages.c.key.in_(part), has_state("succeeded"))
        found.update(connection.scalars(query))
    return frozenset(found)


def rates(connection: Connection, experiment_id: str) -> tuple[KindRate, ...]:
    _exists(connection, experiment_id)
    members = _finished().join(experiment_stages, experiment_stages.c.stage_key == stages.c.key)
    return _summed(connection, members.where(experiment_stages.c.experiment_id == experiment_id))


def rates_of_base(connection: Connection, base: str) -> tuple[KindRate, ...]:
    latest = _finished().where(stages.c.base_key == base).order_by(stages.c.finished_at.desc())
    return _summed(connection, latest.limit(RATED_STAGES))


def _finished() -> Select[Any]:
    return select(
        stages.c.kind,
        (stages.c.finished_at - stages.c.started_at).label("seconds"),
        stages.c.tokens,
    ).where(has_state("succeeded"), stages.c.finished_at.is_not(None))


def _summed(connection: Connection, finished: Select[Any]) -> tuple[KindRate, ...]:
    one = finished.subquery().c
    query = select(one.kind, func.count(), func.sum(one.seconds), func.sum(one.tokens))
    rows = connection.execute(query.group_by(one.kind).order_by(one.kind))
    return tuple(KindRate(kind, n, float(seconds), int(t)) for kind, n, seconds, t in rows)


def remaining(
    connection: Connection, experiment_id: str
) -> Sequence[tuple[StageKind, Queue, int, float]]:
    _exists(connection, experiment_id)
    query = (
        _members(experiment_id)
        .where(stages.c.state.in_(lifecycle.OPEN))
        .order_by(experiment_stages.c.position)
    )
    return [(row.kind, row.queue, row.tokens, _fraction(row)) for row in connection.execute(query)]


def _fraction(row: Row[Any]) -> float:
    progress = values.progress(row.progress) if row.state == "running" else None
    return 0.0 if progress is None else min(1.0, progress.done / progress.total)


def events_after(
    connection: Connection, experiment_id: str, after: int, limit: int
) -> tuple[EventView, ...]:
    query = (
        select(events)
        .where(events.c.experiment_id == experiment_id, events.c.id > min(after, _LARGEST_ID))
        .order_by(events.c.id)
    )
    rows = connection.execute(query.limit(limit)).all()
    if not rows:
        _exists(connection, experiment_id)
    return tuple(values.event_view(row) for row in rows)


def _exists(connection: Connection, experiment_id: str) -> None:
    query = select(experiments.c.id).where(experiments.c.id == experiment_id)
    if connection.execute(query).first() is None:
        raise NotFound(f"There is no experiment {experiment_id!r}.")


def _members(experiment_id: str) -> Select[Any]:
    return (
        select(stages, experiment_stages.c.position, experiment_stages.c.label)
        .join(stages, stages.c.key == experiment_stages.c.stage_key)
        .select_from(experiment_stages)
        .where(experiment_stages.c.experiment_id == experiment_id)
    )


def _page(
    connection: Connection, query: Select[Any], limit: int
) -> tuple[Sequence[Row[Any]], bool]:
    rows = connection.execute(query.limit(limit + 1)).all()
    return rows[:limit], len(rows) > limit


def _views(connection: Connection, rows: Sequence[Row[Any]]) -> list[StageView]:
    inputs = _inputs(connection, [row.key for row in rows])
    return [values.stage_view(row, inputs.get(row.key, {})) for row in rows]


def _inputs(connection: Connection, keys: Sequence[str]) -> dict[str, dict[str, str]]:
    inputs: dict[str, dict[str, str]] = {}
    for part in chunks(keys):
        query = select(edges).where(edges.c.stage_key.in_(part))
        for edge in connection.execute(query.order_by(edges.c.stage_key, edges.c.role)):
            inputs.setdefault(edge.stage_key, {})[edge.role] = edge.input_key
    return inputs
