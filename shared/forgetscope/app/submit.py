"""Plan an experiment, look at the plan, submit it."""

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from forgetscope.app.judge import judge_fingerprint
from forgetscope.app.platform import Platform
from forgetscope.app.ring import ring_all
from forgetscope.app.tasks import resolve
from forgetscope.core.estimate import Planned, estimate_compute, estimate_plan, rates_of
from forgetscope.core.identity import digest_of
from forgetscope.core.memory_plan import memory_note, plan_memory
from forgetscope.core.plan import Facts, TaskFacts, build_plan
from forgetscope.ports.models import ModelFacts
from forgetscope.schema.errors import InvalidInput, Unavailable, UnknownName
from forgetscope.schema.experiment import ExperimentSpec, ModelRef, ScoredTask, ScoringSpec
from forgetscope.schema.plan import Plan, PlanView

__all__ = [
    "facts_of",
    "judge_of",
    "plan_experiment",
    "plan_view",
    "pointing_to",
    "preview",
    "submit",
    "task_facts",
    "world",
]


def plan_experiment(platform: Platform, spec: ExperimentSpec) -> Plan:
    """Gather the facts and plan.

    Everything that can be known without a GPU is checked here, so that it is an answer to the
    request and not a failed stage: names, parameters, paths, weights, rows, counts, size.

    Raises the subclasses of InvalidInput.
    """
    return build_plan(spec, facts_of(platform, spec))


def facts_of(platform: Platform, spec: ExperimentSpec, *, published: bool = False) -> Facts:
    """What the planner must know of the world; with `published`, of a model whose sizes are
    published it need not be at hand. Raises the subclasses of InvalidInput."""
    if published:
        return _facts(platform, spec, _look(platform, spec.model))
    with pointing_to("/model"):
        model = platform.models.inspect(spec.model)
    return _facts(platform, spec, model)


def _facts(platform: Platform, spec: ExperimentSpec, model: ModelFacts) -> Facts:
    tasks = task_facts(platform, spec.tasks)
    judge = judge_of(platform, spec.evaluation, tasks)
    return world(platform, model, tasks, judge)


def task_facts(platform: Platform, tasks: Sequence[ScoredTask]) -> dict[str, TaskFacts]:
    """What is known of the data of each task. Raises the subclasses of InvalidInput."""
    return {
        use.id: platform.memory.facts(
            resolve(use, platform.library, where=f"/tasks/{i}"), platform.rows, where=f"/tasks/{i}"
        )
        for i, use in enumerate(tasks)
    }


def world(
    platform: Platform, model: ModelFacts, tasks: Mapping[str, TaskFacts], judge: str | None
) -> Facts:
    """The facts in one value."""
    return Facts(
        model_fingerprint=model.fingerprint,
        model_parameters=model.parameters,
        model_head_size=model.head_size,
        model_note=model.note,
        tasks=tasks,
        accelerator=platform.fleet.accelerator,
        engines=platform.fleet.engines,
        max_stages=platform.fleet.max_stages,
        judge_fingerprint=judge,
        model_shape=model.shape,
        endpoint=model.endpoint,
    )


def _look(platform: Platform, ref: ModelRef) -> ModelFacts:
    """The model, or what is published of it where its files are not at hand."""
    try:
        with pointing_to("/model"):
            return platform.models.inspect(ref)
    except (UnknownName, Unavailable):
        known = platform.models.published(ref)
        if known is None:
            raise
        return known


def judge_of(
    platform: Platform, scoring: ScoringSpec, tasks: Mapping[str, TaskFacts]
) -> str | None:
    """Only looked at when a task asks for it: others need neither its files nor its data."""
    if not any(task.judged for task in tasks.values()):
        return None
    with pointing_to("/evaluation/judge"):
        return judge_fingerprint(scoring.judge, rows=platform.rows, models=platform.models)


@contextmanager
def pointing_to(pointer: str) -> Iterator[None]:
    """Say where in the specification the fault is; a file or folder it names moves to `detail`."""
    try:
        yield
    except InvalidInput as error:
        detail = error.detail if error.where is None else f"{error.where}: {error.detail}"
        raise type(error)(detail, where=pointer, hint=error.hint) from error


def preview(platform: Platform, spec: ExperimentSpec) -> PlanView:
    """What submitting would do. Leaves no trace. A model whose sizes are published need not be at
    hand for it."""
    facts = facts_of(platform, spec, published=True)
    return plan_view(platform, build_plan(spec, facts), facts)


def plan_view(platform: Platform, plan: Plan, facts: Facts) -> PlanView:
    """A plan with what is done of it already, and what the rest would cost."""
    shape = facts.model_shape
    done = platform.records.finished(s.key for s in plan.stages)
    to_run = [s for s in plan.stages if s.key not in done]
    work = [Planned.of(s) for s in to_run]
    note = memory_note(plan.stages, shape, plan.parameters)
    trainings = sum(s.kind == "train" for s in plan.stages)
    forks = Counter(s.inputs["parent"] for s in plan.stages if "parent" in s.inputs)
    return PlanView(
        stages=plan.stages,
        trainings=trainings,
        naive_trainings=plan.naive_trainings,
        shared=sum(count > 1 for count in forks.values()),
        existing=len(done),
        to_run=len(to_run),
        by_kind=dict(Counter(s.kind for s in plan.stages)),
        tokens=sum(s.tokens for s in to_run),
        time=estimate_plan(
            work,
            rates_of(platform.records.rates_of_base(plan.stages[0].key)),
            parameters=plan.parameters,
            accelerator=platform.fleet.accelerator,
        ),
        compute=estimate_compute(work, plan.parameters),
        memory=plan_memory(plan.stages, shape, facts.tasks) if shape is not None else (),
        engine=plan.engine,
        engine_reason=plan.engine_reason,
        notes=(*plan.notes, note) if note else plan.notes,
    )


def submit(
    platform: Platform, spec: ExperimentSpec, *, idempotency_key: str | None = None
) -> tuple[str, bool]:
    """Record an experiment and ring for its first stages. Returns (id, created)."""
    plan = plan_experiment(platform, spec)
    experiment_id, created, bells = platform.records.add_experiment(
        str(uuid.uuid4()),
        spec,
        plan,
        idempotency_key=idempotency_key,
        request_digest=digest_of(spec.model_dump(mode="json")),
    )
    ring_all(platform, bells)
    return experiment_id, created
