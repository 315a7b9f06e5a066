"""Compare the results of two experiments. Pure.

Numbers stand side by side, each with the interval of its own experiment. A difference is taken
only where both scored the same items; it has no interval, since the two bootstraps drew apart and
an interval of a paired difference needs both experiments' answers to each item.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from forgetscope.core.compare_curvature import compare_curvature, curvature_left
from forgetscope.core.compare_verdicts import (
    changed_verdicts,
    compared_verdict,
    count_verdicts,
    order_word,
)
from forgetscope.core.steps import task_of
from forgetscope.schema.base import JsonObject
from forgetscope.schema.compare import (
    ChangedVerdict,
    Compared,
    ComparedGroup,
    ComparedOrder,
    ComparedRow,
    ComparedSide,
    ComparedTask,
    Comparison,
    Leftover,
    SettingDifference,
)
from forgetscope.schema.measured import Measured
from forgetscope.schema.results import ChainForgetting, Results, TaskInfo

__all__ = ["Side", "compare"]

_UNPAIRED = "the two experiments scored different items"
_NO_INTERVAL = "an interval of the difference needs both experiments' answers to each item"


class Side(NamedTuple):
    """An experiment: `items` is the digest of each task's evaluation items, where known."""

    id: str
    name: str
    spec: JsonObject
    results: Results
    items: Mapping[str, str]


def compare(one: Side, other: Side) -> Comparison:
    """What two experiments share, where they differ, and what only one of them has.

    Tasks are the same when id, name in the catalogue and kind are. Experiments with nothing in
    common have an empty comparison, with a note that says so.
    """
    tasks = tuple(_tasks(one, other))
    same = {task.task: task.same_items for task in tasks}
    theirs = {(r.chain, r.position): r for r in other.results.forgetting}
    rows = tuple(
        _row(row, theirs[row.chain, row.position], paired=same[row.task])
        for row in one.results.forgetting
        if (row.chain, row.position) in theirs and _tasks_of(row.chain) <= same.keys()
    )
    orders = tuple(_orders(one.results, other.results, same))
    changed = changed_verdicts(rows, orders, same_items={task for task in same if same[task]})
    return Comparison(
        one=_side(one),
        other=_side(other),
        tasks=tasks,
        rows=rows,
        order_effects=orders,
        changed_verdicts=changed,
        same_verdicts=count_verdicts(rows, orders) - len(changed),
        curvature=tuple(
            compare_curvature(one.results.curvature, other.results.curvature, set(same))
        ),
        settings=tuple(_settings(one.spec, other.spec, same)),
        only_one=_leftover(one.results, other.results, same),
        only_other=_leftover(other.results, one.results, same),
        notes=tuple(_notes(one, other, tasks, rows)) + tuple(_judged_notes(one, other, changed)),
    )


def _side(side: Side) -> ComparedSide:
    results = side.results
    return ComparedSide(
        id=side.id, name=side.name, seeds=results.seeds, confidence=results.settings.confidence
    )


def _tasks(one: Side, other: Side) -> Iterator[ComparedTask]:
    theirs = {task.id: task for task in other.results.tasks}
    for task in one.results.tasks:
        twin = theirs.get(task.id)
        if twin is not None and _same(task, twin):
            digest = one.items.get(task.id)
            yield ComparedTask(
                task=task.id,
                name=task.name,
                kind=task.kind,
                same_items=digest is not None and digest == other.items.get(task.id),
                one_items=task.items,
                other_items=twin.items,
            )


def _tasks_of(chain: Sequence[str]) -> set[str]:
    return {task for task in map(task_of, chain) if task is not None}


def _same(task: TaskInfo, twin: TaskInfo) -> bool:
    return (task.name, task.kind) == (twin.name, twin.kind)


def _row(one: ChainForgetting, other: ChainForgetting, *, paired: bool) -> ComparedRow:
    theirs = {group.group: group for group in other.groups}
    return ComparedRow(
        chain=one.chain,
        task=one.task,
        position=one.position,
        same_items=paired,
        before=_compared(one.before, other.before, paired=paired),
        after=_compared(one.after, other.after, paired=paired),
        forgetting=_compared(one.forgetting, other.forgetting, paired=paired),
        verdict=compared_verdict(one.verdict, other.verdict, paired=paired),
        groups=tuple(
            ComparedGroup(
                group=group.group,
                one_items=group.items,
                other_items=twin.items,
                too_small=tuple(
                    name for name, found in (("one", group), ("other", twin)) if found.too_small
                ),
                forgetting=_compared(group.forgetting, twin.forgetting, paired=paired),
                biased=_compared(group.biased, twin.biased, paired=paired),
                verdict=compared_verdict(group.verdict, twin.verdict, paired=paired),
                equivalence=compared_verdict(group.equivalence, twin.equivalence, paired=paired),
            )
            for group in one.groups
            if (twin := theirs.get(group.group)) is not None
        ),
    )


