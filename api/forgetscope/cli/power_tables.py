"""A power plan for the terminal."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from forgetscope.schema.power import GroupPower, PowerPlan, TaskPower
from forgetscope.schema.results import Measured

__all__ = ["power_tables"]

NAMES = {"forgetting": "forgetting", "biased_forgetting": "biased forgetting"}


def power_tables(plan: PowerPlan) -> Iterator[RenderableType]:
    """What each task can show, what was assumed, what to be careful about."""
    for task in plan.tasks:
        yield _task(task, NAMES[plan.quantity])
    yield _assumptions(plan)
    for caution in plan.cautions:
        yield Text(f"Note: {caution}")


def _task(task: TaskPower, quantity: str) -> Table:
    table = _table(
        f"{task.task}: {quantity}, margin {100 * task.margin:g} points; {task.items} items in "
        f"{task.clusters} clusters. Effects in points, power in percent"
    )
    table.add_column("group", no_wrap=True)
    for name in ("items", "clusters", "detectable", "effect", "power"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("can it be answered, and what would do", overflow="fold")
    for group in task.groups:
        table.add_row(
            escape(group.group or "(all items)"),
            str(group.items),
            str(group.clusters),
            _number(group.minimum_detectable, "+.1f"),
            _number(group.effect, "+.1f"),
            _number(group.power, ".0f"),
            _verdict(group),
        )
    return table


def _verdict(group: GroupPower) -> str:
    told = group.reason
    if group.power.value is not None:
        told += "".join((f" for the verdict {group.claim}", *(f"; {c}" for c in group.cautions)))
    if group.verdict == "answerable":
        return f"[green]answerable[/]: {escape(told)}"
    return (
        f"[bold red]{group.verdict}[/]: {escape(f'{told}. Would do: ' + ' or '.join(group.needed))}"
    )


def _assumptions(plan: PowerPlan) -> Table:
    table = _table("What this rests on")
    for name in ("name", "value", "from"):
        table.add_column(name, overflow="fold")
    for one in plan.assumptions:
        origin = f"assumed: {one.origin}" if one.assumed else one.origin
        table.add_row(escape(one.name), f"{one.value:g}", escape(origin))
    return table


def _number(measured: Measured, form: str) -> str:
    return "–" if measured.value is None else format(100 * measured.value, form)


def _table(title: str) -> Table:
    return Table(title=escape(title), title_justify="left", title_style="bold", header_style="bold")
