"""The report's section on mitigation: what it brought back, for whom, and at what price."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from forgetscope.analysis.figures import Drawing, Line, interval_plot
from forgetscope.analysis.figures_recovery import Dot, KnobPoint, knob_plot, pareto_plot
from forgetscope.analysis.fronts import largest_price
from forgetscope.analysis.recovery_words import line_name, price_finding, share_of
from forgetscope.app.pages import chain_text, interval, points
from forgetscope.core.goals import judge_goal
from forgetscope.schema.goal import Goal, GoalJudged
from forgetscope.schema.measured import Measured
from forgetscope.schema.recovery import GroupRecovery, RecoveryRow
from forgetscope.schema.results import Results

__all__ = ["GOAL", "RecoveryLine", "RecoverySection", "recovery_sections"]

GOAL = Goal()
"""What every row is held against in the report; a search has a goal of its own."""

_FORESTS = 4
"""Rows of the front whose groups are drawn; the tables have all."""

_SHARES = {"replay", "mix"}


class RecoveryLine(NamedTuple):
    """One mitigated chain. `number` names it in table and figure."""

    number: int
    row: RecoveryRow
    price: Measured
    judged: GoalJudged
    forest: Drawing | None


class RecoverySection(NamedTuple):
    """The mitigations of one task, from one plain chain."""

    anchor: str
    first: RecoveryRow
    chance: float | None
    lines: tuple[RecoveryLine, ...]
    curves: tuple[Drawing, ...]
    pareto: Drawing | None

    @property
    def figures(self) -> tuple[Drawing, ...]:
        found = (*self.curves, *(line.forest for line in self.lines), self.pareto)
        return tuple(figure for figure in found if figure is not None)


def recovery_sections(results: Results) -> Iterator[RecoverySection]:
    """One for each task, position and plain chain."""
    families: dict[tuple[object, ...], list[RecoveryRow]] = {}
    for row in results.recovery:
        families.setdefault((row.task, row.position, row.mitigated.plain), []).append(row)
    chances = {task.id: task.chance for task in results.tasks}
    for i, rows in enumerate(families.values(), start=1):
        name = f"recovery{i}"
        lines = tuple(_lines(results, rows, name))
        yield RecoverySection(
            anchor=f"recovery-{i}",
            first=rows[0],
            chance=chances[rows[0].task],
            lines=lines,
            curves=tuple(_curves(rows, name)),
            pareto=_pareto(lines, name),
        )


def _lines(results: Results, rows: Sequence[RecoveryRow], name: str) -> Iterator[RecoveryLine]:
    floors = {n.task: n.measured.floor for n in results.noise if n.measured.floor is not None}
    drawn = 0
    for number, row in enumerate(rows, start=1):
        forest = None
        if row.front == "on" and drawn < _FORESTS:
            forest = _forest(row, f"{name}groups{number}")
            drawn += forest is not None
        goal = GOAL if row.groups else GOAL.model_copy(update={"of": "task"})
        yield RecoveryLine(number, row, _price(row), judge_goal(row, goal, floors), forest)


def _price(row: RecoveryRow) -> Measured:
    """The largest price, with its interval."""
    largest = largest_price(row)
    if largest is None:
        return Measured(reason="the chain trains no other task that was scored")
    return next(p.simultaneous for p in row.prices if p.price.value == largest)


def _curves(rows: Sequence[RecoveryRow], name: str) -> Iterator[Drawing]:
    """One figure for each knob that takes several values: shares together, others apart."""
    panels: dict[str, dict[str, list[KnobPoint]]] = {}
    for row in rows:
        found = row.mitigated
        if found.knob is not None:
            knob = "share" if found.mitigation in _SHARES else found.mitigation
            point = KnobPoint(found.knob, row.recovery, _price(row))
            panels.setdefault(knob, {}).setdefault(line_name(found), []).append(point)
    for i, (knob, lines) in enumerate(panels.items(), start=1):
        if len({point.knob for found in lines.values() for point in found}) < 2:
            continue
        if all(p.recovery.value is None for found in lines.values() for p in found):
            continue
        task, plain = rows[0].task, chain_text(rows[0].mitigated.plain)
        shares = knob == "share"
        axis = "share of the task's examples that is replayed" if shares else f"{knob}: its value"
        said = "; ".join(
            f"{label}: "
            + ", ".join(
                f"at {point.knob:g} {share_of(point.recovery)}, price {points(point.price.value)}"
                for point in sorted(found, key=lambda p: p.knob)
            )
            for label, found in lines.items()
        )
        yield knob_plot(
            lines,
            knob=axis,
            percent=shares,
            alt=f"Share of the loss of {task} after {plain} that is brought back, and price in "
            f"points, with intervals. {said}.",
            name=f"{name}knob{i}",
            title=f"Recovery of {task} after {plain} by {knob}",
        )


def _forest(row: RecoveryRow, name: str) -> Drawing | None:
    lines = [_line(group) for group in row.groups if group.recovery.value is not None]
    if not lines:
        return None
    said = "; ".join(
        f"{group.group}: {share_of(group.recovery)}"
        f" ({interval(group.simultaneous.recovery, digits=0, sign=False)})"
        for group in row.groups
        if group.recovery.value is not None
    )
    variant = row.mitigated.variant
    return interval_plot(
        lines,
        axis="loss of the group that is brought back, percent (dashed: all of it)",
        alt=f"Recovery by group of {row.task} under {variant}, simultaneous intervals. {said}.",
        name=name,
        title=f"Recovery of {row.task} by group under {variant}",
        margin=100,
    )


def _line(group: GroupRecovery) -> Line:
    found = group.simultaneous.recovery
    low, high = (None if end is None else 100 * end for end in (found.low, found.high))
    tone = "none" if low is None else "less" if low > 0 else "open"
    note = "too small" if group.too_small else f"lost {points(group.forgotten.value)}"
    return Line(
        group.group, 100 * (found.value or 0.0), low, high, tone, f"{note}, n = {group.items}"
    )


def _pareto(lines: Sequence[RecoveryLine], name: str) -> Drawing | None:
    dots = [
        Dot(
            str(line.number),
            line.row.front == "on",
            line.row.remaining,
            line.row.worst_biased,
            line.price,
        )
        for line in lines
        if line.row.remaining.value is not None and line.price.value is not None
    ]
    if len(dots) < 2:
        return None
    row = lines[0].row
    said = "; ".join(
        f"{line.number}: still forgotten {points(line.row.remaining.value)}, worst biased "
        f"forgetting {points(line.row.worst_biased.value)}, prices {price_finding(line.row)}"
        f"{', on the front' if line.row.front == 'on' else ''}"
        for line in lines
    )
    plain = chain_text(row.mitigated.plain)
    return pareto_plot(
        dots,
        alt=f"Mitigations of {row.task} after {plain} by what is still forgotten and price in "
        f"points. {said}.",
        name=f"{name}pareto",
        title=f"Price and forgetting of {row.task} after {plain}",
    )
