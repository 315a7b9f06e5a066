"""`SqlSearches`: the searches port, one transaction a method."""

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, delete, insert, select, tuple_, update

from forgetscope.adapters.sql import experiments as experiment_moves
from forgetscope.adapters.sql import values
from forgetscope.adapters.sql.tables import experiments, search_rounds, searches
from forgetscope.adapters.sql.transactions import Transactions
from forgetscope.core import lifecycle
from forgetscope.core.facts import Facts
from forgetscope.ports.searches import Begun, RoundRow, SearchRow
from forgetscope.schema.errors import Conflict, IdempotencyConflict, NotFound
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.goal import GoalJudged
from forgetscope.schema.plan import Plan
from forgetscope.schema.search import SearchAnswer, SearchSpec, SearchState
from forgetscope.schema.stage import Failure
from forgetscope.schema.views import Page

__all__ = ["SqlSearches"]

T = TypeVar("T")

_FACTS = TypeAdapter(Facts)


class SqlSearches(Transactions):
    """`forgetscope.ports.searches.Searches`; documented there."""

    def add_search(
        self,
        search_id: str,
        spec: SearchSpec,
        facts: Facts,
        *,
        idempotency_key: str | None = None,
        request_digest: str,
    ) -> tuple[str, bool]:
        def add(connection: Connection, now: float) -> tuple[str, bool]:
            earlier = _earlier(connection, idempotency_key, request_digest)
            if earlier is not None:
                return earlier, False
            connection.execute(
                insert(searches).values(
                    id=search_id,
                    name=spec.name,
                    state="running",
                    spec=spec.model_dump(mode="json"),
                    facts=_dumped(facts),
                    created_at=now,
                    idempotency_key=idempotency_key,
                    request_digest=request_digest,
                )
            )
            return search_id, True

        return self._change(add)

    def search(self, search_id: str) -> SearchRow:
        return self._read(lambda c: _rows(c, [_find(c, search_id)])[0])

    def facts(self, search_id: str) -> Facts:
        return self._read(lambda c: _FACTS.validate_python(_find(c, search_id).facts))

    def searches(
        self, *, state: SearchState | None, cursor: str | None, limit: int
    ) -> Page[SearchRow]:
        return self._read(lambda c: _page(c, state, cursor, limit))

    def running_searches(self) -> tuple[str, ...]:
        table = searches.c
        query = select(table.id).where(table.state == "running")
        query = query.order_by(table.created_at, table.id)
        return self._read(lambda c: tuple(c.scalars(query)))

    def begin_round(
        self,
        search_id: str,
        round_: int,
        value: float,
        *,
        experiment_id: str,
        spec: ExperimentSpec,
        plan: Plan,
        request_digest: str,
    ) -> Begun:
        def begin(connection: Connection, now: float) -> Begun:
            if not _stands_at(connection, search_id, round_ - 1, judged=True):
                return Begun(accepted=False)
            found, _, bells = experiment_moves.add(
                connection,
                now,
                experiment_id,
                spec=spec,
                plan=plan,
                idempotency_key=f"search/{search_id}/{round_}",
                request_digest=request_digest,
            )
            connection.execute(
                insert(search_rounds).values(
                    search_id=search_id,
                    round=round_,
                    value=value,
                    experiment_id=found,
                    started_at=now,
                )
            )
            return Begun(accepted=True, bells=bells)

        return self._change(begin)

    def judge_round(self, search_id: str, round_: int, judged: GoalJudged) -> bool:
        def judge(connection: Connection, now: float) -> bool:
            if not _stands_at(connection, search_id, round_, judged=False):
                return False
            connection.execute(
                update(search_rounds)
                .where(search_rounds.c.search_id == search_id, search_rounds.c.round == round_)
                .values(judged=judged.model_dump(mode="json"), judged_at=now)
            )
            return True

        return self._change(judge)

    def end_search(
        self, search_id: str, *, after: int | None, ending: SearchAnswer | Failure
    ) -> bool:
        def end(connection: Connection, now: float) -> bool:
            if not _stands_at(connection, search_id, after):
                return False
            well = isinstance(ending, SearchAnswer)
            what = {"answer" if well else "failure": ending.model_dump(mode="json")}
            _close(connection, now, search_id, "succeeded" if well else "failed", what)
            return True

        return self._change(end)

    def cancel_search(self, search_id: str) -> None:
        def cancel(connection: Connection, now: float) -> None:
            state = _find(connection, search_id).state
            if state != "running":
                raise Conflict(f"Search {search_id!r} is over: {state}.")
            _close(connection, now, search_id, "cancelled", {})
            live = (
                select(experiments.c.id)
                .join(search_rounds, search_rounds.c.experiment_id == experiments.c.id)
                .where(
                    search_rounds.c.search_id == search_id,
                    search_rounds.c.judged_at.is_(None),
                    experiments.c.state.in_(lifecycle.LIVE),
                )
            )
            for experiment_id in connection.scalars(live).all():
                experiment_moves.cancel(connection, now, experiment_id)

        self._change(cancel)

    def delete_search(self, search_id: str) -> None:
        def forget(connection: Connection, _: float) -> None:
            if _find(connection, search_id).state == "running":
                raise Conflict(f"Search {search_id!r} is running.", hint="Cancel it first.")
            connection.execute(delete(searches).where(searches.c.id == search_id))

        self._change(forget)


