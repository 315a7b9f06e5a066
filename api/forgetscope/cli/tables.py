"""Results, plans and lists as tables for the terminal."""

import time
from collections.abc import Iterable, Iterator
from statistics import fmean

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from forgetscope.cli.tables_bbq import bbq_tables
from forgetscope.cli.tables_curvature import curvature_tables
from forgetscope.cli.tables_mechanisms import mechanism_tables
from forgetscope.cli.tables_monitored import monitor_tables
from forgetscope.cli.tables_recovery import recovery_tables
from forgetscope.cli.tables_verdicts import (
    agreement_tables,
    group_tables,
    p_value,
    verdict_table,
    verdict_text,
)
from forgetscope.cli.words import chain_name, duration, judge_line, percent, points
from forgetscope.schema.plan import Compute, PlanView
from forgetscope.schema.results import Cell, Results
from forgetscope.schema.views import ExperimentSummary, TaskView

__all__ = ["experiments_table", "plan_table", "result_tables", "tasks_table"]


def result_tables(results: Results) -> Iterator[Table]:
    """Verdicts, accuracy matrix, forgetting, biased forgetting, order effects, recovery, what
    monitors saw, transfer, agreement of the pairs, BBQ's own scores, curvature, candidates for why
    groups differ."""
    if results.forgetting:
        yield verdict_table(results)
    yield _matrix(results)
    if any(task.judge is not None for task in results.tasks):
        yield _judges(results)
    if results.forgetting:
        yield _forgetting(results)
    yield from group_tables(results)
    if results.order_effects:
        yield _order(results)
    yield from recovery_tables(results)
    yield from monitor_tables(results)
    yield from agreement_tables(results)
    yield from bbq_tables(results)
    yield from curvature_tables(results)
    yield from mechanism_tables(results)


def _matrix(results: Results) -> Table:
    seeds = len(results.seeds)
    of = "" if seeds == 1 else f", mean of {seeds} seeds"
    table = _table(f"Accuracy in percent{of}: model after the chain, on each task")
    table.add_column("trained on")
    for task in results.tasks:
        table.add_column(escape(task.id), justify="right")
    cells: dict[tuple[tuple[str, ...], str], list[Cell]] = {}
    for cell in results.matrix:
        cells.setdefault((cell.chain, cell.task), []).append(cell)
    for chain in dict.fromkeys(cell.chain for cell in results.matrix):
        row = [_heat(cells.get((chain, task.id), [])) for task in results.tasks]
        table.add_row(escape(chain_name(chain)), *row)
    chances = ["–" if t.chance is None else f"{100 * t.chance:.1f}" for t in results.tasks]
    table.add_row("[dim]guessing[/]", *(f"[dim]{c}[/]" for c in chances))
    return table


def _judges(results: Results) -> Table:
    table = _table("What the accuracies of judged tasks are")
    table.show_header = False
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for task in results.tasks:
        if task.judge is not None:
            table.add_row(escape(task.id), escape(judge_line(task.judge)))
    return table


def _heat(cells: list[Cell]) -> Text:
    values = [c.overall.value for c in cells if c.overall.value is not None]
    if not values:
        return Text(f"– ({cells[0].overall.reason})" if cells else "not scored", style="dim")
    value = fmean(values)
    # White to blue: readable with every kind of colour vision, and in black and white.
    red, green = round(240 - 190 * value), round(245 - 130 * value)
    ink = "black" if value < 0.6 else "white"
    return Text(f" {percent(value, None)} ", style=f"{ink} on rgb({red},{green},235)")


