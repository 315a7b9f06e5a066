"""Read sides of searches: one of them with its rounds and ETA, what happened in it, its plan."""

from collections.abc import Iterator

from forgetscope.app.platform import Platform
from forgetscope.app.queries import experiment_view, links_of
from forgetscope.app.search import looks_of, pointing_into_experiment, rehearse
from forgetscope.app.submit import facts_of
from forgetscope.core.estimate import Planned, estimate_compute, estimate_plan, rates_of
from forgetscope.core.facts import Facts
from forgetscope.core.search import bracket_of, confidence_of, looks_at_most
from forgetscope.core.search_rounds import experiment_of, judges_of
from forgetscope.core.search_words import caveat, price_note, tail_note
from forgetscope.core.steps import task_of
from forgetscope.ports.searches import RoundRow, SearchRow
from forgetscope.schema.base import JsonObject
from forgetscope.schema.plan import Estimate, Plan
from forgetscope.schema.search import (
    SearchEventType,
    SearchEventView,
    SearchPlan,
    SearchRound,
    SearchSpec,
    SearchSummary,
    SearchView,
)

__all__ = ["events_of", "plan_search", "search_links", "search_summary", "search_view"]


def plan_search(platform: Platform, spec: SearchSpec) -> SearchPlan:
    """What a search would do on the longest way that it can take. Leaves no trace. Raises the
    subclasses of InvalidInput."""
    experiment_of(spec, spec.knob.low, 1, 1)
    experiment_of(spec, spec.knob.high, 1, 1)
    with pointing_into_experiment():
        facts = facts_of(platform, spec.experiment, published=True)
    planned = rehearse(spec, facts)
    most = looks_at_most(spec.knob, spec.max_rounds)
    highest, first = planned[0]
    stages = {stage.key: stage for _, plan in planned for stage in plan.stages}
    done = platform.records.finished(stages)
    work = [Planned.of(stage) for stage in stages.values() if stage.key not in done]
    trained = [{s.key for s in plan.stages if s.kind == "train"} for _, plan in planned]
    judges = judges_of(experiment_of(spec, highest, 1, most), first, spec.knob, spec.goal)
    return SearchPlan(
        looks=most,
        confidence=confidence_of(spec.experiment.analysis.confidence, most),
        values=tuple(value for value, _ in planned),
        chains=tuple(one.chain.chain for one in judges),
        trainings=len(set().union(*trained)),
        shared_trainings=len(trained[0].intersection(*trained)),
        naive_trainings=sum(map(len, trained)),
        stages=len(stages),
        existing=len(done),
        tokens=sum(one.tokens for one in work),
        time=estimate_plan(
            work,
            rates_of(platform.records.rates_of_base(first.stages[0].key)),
            parameters=first.parameters,
            accelerator=platform.fleet.accelerator,
        ),
        compute=estimate_compute(work, first.parameters),
        notes=tuple(_notes(spec, facts, first, most)),
    )


def _notes(spec: SearchSpec, facts: Facts, first: Plan, most: int) -> Iterator[str]:
    yield caveat(most, spec.experiment.analysis.confidence)
    analysis = experiment_of(spec, spec.knob.high, 1, most).analysis
    tail = tail_note(analysis.bootstrap_replicates, analysis.confidence)
    if tail is not None:
        yield tail
    judges = judges_of(experiment_of(spec, spec.knob.high, 1, most), first, spec.knob, spec.goal)
    uses = {use.id: use for use in spec.experiment.tasks}
    priced = {
        task: None
        for one in judges
        for task in spec.goal.price_tasks or map(task_of, one.chain.plain)
        if task is not None and task != one.task
    }
    for task in priced:
        items = uses[task].evaluation_examples or facts.tasks[task].evaluation_examples
        note = price_note(
            task,
            spec.goal.price,
            items=items,
            seeds=len(spec.experiment.seeds),
            confidence=analysis.confidence,
        )
        if note is not None:
            yield note
    yield from first.notes


