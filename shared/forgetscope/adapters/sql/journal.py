"""Moves of stages as the experiments see them: counts, derived states, gap-free events."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from forgetscope.adapters.sql import outbox
from forgetscope.adapters.sql.tables import (
    events,
    experiment_stages,
    experiments,
    has_state,
    stages,
)
from forgetscope.core import lifecycle
from forgetscope.ports.webhooks import EventCopy
from forgetscope.schema.base import JsonObject
from forgetscope.schema.stage import Breach, ExperimentState, StageState
from forgetscope.schema.views import EventType
from forgetscope.schema.webhooks import RunRef

__all__ = ["Change", "Opening", "chunks", "publish", "publish_breach", "publish_progress"]

_CHUNK = 5000  # well below the number of parameters that either driver takes


# The states that an experiment comes to by itself.
_VERBS: Mapping[ExperimentState, lifecycle.RunVerb] = {
    "running": "running",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
}


class Change(NamedTuple):
    """A move of one stage that the transaction has made."""

    key: str
    before: StageState
    after: StageState
    data: JsonObject = {}


class Opening(NamedTuple):
    """What happens to an experiment or audit itself, before the moves of its stages."""

    verb: lifecycle.RunVerb
    state: ExperimentState


class _Event(NamedTuple):
    type: EventType
    stage: str | None
    data: JsonObject


def publish(
    connection: Connection,
    now: float,
    changes: Sequence[Change],
    *,
    openings: Mapping[str, Opening] | None = None,
    touched: Collection[str] = (),
) -> None:
    """Tell every experiment of each moved stage; derive its state again.

    `touched` stages have not moved, but whether they are wanted has. Stages are locked before
    this, and nothing but webhooks after it: it locks the experiments, in the order of their ids.
    """
    openings = openings or {}
    moves: dict[str, list[Change]] = {}
    users = _users(connection, [*(c.key for c in changes), *touched])
    for change in changes:
        for experiment_id in users.get(change.key, ()):
            moves.setdefault(experiment_id, []).append(change)
    concerned = {*openings, *moves, *(e for key in touched for e in users.get(key, ()))}
    copies: list[EventCopy] = []
    for row in _lock(connection, concerned):
        opening, own = openings.get(row.id), moves.get(row.id, [])
        news = []
        if opening is not None:
            news.append(_Event(lifecycle.run_event(row.kind, opening.verb), None, {}))
        counts: Counter[StageState] = Counter(row.counts)
        for change in own:
            counts[change.before] -= 1
            counts[change.after] += 1
            told = lifecycle.event_of(change.before, change.after)
            if told is not None:
                news.append(_Event(told, change.key, change.data))
        present = row.state if opening is None else opening.state
        state = lifecycle.experiment_state(
            present, counts, stopping=present == "cancelling" and _stopping(connection, row.id)
        )
        if state != present:
            news.append(_Event(lifecycle.run_event(row.kind, _VERBS[state]), None, {}))
        copies += _append(connection, now, row, news)
        over = state in lifecycle.OVER
        connection.execute(
            update(experiments)
            .where(experiments.c.id == row.id)
            .values(
                state=state,
                counts={name: n for name, n in counts.items() if n},
                finished_at=(row.finished_at if state == row.state else now) if over else None,
            )
        )
    outbox.post(connection, now, copies)


def publish_progress(connection: Connection, now: float, key: str, data: JsonObject) -> None:
    """Tell every experiment of a running stage how far it is."""
    copies: list[EventCopy] = []
    for row in _lock(connection, set(_users(connection, [key]).get(key, ()))):
        copies += _append(connection, now, row, [_Event("stage.progress", key, data)])
    outbox.post(connection, now, copies)


def publish_breach(connection: Connection, now: float, key: str, breach: Breach) -> None:
    """Tell every experiment of a running stage that a group was called, unless it knows: a stage
    that resumes sees the same again."""
    copies: list[EventCopy] = []
    for row in _lock(connection, set(_users(connection, [key]).get(key, ()))):
        said = select(events.c.data).where(
            events.c.experiment_id == row.id,
            events.c.stage_key == key,
            events.c.type == "stage.breach",
        )
        if all(data["group"] != breach.group for data in connection.scalars(said)):
            data = breach.model_dump(mode="json")
            copies += _append(connection, now, row, [_Event("stage.breach", key, data)])
    outbox.post(connection, now, copies)


def chunks(items: Collection[str]) -> Iterator[list[str]]:
    """The items in portions that fit into one statement."""
    listed = list(items)
    for start in range(0, len(listed), _CHUNK):
        yield listed[start : start + _CHUNK]


def _users(connection: Connection, keys: Collection[str]) -> dict[str, list[str]]:
    table = experiment_stages.c
    users: dict[str, list[str]] = {}
    for part in chunks(keys):
        query = select(table.stage_key, table.experiment_id).where(table.stage_key.in_(part))
        for key, experiment_id in connection.execute(query):
            users.setdefault(key, []).append(experiment_id)
    return users


def _lock(connection: Connection, ids: Collection[str]) -> Iterator[Row[*tuple[Any, ...]]]:
    table = experiments.c
    for part in chunks(sorted(ids)):
        query = (
            select(
                *(table.id, table.kind, table.name, table.state),
                *(table.counts, table.event_seq, table.finished_at),
            )
            .where(table.id.in_(part))
            .order_by(table.id)
            .with_for_update(key_share=True)
        )
        yield from connection.execute(query).all()


def _append(
    connection: Connection, now: float, row: Row[*tuple[Any, ...]], news: Sequence[_Event]
) -> list[EventCopy]:
    if not news:
        return []
    connection.execute(
        update(experiments).where(experiments.c.id == row.id).values(event_seq=bindparam("last")),
        {"last": row.event_seq + len(news)},
    )
    run = RunRef(id=row.id, kind=row.kind, name=row.name)
    copies = [
        EventCopy(number, event.type, now, event.stage, event.data, run)
        for number, event in enumerate(news, start=row.event_seq + 1)
    ]
    connection.execute(
        insert(events),
        [
            {
                "experiment_id": row.id,
                "id": copy.id,
                "type": copy.type,
                "at": now,
                "stage_key": copy.stage,
                "data": copy.data,
            }
            for copy in copies
        ],
    )
    return copies


def _stopping(connection: Connection, experiment_id: str) -> bool:
    query = (
        select(stages.c.key)
        .join(experiment_stages, experiment_stages.c.stage_key == stages.c.key)
        .where(
            experiment_stages.c.experiment_id == experiment_id,
            has_state("running"),
            stages.c.unwanted,
        )
    )
    return connection.execute(query.limit(1)).first() is not None