def _forgetting(results: Results) -> Table:
    confidence = 100 * results.settings.confidence
    table = _table(
        f"Forgetting in points (positive: forgot), {confidence:g} % interval; "
        "accuracy before and after in percent"
    )
    table.add_column("chain (▸ the task)", overflow="fold", min_width=18)
    for name in ("before", "after", "forgetting", "relative"):
        table.add_column(name, justify="right", no_wrap=name == "forgetting")
    table.add_column(f"verdict, margin {100 * results.settings.forgetting_margin:g}")
    for f in results.forgetting:
        table.add_row(
            escape(
                " →\n".join(
                    f"▸ {task}" if place == f.position else f"  {task}"
                    for place, task in enumerate(f.chain, start=1)
                )
            ),
            percent(f.before.value, f.before.reason),
            percent(f.after.value, f.after.reason),
            _loss(points(f.forgetting), f.forgetting.low),
            percent(f.relative.value, f.relative.reason),
            verdict_text(f.verdict),
        )
    return table


def _order(results: Results) -> Table:
    table = _table("Order effect in points; p by Holm over the pairs")
    table.add_column("forgetting", overflow="fold")
    table.add_column("", justify="right", no_wrap=True)
    for effect in results.order_effects:
        for name, measured in (
            (f"of {effect.safety}, trained first", effect.safety_first),
            (f"of {effect.capability}, trained first", effect.capability_first),
            (f"difference, p {p_value(effect.p_adjusted)}", effect.effect),
        ):
            table.add_row(escape(name), escape(points(measured)))
        table.add_section()
    return table


def _loss(text: str, low: float | None) -> str:
    return f"[bold red]{escape(text)}[/]" if low is not None and low > 0 else escape(text)


def plan_table(plan: PlanView) -> Table:
    """What would run."""
    table = _table("Plan")
    table.show_header = False
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    kinds = ", ".join(f"{n} {kind}" for kind, n in plan.by_kind.items())
    time_text = plan.time.basis
    if plan.time.seconds is not None:
        time_text = f"about {duration(plan.time.seconds)} ({plan.time.basis})"
    rows = {
        "stages": f"{len(plan.stages)} ({kinds})",
        "to run": f"{plan.to_run}; {plan.existing} are done already",
        "trainings": f"{plan.trainings}; {plan.naive_trainings} without sharing prefixes",
        "tokens": f"{plan.tokens:,}",
        "time": time_text,
        "GPU-hours": _gpu_hours(plan.compute),
        "engine": plan.engine_reason,
    }
    for name, value in rows.items():
        table.add_row(name, escape(value))
    for note in plan.notes:
        table.add_row("note", escape(note))
    return table


def _gpu_hours(compute: Compute) -> str:
    if compute.gpu_hours is None or compute.flops is None:
        return compute.basis
    return f"{compute.gpu_hours:g}, for {compute.flops:.3g} FLOPs ({compute.basis})"


def experiments_table(experiments: Iterable[ExperimentSummary]) -> Table:
    """One line per experiment."""
    table = _table(None)
    for name in ("id", "name", "state", "stages done", "submitted (UTC)"):
        table.add_column(name, no_wrap=name in ("id", "state"), overflow="fold")
    for e in experiments:
        done, total = e.stages.get("succeeded", 0), sum(e.stages.values())
        at = time.strftime("%Y-%m-%d %H:%M", time.gmtime(e.created_at))
        table.add_row(e.id, escape(e.name), e.state, f"{done}/{total}", at)
    return table


def tasks_table(tasks: Iterable[TaskView]) -> Table:
    """One line per task of the catalogue."""
    table = _table(None)
    table.add_column("task", overflow="fold")
    table.add_column("kind", no_wrap=True)
    for name in ("train", "evaluate", "groups", "guess"):
        table.add_column(name, justify="right", no_wrap=True)
    for task in tasks:
        sizes = [task.sizes.get(split) for split in ("train", "evaluation")]
        table.add_row(
            f"[bold]{escape(task.name)}[/]\n[dim]{escape(task.citation)}\n{escape(task.licence)}[/]",
            task.kind,
            *("–" if size is None else str(size) for size in sizes),
            str(len(task.groups)) if task.groups else "–",
            "–" if task.chance is None else f"{100 * task.chance:.0f} %",
        )
    return table


def _table(title: str | None) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", header_style="bold")
