"""Searches as tables for the terminal."""

from rich.markup import escape
from rich.table import Table

from forgetscope.cli.words import chain_name, duration
from forgetscope.schema.goal import GoalPart
from forgetscope.schema.search import SearchPlan, SearchView

__all__ = ["plan_table", "rounds_table", "verdict_mark"]

MARKS = {
    "pass": "[bold green]pass[/]",
    "breach": "[bold red]breach[/]",
    "underpowered": "[yellow]underpowered[/]",
}


def verdict_mark(verdict: str) -> str:
    """A verdict in its colour."""
    return MARKS.get(verdict, verdict)


def plan_table(plan: SearchPlan) -> Table:
    """What the longest way would run."""
    table = Table(title="Plan of the longest way", title_justify="left", title_style="bold")
    table.show_header = False
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    time = plan.time.basis
    if plan.time.seconds is not None:
        time = f"about {duration(plan.time.seconds)} ({plan.time.basis})"
    hours = plan.compute.basis
    if plan.compute.gpu_hours is not None:
        hours = f"{plan.compute.gpu_hours:g} ({plan.compute.basis})"
    rows = {
        "rounds": f"{plan.looks} at most: {', '.join(f'{v:g}' for v in plan.values)}",
        "judged": "; ".join(chain_name(chain) for chain in plan.chains),
        "trainings": f"{plan.trainings} at most, {plan.shared_trainings} of them used by every "
        f"round; {plan.naive_trainings} without sharing",
        "stages": f"{plan.stages}; {plan.existing} are done already",
        "confidence": f"{100 * plan.confidence:.5g} % in each round",
        "tokens": f"{plan.tokens:,}",
        "time": time,
        "GPU-hours": hours,
    }
    for name, value in rows.items():
        table.add_row(name, escape(value))
    for note in plan.notes:
        table.add_row("note", escape(note))
    return table


def rounds_table(view: SearchView) -> Table:
    """The rounds by value, with what decides each."""
    knob = view.spec.knob
    title = f"{view.name}: {knob.path} of {knob.step}, {100 * view.confidence:.5g} % intervals"
    table = Table(title=escape(title), title_justify="left", title_style="bold")
    table.add_column("round", justify="right")
    table.add_column(escape(knob.path), justify="right")
    for name in ("verdict", "smallest recovery", "highest price", "why"):
        table.add_column(name, overflow="fold")
    for one in view.rounds:
        judged = one.judged
        if judged is None:
            table.add_row(str(one.round), f"{one.value:g}", "–", "–", "–", "not judged yet")
            continue
        table.add_row(
            str(one.round),
            f"{one.value:g}",
            verdict_mark(judged.verdict),
            _extreme([p for p in judged.parts if p.measure == "recovery"], lowest=True),
            _extreme([p for p in judged.parts if p.measure == "price"], lowest=False),
            escape(judged.reason),
        )
    return table


def _extreme(parts: list[GoalPart], *, lowest: bool) -> str:
    known = [(p.estimate.value, p) for p in parts if p.estimate.value is not None]
    if not known:
        return "–"
    value, part = (min if lowest else max)(known, key=lambda one: one[0])
    text = f"{100 * value:.1f}"
    if part.estimate.low is not None and part.estimate.high is not None:
        text += f" [{100 * part.estimate.low:.1f}, {100 * part.estimate.high:.1f}]"
    return escape(f"{text} % ({part.name})")
