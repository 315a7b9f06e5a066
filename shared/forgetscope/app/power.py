"""Plan the power of a design: what it can show of which groups, before anything is trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import fmean

from forgetscope.app.platform import Platform
from forgetscope.app.power_sizes import Counted, Groups, counted, stated
from forgetscope.app.power_words import absent, answer, cautions
from forgetscope.core.inference import power as core
from forgetscope.core.inference.power_model import Expected, Plan, Runs
from forgetscope.core.inference.power_needs import Question
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.power import Assumption, GroupPower, PowerPlan, PowerRequest, TaskPower

__all__ = ["plan_power"]

# name → (value, origin). Nothing is known of how alike runs and items of a template forget.
DEFAULTS: dict[str, tuple[float, str]] = {
    "seeds": (3, "METHOD.md section 3 asks for at least 3"),
    "lost": (0.15, "own choice; a pilot run tells"),
    "gained": (0.05, "own choice; a pilot run tells"),
    "icc": (
        0.2,
        "own choice, careful: with 40 items a cluster the standard error is 3 times that of "
        "independent items; Miller 2024 (arXiv 2411.00640) saw ratios of a little over 3",
    ),
    "seed_correlation": (
        0.5,
        "own choice, half way: at 0 runs change unrelated items, at 1 more seeds tell nothing new",
    ),
    "seed_sd": (0.01, "own choice: one point from seed to seed; a pilot run with seeds tells"),
}
# Fields of the core's input → those of the request.
POINTERS = {"margin": "/margins", "target_power": "/target_power"}


def plan_power(platform: Platform, request: PowerRequest) -> PowerPlan:
    """Count the data, compute, and say it in words. Leaves no trace.

    Raises UnknownName, InvalidSpec, BadRow, NotEnoughExamples from reading the data, InvalidInput
    for numbers that contradict each other or a group that no task has.
    """
    read = [counted(platform, use, where=f"/tasks/{i}") for i, use in enumerate(request.tasks)]
    tasks = read + [stated(task) for task in request.sizes]
    _refuse_strangers(request, tasks)
    assumptions = _assume(request)
    return PowerPlan(
        quantity=request.quantity,
        tasks=tuple(
            _task(task, margin, request, assumptions)
            for task in tasks
            for margin in request.margins
        ),
        assumptions=assumptions,
        cautions=tuple(cautions(request, tasks, assumptions)),
    )


def _refuse_strangers(request: PowerRequest, tasks: list[Counted]) -> None:
    known = {group for task in tasks for group in (*task.groups, *task.absent)}
    for group in request.expected_of:
        if group not in known:
            raise InvalidInput(
                f"no task has a group {group!r}.",
                where="/expected_of",
                hint=f"Groups: {', '.join(sorted(known)) or 'none'}.",
            )


def _assume(request: PowerRequest) -> tuple[Assumption, ...]:
    expected = request.expected
    given: dict[str, float | None] = {
        "seeds": request.seeds,
        "lost": None if expected is None else expected.lost,
        "gained": None if expected is None else expected.gained,
        "icc": request.icc,
        "seed_correlation": request.seed_correlation,
        "seed_sd": request.seed_sd,
    }
    return tuple(
        Assumption(name=name, value=default, assumed=True, origin=origin)
        if (value := given[name]) is None
        else Assumption(name=name, value=value, assumed=False, origin="given")
        for name, (default, origin) in DEFAULTS.items()
    )


def _task(
    task: Counted, margin: float, request: PowerRequest, assumptions: tuple[Assumption, ...]
) -> TaskPower:
    value = {one.name: one.value for one in assumptions}
    runs = Runs(int(value["seeds"]), value["icc"], value["seed_correlation"], value["seed_sd"])
    question = Question(
        margin,
        request.test,
        alpha=round(1 - request.confidence, 12),
        target_power=request.target_power,
        noise_floor=request.noise_floor,
        min_items=request.min_group_items,
        min_clusters=request.min_group_clusters,
    )

    def expected_of(groups: Groups) -> Expected:
        """The mean of those that have changes of their own, else the common ones."""
        own = [request.expected_of[group] for group in groups if group in request.expected_of]
        if not own:
            return Expected(value["lost"], value["gained"])
        return Expected(fmean(e.lost for e in own), fmean(e.gained for e in own))

    biased = request.quantity == "biased_forgetting"
    plans = [task.plan(group, expected_of, biased=biased) for group in task.groups]
    comparable = [plan for plan in plans if not biased or plan.rest is not None]
    families = [comparable] if request.correction == "groups" else [[plan] for plan in comparable]
    whole = task.plan(None, expected_of, biased=False)
    rows: list[GroupPower] = []
    tails, judged = [], 0
    # The task as a whole is the primary number and no member of the family of its groups.
    for family in [*([] if biased else [[whole]]), *families]:
        asked = [_with_effect(plan, request) for plan in family]
        with _pointing():
            found = core.plan_power(asked, question, runs)
        rows += [
            answer(plan, of, question, runs, found)
            for plan, of in zip(asked, found.groups, strict=True)
        ]
        if family != [whole]:
            judged += found.judged
            tails.append(found.tail)
    for plan in plans:
        if plan not in comparable:
            reason = "the group is the whole task, so there is nothing to compare it with"
            rows.append(absent(plan.name, whole, reason))
    rows += [absent(name, None, "no item of the group is in evaluation") for name in task.absent]
    return TaskPower(
        task=task.task,
        margin=margin,
        items=int(whole.sample.items),
        clusters=int(whole.sample.clusters),
        judged=judged,
        error_rate=min(tails, default=question.alpha / 2),
        groups=tuple(rows),
    )


def _with_effect(plan: Plan, request: PowerRequest) -> Plan:
    """So many more items lost that the number is the effect that was asked for."""
    if request.effect is None:
        return plan
    gained = plan.expected.gained
    others = 0.0 if plan.rest is None else plan.rest[1].forgetting
    lost = gained + others + request.effect / plan.scale
    if not 0 <= lost <= 1 - gained:
        raise InvalidInput(
            f"an effect of {request.effect:g} for {plan.name or 'the task'} takes a share of "
            f"{lost:.3g} lost items beside {gained:g} gained ones.",
            where="/effect",
            hint="Give a smaller effect, or other expected changes.",
        )
    return plan._replace(expected=Expected(lost, gained))


@contextmanager
def _pointing() -> Iterator[None]:
    """Name the field of the request instead of the core's."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(
            error.detail, where=POINTERS.get(error.where or "", ""), hint=error.hint
        ) from error