def search_summary(row: SearchRow) -> SearchSummary:
    """The list form of a search."""
    looks = looks_of(row)
    return SearchSummary(
        id=row.id,
        name=row.name,
        state=row.state,
        created_at=row.created_at,
        finished_at=row.finished_at,
        rounds_done=len(looks),
        bracket=bracket_of(looks),
        answer=row.answer,
    )


def search_view(platform: Platform, search_id: str) -> SearchView:
    """One search with its rounds and the time it still needs at most. Raises NotFound."""
    row = platform.searches.search(search_id)
    most = looks_at_most(row.spec.knob, row.spec.max_rounds)
    eta = _eta(platform, row, most)
    return SearchView(
        **dict(search_summary(row)),
        spec=row.spec,
        looks=most,
        confidence=confidence_of(row.spec.experiment.analysis.confidence, most),
        rounds=tuple(_round(one) for one in row.rounds),
        failure=row.failure,
        eta_seconds=eta.seconds,
        eta_basis=eta.basis,
        links=search_links(search_id),
    )


def search_links(search_id: str) -> dict[str, str]:
    """Where a search and its parts are found."""
    root = f"/v1/searches/{search_id}"
    return {"self": root} | {name: f"{root}/{name}" for name in ("events", "cancel")}


def _round(row: RoundRow) -> SearchRound:
    links = {} if row.experiment_id is None else links_of(row.experiment_id)
    shown = {"experiment": links["self"], "results": links["results"]} if links else {}
    return SearchRound(
        round=row.round,
        value=row.value,
        experiment=row.experiment_id,
        started_at=row.started_at,
        judged_at=row.judged_at,
        judged=row.judged,
        links=shown,
    )


def _eta(platform: Platform, row: SearchRow, most: int) -> Estimate:
    """The running round by its own estimate; those that may follow take as long as the longest of
    the later ones so far, which trained as little anew."""
    if row.state != "running":
        return Estimate(seconds=None, basis=f"the search has {row.state}")
    present = row.rounds[-1] if row.rounds else None
    if present is None or present.experiment_id is None or present.judged is not None:
        return Estimate(seconds=None, basis="between two rounds")
    now = experiment_view(platform, present.experiment_id)
    left = most - present.round
    past = [r.judged_at - r.started_at for r in row.rounds if r.judged_at is not None]
    if now.eta_seconds is None:
        return Estimate(seconds=None, basis=f"round {present.round}: {now.eta_basis}")
    if left and not past:
        return Estimate(seconds=None, basis="no round has ended yet")
    following = left * max(past[1:] or past) if left else 0.0
    return Estimate(
        seconds=round(now.eta_seconds + following, 1),
        basis=f"round {present.round} of at most {most}, and the following ones as the longest of "
        "the later ones so far",
    )


def events_of(row: SearchRow) -> tuple[SearchEventView, ...]:
    """What happened, in order. It follows from the rounds, which never change once they are there:
    an event keeps its id for ever."""
    told: list[tuple[SearchEventType, float, JsonObject]] = [
        ("search.submitted", row.created_at, {})
    ]
    for one in row.rounds:
        named: JsonObject = {"round": one.round, "value": one.value}
        told.append(("search.round", one.started_at, {**named, "experiment": one.experiment_id}))
        if one.judged is not None and one.judged_at is not None:
            found: JsonObject = {"verdict": one.judged.verdict, "reason": one.judged.reason}
            told.append(("search.judged", one.judged_at, named | found))
    if row.finished_at is not None:
        ends: dict[str, SearchEventType] = {
            "succeeded": "search.succeeded",
            "failed": "search.failed",
            "cancelled": "search.cancelled",
        }
        ending = row.answer or row.failure
        data = {} if ending is None else ending.model_dump(mode="json")
        told.append((ends[row.state], row.finished_at, data))
    return tuple(
        SearchEventView(id=number, type=kind, at=at, data=data)
        for number, (kind, at, data) in enumerate(told, start=1)
    )