def _dumped(facts: Facts) -> Any:
    # A default may be a view of a mapping, which the serializer does not know.
    plain = {id_: task._replace(examples=dict(task.examples)) for id_, task in facts.tasks.items()}
    return _FACTS.dump_python(facts._replace(tasks=plain), mode="json")


def _earlier(connection: Connection, key: str | None, request_digest: str) -> str | None:
    if key is None:
        return None
    query = select(searches.c.id, searches.c.request_digest)
    earlier = connection.execute(query.where(searches.c.idempotency_key == key)).first()
    if earlier is None:
        return None
    if earlier.request_digest != request_digest:
        raise IdempotencyConflict(
            f"The Idempotency-Key {key!r} was used for another request.",
            where="Idempotency-Key",
            hint="Use a new key for a new request.",
        )
    return str(earlier.id)


def _find(connection: Connection, search_id: str) -> Row[Any]:
    row = connection.execute(select(searches).where(searches.c.id == search_id)).first()
    if row is None:
        raise NotFound(f"There is no search {search_id!r}.")
    return row


def _stands_at(
    connection: Connection, search_id: str, rounds: int | None, *, judged: bool | None = None
) -> bool:
    """Whether the search runs and has so many rounds, the last of which is (not yet) judged."""
    if _find(connection, search_id).state != "running":
        return False
    if rounds is None:
        return True
    query = select(search_rounds.c.judged_at).where(search_rounds.c.search_id == search_id)
    found = connection.scalars(query.order_by(search_rounds.c.round)).all()
    if len(found) != rounds:
        return False
    return judged is None or not found or (found[-1] is not None) == judged


def _close(
    connection: Connection, now: float, search_id: str, state: SearchState, what: dict[str, Any]
) -> None:
    connection.execute(
        update(searches)
        .where(searches.c.id == search_id)
        .values(state=state, finished_at=now, **what)
    )


def _page(
    connection: Connection, state: SearchState | None, cursor: str | None, limit: int
) -> Page[SearchRow]:
    table = searches.c
    query = select(searches).order_by(table.created_at.desc(), table.id.desc())
    if state is not None:
        query = query.where(table.state == state)
    if cursor is not None:
        query = query.where(
            tuple_(table.created_at, table.id) < tuple_(*values.time_cursor(cursor))
        )
    found = connection.execute(query.limit(limit + 1)).all()
    rows, more = found[:limit], len(found) > limit
    return Page(
        items=tuple(_rows(connection, rows)),
        next_cursor=values.cursor_of(rows[-1].created_at, rows[-1].id) if more else None,
    )


def _rows(connection: Connection, rows: Sequence[Row[Any]]) -> list[SearchRow]:
    rounds: dict[str, list[RoundRow]] = {}
    query = select(search_rounds).where(search_rounds.c.search_id.in_([row.id for row in rows]))
    for row in connection.execute(query.order_by(search_rounds.c.search_id, search_rounds.c.round)):
        judged = None if row.judged is None else GoalJudged.model_validate(row.judged)
        rounds.setdefault(row.search_id, []).append(
            RoundRow(row.round, row.value, row.experiment_id, row.started_at, row.judged_at, judged)
        )
    return [
        SearchRow(
            id=row.id,
            name=row.name,
            state=row.state,
            spec=SearchSpec.model_validate(row.spec),
            created_at=row.created_at,
            finished_at=row.finished_at,
            answer=None if row.answer is None else SearchAnswer.model_validate(row.answer),
            failure=values.failure(row.failure),
            rounds=tuple(rounds.get(row.id, ())),
        )
        for row in rows
    ]
