"""A round of a search: the experiment with one value put in, the chains that it judges, and what
their recovery says about the goal. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pydantic import TypeAdapter

from forgetscope.core.goals import judge_goal
from forgetscope.core.search import confidence_of, together
from forgetscope.core.steps import Steps, task_of
from forgetscope.schema.errors import InvalidSpec, StageFailed
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.goal import Goal, GoalJudged
from forgetscope.schema.plan import Plan
from forgetscope.schema.recovery import MitigatedChain, RecoveryRow
from forgetscope.schema.search import Knob, SearchSpec
from forgetscope.schema.steps import ReplayStep, TrainStep

__all__ = ["Judges", "experiment_of", "judge_round", "judges_of"]

MAX_VARIED = 8
"""Paths of a step's `vary`, at most: one of them is the knob's."""

_CHAINS = TypeAdapter(tuple[MitigatedChain, ...])


class Judges(NamedTuple):
    """A chain that has to pass, and the task whose loss is to be recovered in it."""

    chain: MitigatedChain
    task: str


def experiment_of(spec: SearchSpec, value: float, round_: int, looks: int) -> ExperimentSpec:
    """The experiment of a round: the step takes the value, and the intervals are corrected for
    `looks`.

    Raises InvalidSpec: there is no such step or no such number in it, it varies already, or cannot
    take the value.
    """
    knob, experiment = spec.knob, spec.experiment
    step = experiment.steps.get(knob.step)
    if step is None:
        raise InvalidSpec(
            f"the experiment has no step {knob.step!r}",
            where="/knob/step",
            hint=f"Its steps: {', '.join(experiment.steps) or 'none'}.",
        )
    if knob.path in step.vary or len(step.vary) == MAX_VARIED:
        raise InvalidSpec(
            f"the step {knob.step!r} varies {knob.path!r}, or {MAX_VARIED} other numbers, already",
            where="/knob/path",
            hint="Take it out of `vary`: the search chooses its values.",
        )
    taken = int(value) if value.is_integer() else value
    varied = step.model_copy(update={"vary": {**step.vary, knob.path: (taken,)}})
    analysis = experiment.analysis
    corrected = confidence_of(analysis.confidence, looks)
    made = experiment.model_copy(
        update={
            "name": f"{spec.name} · round {round_}: {knob.path} = {value:g}"[:200],
            "steps": {**experiment.steps, knob.step: varied},
            "analysis": analysis.model_copy(update={"confidence": corrected}),
        }
    )
    try:
        Steps(made)
    except InvalidSpec as error:
        if error.where != f"/steps/{knob.step}/vary":
            raise InvalidSpec(
                error.detail, where=f"/experiment{error.where or ''}", hint=error.hint
            ) from error
        ends = {knob.low: "/knob/low", knob.high: "/knob/high"}
        raise InvalidSpec(
            error.detail, where=ends.get(value, "/knob/path"), hint=error.hint
        ) from error
    return made


def judges_of(spec: ExperimentSpec, plan: Plan, knob: Knob, goal: Goal) -> tuple[Judges, ...]:
    """The chains that use the step. All of them have to pass.

    Raises InvalidSpec: none does, the step mitigates nothing, nothing was trained after the task
    that is to be recovered, or a price is asked on a task that a chain does not train.
    """
    steps = Steps(spec)
    (params,) = (stage.params for stage in plan.stages if stage.kind == "analyse")
    mitigated = _CHAINS.validate_python(params.get("mitigated", []))
    found = []
    for chain in mitigated:
        used = [element for element in chain.chain if _step_name(element) == knob.step]
        if used:
            found.append(Judges(chain, _recovered(spec, steps, chain, used[0], knob)))
    if not found:
        raise InvalidSpec(
            f"no chain with the step {knob.step!r} can be compared with one without it: either "
            "none uses it, or it is no mitigation",
            where="/knob/step",
            hint="Replay, merge, mix, monitor or mitigation, as an element of a chain.",
        )
    for judges in found:
        _check(judges, goal)
    return tuple(found)


def _step_name(element: str) -> str | None:
    bare = element.partition("[")[0]
    return bare[1:] if bare.startswith("~") else bare.partition(":")[2] or None


def _recovered(
    spec: ExperimentSpec, steps: Steps, chain: MitigatedChain, element: str, knob: Knob
) -> str:
    """The task that a step replays, mixes in or watches; else the first of the chain."""
    step = spec.steps[knob.step]
    wanted = None
    if isinstance(step, ReplayStep):
        wanted = task_of(element)
    elif isinstance(step, TrainStep):
        wanted = next((part.task for part in (step.mix, step.monitor) if part is not None), None)
    return steps.source(chain.chain, wanted)


def _check(judges: Judges, goal: Goal) -> None:
    trained = [task for element in judges.chain.plain if (task := task_of(element)) is not None]
    shown = " → ".join(judges.chain.chain)
    if judges.task not in trained[:-1]:
        raise InvalidSpec(
            f"nothing is trained after {judges.task!r} in {shown}, so that nothing is forgotten",
            where="/knob/step",
        )
    others = sorted(set(trained) - {judges.task})
    for i, task in enumerate(goal.price_tasks or ()):
        if task not in others:
            raise InvalidSpec(
                f"{task!r} has no price in {shown}",
                where=f"/goal/price_tasks/{i}",
                hint=f"Other tasks that it trains: {', '.join(others) or 'none'}.",
            )


def judge_round(
    judges: Iterable[Judges],
    rows: Iterable[RecoveryRow],
    goal: Goal,
    noise_floor: Mapping[str, float],
) -> GoalJudged:
    """What the results of a round say about the goal. Raises StageFailed: a chain is not in them.

    A task that is trained several times is judged after each training that was forgotten.
    """
    known = list(rows)
    judged: dict[str, GoalJudged] = {}
    for chain, task in judges:
        mine = [r for r in known if r.mitigated.chain == chain.chain and r.task == task]
        if not mine:
            shown = " → ".join(chain.chain)
            raise StageFailed(f"the results have no recovery of {task!r} in {shown}")
        for row in mine:
            where = f" after stage {row.position}" if len(mine) > 1 else ""
            name = " → ".join(_step_free(element) for element in chain.chain)
            judged[_unused(f"{name}{where}", judged)] = judge_goal(row, goal, noise_floor)
    return together(judged)


def _step_free(element: str) -> str:
    return element.partition("[")[0]


def _unused(name: str, taken: Mapping[str, object]) -> str:
    """Chains that differ in another value of the step are told apart by their number."""
    names = [name, *(f"{name} ({n})" for n in range(2, len(taken) + 2))]
    return next(n for n in names if n not in taken)