def _compared(one: Measured, other: Measured, *, paired: bool) -> Compared:
    if not paired:
        difference = Measured(reason=_UNPAIRED)
    elif one.value is None or other.value is None:
        difference = Measured(reason=f"undefined: {one.reason or other.reason}")
    else:
        difference = Measured(value=other.value - one.value, interval_reason=_NO_INTERVAL)
    return Compared(one=one, other=other, difference=difference)


def _orders(one: Results, other: Results, same: Mapping[str, bool]) -> Iterator[ComparedOrder]:
    theirs = {(e.safety, e.capability): e for e in other.order_effects}
    for effect in one.order_effects:
        pair = (effect.safety, effect.capability)
        if pair in theirs and set(pair) <= same.keys():
            paired = all(same[task] for task in pair)
            yield ComparedOrder(
                safety=pair[0],
                capability=pair[1],
                effect=_compared(effect.effect, theirs[pair].effect, paired=paired),
                one_p=effect.p_adjusted,
                other_p=theirs[pair].p_adjusted,
                one_shown=order_word(effect, one.settings.confidence),
                other_shown=order_word(theirs[pair], other.settings.confidence),
            )


def _leftover(mine: Results, theirs: Results, same: Mapping[str, bool]) -> Leftover:
    return Leftover(
        tasks=tuple(task.id for task in mine.tasks if task.id not in same),
        chains=tuple(
            chain
            for chain in mine.chains
            if chain not in theirs.chains or not _tasks_of(chain) <= same.keys()
        ),
        curvature=curvature_left(mine.curvature, theirs.curvature, set(same)),
    )


def _settings(
    one: JsonObject, other: JsonObject, same: Mapping[str, bool]
) -> Iterator[SettingDifference]:
    """Fields that differ; name, chains and tasks that only one has stand elsewhere."""
    ours, theirs = (dict(_fields(_by_task(spec, same), "")) for spec in (one, other))
    for pointer in sorted(ours.keys() | theirs.keys()):
        if ours.get(pointer) != theirs.get(pointer):
            yield SettingDifference(
                pointer=pointer, one=ours.get(pointer), other=theirs.get(pointer)
            )


def _by_task(spec: JsonObject, same: Mapping[str, bool]) -> JsonObject:
    """The order of tasks means nothing: they are told apart by their id."""
    tasks: Any = spec.get("tasks", [])
    kept = {key: value for key, value in spec.items() if key not in {"name", "chains", "tasks"}}
    return kept | {"tasks": {task["id"]: task for task in tasks if task["id"] in same}}


def _fields(value: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            escaped = key.replace("~", "~0").replace("/", "~1")  # RFC 6901 section 3
            yield from _fields(item, f"{pointer}/{escaped}")
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for i, item in enumerate(value):
            yield from _fields(item, f"{pointer}/{i}")
    else:
        yield pointer, value


def _notes(
    one: Side, other: Side, tasks: tuple[ComparedTask, ...], rows: tuple[ComparedRow, ...]
) -> Iterator[str]:
    if not tasks:
        yield "The two experiments have no task in common: there is nothing to compare."
    elif not rows:
        yield "The two experiments have tasks in common, but no chain that forgets one of them."
    differing = [task.task for task in tasks if not task.same_items]
    if differing:
        yield (
            f"Not shown to be scored on the same items: {', '.join(differing)}. Their numbers "
            "stand side by side and are not subtracted."
        )
    theirs = {task.id: task for task in other.results.tasks}
    for task in one.results.tasks:
        if task.id in theirs and not _same(task, theirs[task.id]):
            yield f"The id {task.id} is another task in each: {task.name}, {theirs[task.id].name}."
    if one.results.settings.confidence != other.results.settings.confidence:
        yield "The intervals of the two experiments have different levels."
    if rows:
        yield (
            "Each interval is that of its own experiment. Two intervals that overlap do not show "
            "that there is no difference, and a difference stands here without an interval."
        )


def _judged_notes(one: Side, other: Side, changed: Sequence[ChangedVerdict]) -> Iterator[str]:
    if changed:
        yield (
            "A verdict says on which side of its margin an interval lies. Two different verdicts "
            "do not show that the experiments differ: an interval may just have crossed the margin."
        )
    asked = [bool(side.results.curvature) for side in (one, other)]
    if any(asked) and not all(asked):
        yield f"Only the {'first' if asked[0] else 'second'} experiment has curvature."
