"""Searches for the smallest mitigation: plan, submit, move on, cancel.

A search is moved on by whichever process comes by: it asks `core.search` what follows from the
rounds in the records, and does that in one fenced transaction. A process that is killed in between
leaves nothing half done, and two that come by at once do nothing twice.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from forgetscope.app.platform import Platform
from forgetscope.app.queries import find_file, read_file
from forgetscope.app.ring import ring_all
from forgetscope.app.submit import facts_of
from forgetscope.core.facts import Facts
from forgetscope.core.identity import digest_of
from forgetscope.core.lifecycle import OVER
from forgetscope.core.plan import build_plan
from forgetscope.core.search import End, Look, decide, longest_way, looks_at_most
from forgetscope.core.search_rounds import experiment_of, judge_round, judges_of
from forgetscope.core.search_words import answer_of
from forgetscope.ports.searches import RoundRow, SearchRow
from forgetscope.schema.errors import (
    ForgetScopeError,
    InvalidInput,
    InvalidSpec,
    StageFailed,
    Unavailable,
)
from forgetscope.schema.plan import Plan
from forgetscope.schema.results import Results
from forgetscope.schema.search import SearchSpec
from forgetscope.schema.stage import Failure
from forgetscope.tasks.catalogue import TASKS
from forgetscope.tasks.custom import CUSTOM

__all__ = [
    "advance_searches",
    "cancel_search",
    "delete_search",
    "looks_of",
    "pointing_into_experiment",
    "rehearse",
    "submit_search",
]

log = structlog.get_logger(__name__)


def rehearse(spec: SearchSpec, facts: Facts) -> list[tuple[float, Plan]]:
    """The values and plans of the longest way that the search can take, so that whatever can be
    wrong with them is said before anything is trained.

    Raises the subclasses of InvalidInput.
    """
    most = looks_at_most(spec.knob, spec.max_rounds)
    planned = []
    for i, value in enumerate(longest_way(spec.knob, most), start=1):
        experiment = experiment_of(spec, value, i, most)
        with pointing_into_experiment():
            plan = build_plan(experiment, facts)
        for judges in judges_of(experiment, plan, spec.knob, spec.goal):
            _check_groups(spec, judges.task)
        planned.append((value, plan))
    return planned


def _check_groups(spec: SearchSpec, task: str) -> None:
    (use,) = (use for use in spec.experiment.tasks if use.id == task)
    known = use.name in TASKS and use.name != CUSTOM
    if spec.goal.of == "every_group" and known and not TASKS.get(use.name).groups:
        raise InvalidSpec(
            f"{task!r} has no groups to recover the loss of", where="/goal/of", hint="Say of: task."
        )


@contextmanager
def pointing_into_experiment() -> Iterator[None]:
    """A pointer into the experiment becomes one into the search."""
    try:
        yield
    except InvalidInput as error:
        if error.where is None or not error.where.startswith("/"):
            raise
        where = f"/experiment{error.where}"
        raise type(error)(error.detail, where=where, hint=error.hint) from error


def submit_search(
    platform: Platform, spec: SearchSpec, *, idempotency_key: str | None = None
) -> str:
    """Check, record and begin. Returns the id. Raises the subclasses of InvalidInput,
    IdempotencyConflict."""
    # Before the data are read: whether the step has such a number, and can take both ends.
    experiment_of(spec, spec.knob.low, 1, 1)
    experiment_of(spec, spec.knob.high, 1, 1)
    with pointing_into_experiment():
        facts = facts_of(platform, spec.experiment)
    rehearse(spec, facts)
    search_id, _ = platform.searches.add_search(
        str(uuid.uuid4()),
        spec,
        facts,
        idempotency_key=idempotency_key,
        request_digest=digest_of(spec.model_dump(mode="json")),
    )
    _advance_safely(platform, search_id)
    return search_id


def cancel_search(platform: Platform, search_id: str) -> None:
    """End it, and the experiment of its round. Raises NotFound, Conflict."""
    platform.searches.cancel_search(search_id)


def delete_search(platform: Platform, search_id: str) -> None:
    """Forget a search that is over; its experiments stay. Raises NotFound, Conflict."""
    platform.searches.delete_search(search_id)


def advance_searches(platform: Platform) -> None:
    """Move every search on as far as it can go now. Any process may. Raises Unavailable."""
    for search_id in platform.searches.running_searches():
        _advance_safely(platform, search_id)


def _advance_safely(platform: Platform, search_id: str) -> None:
    """One search must not stop those who serve the others: what goes wrong with it ends it."""
    rounds: int | None = None
    try:
        while True:
            row = platform.searches.search(search_id)
            rounds = len(row.rounds)
            if row.state != "running" or not _step(platform, row):
                return
    except Unavailable:
        raise
    except Exception as error:
        log.exception("search.failed", search=search_id)
        platform.searches.end_search(search_id, after=rounds, ending=_failure_of(error))


def _failure_of(error: Exception) -> Failure:
    if isinstance(error, ForgetScopeError):
        return Failure(
            code=error.code, detail=error.detail, where=error.where, hint=error.hint, permanent=True
        )
    detail = f"the search could not go on: {type(error).__name__}; the log of this time has more"
    return Failure(code="internal", detail=detail, permanent=True)


def _step(platform: Platform, row: SearchRow) -> bool:
    """Do the one thing that comes next. False when there is nothing to do now."""
    if row.rounds and row.rounds[-1].judged is None:
        return _judge(platform, row, row.rounds[-1])
    knob = row.spec.knob
    most = looks_at_most(knob, row.spec.max_rounds)
    looks = looks_of(row)
    step = decide(knob, looks, most)
    if isinstance(step, End):
        confidence = row.spec.experiment.analysis.confidence
        answer = answer_of(knob, looks, step, most=most, confidence=confidence)
        platform.searches.end_search(row.id, after=len(looks), ending=answer)
    else:
        _begin(platform, row, step.value, most)
    return True


def looks_of(row: SearchRow) -> list[Look]:
    """The rounds that have been judged."""
    return [Look(r.value, r.judged) for r in row.rounds if r.judged is not None]


def _begin(platform: Platform, row: SearchRow, value: float, most: int) -> None:
    round_ = len(row.rounds) + 1
    experiment = experiment_of(row.spec, value, round_, most)
    begun = platform.searches.begin_round(
        row.id,
        round_,
        value,
        experiment_id=str(uuid.uuid4()),
        spec=experiment,
        plan=build_plan(experiment, platform.searches.facts(row.id)),
        request_digest=digest_of(experiment.model_dump(mode="json")),
    )
    if begun.accepted:
        log.info("search.round", search=row.id, round=round_, value=value)
    ring_all(platform, begun.bells)


def _judge(platform: Platform, row: SearchRow, last: RoundRow) -> bool:
    """Judge a round whose experiment has ended. False while it has not.

    Raises StageFailed: it ended badly, or is gone.
    """
    spec = row.spec
    shown = f"round {last.round} ({spec.knob.path} = {last.value:g})"
    if last.experiment_id is None:
        raise StageFailed(f"the experiment of {shown} was deleted before it was judged")
    experiment = platform.records.experiment(last.experiment_id)
    if experiment.state not in OVER:
        return False
    if experiment.state != "succeeded":
        raise StageFailed(
            f"the experiment of {shown} has {experiment.state}{_why(platform, experiment.id)}",
            where=f"experiment {experiment.id}",
            hint="Mend the cause and submit the search again: what was trained is used again.",
        )
    file = find_file(platform, experiment.id, "results.json")
    results = Results.model_validate_json(b"".join(read_file(platform, file)))
    floors = {n.task: n.measured.floor for n in results.noise if n.measured.floor is not None}
    plan = build_plan(experiment.spec, platform.searches.facts(row.id))
    judges = judges_of(experiment.spec, plan, spec.knob, spec.goal)
    judged = judge_round(judges, results.recovery, spec.goal, floors)
    log.info("search.judged", search=row.id, round=last.round, verdict=judged.verdict)
    platform.searches.judge_round(row.id, last.round, judged)
    return True


def _why(platform: Platform, experiment_id: str) -> str:
    failed = platform.records.stages(
        experiment_id, kind=None, state="failed", cursor=None, limit=1
    ).items
    if not failed or failed[0].failure is None:
        return ""
    return f": {failed[0].label.title}: {failed[0].failure.detail}"
