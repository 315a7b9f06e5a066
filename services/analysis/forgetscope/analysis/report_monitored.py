"""The report's section on monitors: what they saw while stages trained, and what they did."""

from collections.abc import Iterator
from typing import NamedTuple

from forgetscope.analysis.figures import Drawing
from forgetscope.analysis.figures_monitored import monitor_plot
from forgetscope.app.pages import chain_text, points
from forgetscope.schema.monitored import MonitoredGroup, MonitoredStage
from forgetscope.schema.results import Results

__all__ = ["MonitorLine", "monitor_end", "monitor_lines"]

_FIGURES = 6
"""Stages that are drawn, those with a call before the others; the tables have all."""


class MonitorLine(NamedTuple):
    """One watched stage. `calls` are the called groups, first call first."""

    stage: MonitoredStage
    calls: tuple[MonitoredGroup, ...]
    figure: Drawing | None


def monitor_lines(results: Results) -> Iterator[MonitorLine]:
    """A line for each watched stage, in the order of the results."""
    seen = {i: stage for i, stage in enumerate(results.monitored) if stage.groups}
    calling = sorted(seen, key=lambda i: not _calls(seen[i]))
    chosen = set(calling[:_FIGURES])
    for i, stage in enumerate(results.monitored):
        figure = _figure(stage, f"monitor{i + 1}") if i in chosen else None
        yield MonitorLine(stage, _calls(stage), figure)


def monitor_end(stage: MonitoredStage) -> str:
    """How the stage ended."""
    if stage.stopped_at is None:
        return f"ran to its end, {stage.steps} steps"
    if stage.weights_of_step != stage.stopped_at:
        kept = f"of step {stage.weights_of_step}" if stage.weights_of_step else "of its start"
        return f"stopped at step {stage.stopped_at}, with the weights {kept}"
    return f"stopped at step {stage.stopped_at}"


def _calls(stage: MonitoredStage) -> tuple[MonitoredGroup, ...]:
    called = [(seen.call.step, seen) for seen in stage.groups if seen.call is not None]
    return tuple(seen for _, seen in sorted(called, key=lambda entry: entry[0]))


def _figure(stage: MonitoredStage, name: str) -> Drawing:
    said = "; ".join(
        f"{seen.group}: {points(seen.looks[-1].mean)} "
        f"({points(seen.looks[-1].low)} to {points(seen.looks[-1].high)})"
        + (f", called at step {seen.call.step}" if seen.call is not None else "")
        for seen in stage.groups
    )
    where = f"{chain_text(stage.chain)}, seed {stage.seed}"
    return monitor_plot(
        stage,
        alt=f"Biased forgetting of the groups of {stage.watched} in percentage points while the "
        f"last stage of {where} trained; mean of all looks with its interval. At the last look: "
        f"{said}.",
        name=name,
        title=f"What the monitor of {where} saw of {stage.watched}",
    )
