"""Is a goal of mitigation reached? Three answers: pass, breach, underpowered. Pure.

Every condition is judged by an interval that holds for all conditions of its kind together (groups,
prices) with the confidence 1 − α of the analysis. A wrong `pass` then has at most chance α: all
conditions must pass, so that a single one decides it (Berger 1982, Technometrics 24, 295-300), and
it is tried in two ways, by its loss and by its recovery. A wrong `breach` has at most chance α for
groups and prices together.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from forgetscope.core.inference.verdicts import Verdict, judge
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.goal import Goal, GoalJudged, GoalPart
from forgetscope.schema.measured import Measured
from forgetscope.schema.recovery import RecoveryRow, Simultaneous

__all__ = ["judge_goal"]

_NO_FLOORS: Mapping[str, float] = MappingProxyType({})

_ROUNDING = 1e-12
"""Differences of accuracies that are smaller than this are rounding errors."""


def judge_goal(
    row: RecoveryRow, goal: Goal, noise_floor: Mapping[str, float] = _NO_FLOORS
) -> GoalJudged:
    """Judge the recovery and the prices of one mitigated chain.

    Recovery: pass = the interval lies at or above `goal.recover`, breach = it lies below. Where no
    loss is shown there is no recovery: if the loss is shown to be below `goal.least_loss`, what is
    lost under the mitigation is judged against that margin; else the part is underpowered.
    Prices are judged against `goal.price`, for non-inferiority. A group that is too small is
    reported and not judged.

    Args:
        row: numbers with their intervals.
        goal: what is to be reached.
        noise_floor: task → how far the same model scored twice lies apart; a margin below it is
            underpowered, whatever the numbers say.

    Raises:
        InvalidInput: a price is asked for on a task that the chain does not train.
    """
    small = {g.group: _too_small(g.items, g.clusters) for g in row.groups if g.too_small}
    parts = (*_losses(row, goal, noise_floor.get(row.task)), *_prices(row, goal, noise_floor))
    asked = [part for part in parts if part.kind != "price"]
    if not asked:
        what = "no group is large enough to be judged" if small else "the task has no groups"
        return GoalJudged(verdict="underpowered", reason=what, parts=parts, not_judged=small)
    verdicts: tuple[Verdict, Verdict] = ("breach", "underpowered")
    for verdict in verdicts:
        found = [part for part in parts if part.verdict == verdict]
        if found:
            reason = "; ".join(f"{part.kind} {part.name}: {part.reason}" for part in found)
            return GoalJudged(verdict=verdict, reason=reason, parts=parts, not_judged=small)
    reason = f"all {len(parts)} conditions hold"
    return GoalJudged(verdict="pass", reason=reason, parts=parts, not_judged=small)


def _too_small(items: int, clusters: int) -> str:
    return f"too small to judge: {items} items in {clusters} clusters"


def _losses(row: RecoveryRow, goal: Goal, floor: float | None) -> Iterator[GoalPart]:
    if goal.of == "task":
        yield _loss(goal, ("task", row.task), row, floor)
        return
    for group in row.groups:
        if not group.too_small:
            yield _loss(goal, ("group", group.group), group.simultaneous, floor)


def _loss(
    goal: Goal, about: tuple[str, str], numbers: RecoveryRow | Simultaneous, floor: float | None
) -> GoalPart:
    forgotten = numbers.forgotten
    verdict: Verdict
    if numbers.recovery.value is not None:
        measure, limit, estimate = "recovery", goal.recover, numbers.recovery
        verdict, reason = _at_least(estimate, limit)
    else:
        measure, limit, estimate = "remaining", goal.least_loss, numbers.remaining
        if forgotten.high is not None and forgotten.high < limit:
            verdict, reason = _below(estimate, limit, floor)
            reason = f"no loss to recover is shown; of what is lost now, {reason}"
        else:
            verdict, reason = "underpowered", f"no loss is shown, nor that it is below {limit:.4g}"
            reason += f" ({_span(forgotten)})"
    return GoalPart.model_validate(
        {
            "kind": about[0],
            "name": about[1],
            "measure": measure,
            "limit": limit,
            "estimate": estimate,
            "verdict": verdict,
            "reason": reason,
        }
    )


def _span(estimate: Measured) -> str:
    if estimate.low is None or estimate.high is None:
        return f"no interval: {estimate.reason or estimate.interval_reason or 'none was given'}"
    return f"the interval goes from {estimate.low:.4g} to {estimate.high:.4g}"


def _at_least(estimate: Measured, limit: float) -> tuple[Verdict, str]:
    low, high = estimate.low, estimate.high
    if low is None or high is None:
        return "underpowered", _span(estimate)
    span = f"the interval of recovery from {low:.4g} to {high:.4g}"
    if low >= limit:
        return "pass", f"{span} lies at or above {limit:.4g}"
    if high < limit:
        return "breach", f"{span} lies below {limit:.4g}"
    return "underpowered", f"{span} reaches both sides of {limit:.4g}"


def _below(estimate: Measured, margin: float, floor: float | None) -> tuple[Verdict, str]:
    """As for forgetting: an interval without width says nothing, nor does a margin below noise."""
    low, high = estimate.low, estimate.high
    if low is not None and high is not None and high - low <= _ROUNDING:
        return "underpowered", "no item changed, which says nothing about the uncertainty"
    if floor is not None and margin < floor:
        return "underpowered", f"the margin {margin:.4g} lies below the noise floor {floor:.4g}"
    found = judge(estimate, margin, test="non-inferiority", noise_floor=floor)
    return found.verdict, found.reason


def _prices(row: RecoveryRow, goal: Goal, floors: Mapping[str, float]) -> Iterator[GoalPart]:
    known = {price.task: price for price in row.prices}
    for task in known if goal.price_tasks is None else goal.price_tasks:
        if task not in known:
            raise InvalidInput(
                f"the chain has no price on {task!r}",
                where="goal.price_tasks",
                hint=f"Name tasks among {sorted(known)}.",
            )
        verdict, reason = _below(known[task].simultaneous, goal.price, floors.get(task))
        yield GoalPart(
            kind="price",
            name=task,
            measure="price",
            limit=goal.price,
            estimate=known[task].simultaneous,
            verdict=verdict,
            reason=reason,
        )
