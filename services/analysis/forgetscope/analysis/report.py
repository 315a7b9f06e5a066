"""The report: one HTML file that opens anywhere, without network and without scripts."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from jinja2 import Environment

from forgetscope.analysis import curvature_words, recovery_words, verdict_words, words
from forgetscope.analysis.changes import RowChanges
from forgetscope.analysis.figures import Drawing, Line, interval_plot
from forgetscope.analysis.noise import noise_line
from forgetscope.analysis.outcomes import trainings
from forgetscope.analysis.report_bbq import bias_sections
from forgetscope.analysis.report_curvature import curvature_part
from forgetscope.analysis.report_groups import group_sections
from forgetscope.analysis.report_items import items_part
from forgetscope.analysis.report_matrix import heat_map, matrix_figures
from forgetscope.analysis.report_mechanisms import mechanisms_part
from forgetscope.analysis.report_monitored import monitor_end, monitor_lines
from forgetscope.analysis.report_provenance import provenance
from forgetscope.analysis.report_recovery import GOAL, recovery_sections
from forgetscope.app import pages
from forgetscope.schema.base import JsonObject
from forgetscope.schema.results import ChainForgetting, Measured, Results

__all__ = ["Report", "ReportFacts", "render"]

_HEADLINES = 4
"""Rows that are told at the top; the others stand in their sections."""


class ReportFacts(NamedTuple):
    """What the report says about the experiment beside its results."""

    name: str
    spec: JsonObject
    engine: str
    engine_reason: str
    stages: Mapping[str, str]


class Report(NamedTuple):
    """The page, and every figure: those in it, and the accuracy matrix, which it has as a table."""

    html: str
    figures: tuple[Drawing, ...]


def render(
    results: Results,
    facts: ReportFacts,
    changes: Sequence[RowChanges],
    *,
    tables: Sequence[str] = (),
) -> Report:
    """The whole page. Equal input gives equal bytes; every name in it is escaped.

    Args:
        changes: of each row of the forgetting table, its lost and gained items.
        tables: names of the tables that lie beside the results.
    """
    kinds = {task.id: task.kind for task in results.tasks}
    sections = tuple(group_sections(results))
    biases = bias_sections(results)
    headlines = sorted(results.forgetting, key=_size, reverse=True)[:_HEADLINES]
    table = heat_map(results)
    forgetting_figure = _forgetting_figure(results, kinds)
    curvature, mechanisms = curvature_part(results), mechanisms_part(results)
    figures = (*matrix_figures(results, table), forgetting_figure)
    figures += (*(s.figure for s in sections), *(b.figure for b in biases))
    figures += curvature.figures if curvature is not None else ()
    figures += mechanisms.figures if mechanisms is not None else ()
    recovery = tuple(recovery_sections(results))
    figures += tuple(figure for section in recovery for figure in section.figures)
    monitored = tuple(monitor_lines(results))
    figures += tuple(line.figure for line in monitored)
    drawn = tuple(figure for figure in figures if figure is not None)
    html = (
        _environment()
        .get_template("report.html.j2")
        .render(
            facts=facts,
            results=results,
            kinds=kinds,
            level=words.level(results.settings.confidence),
            headlines=headlines,
            sections=sections,
            bias_sections=biases,
            recovery=recovery,
            goal=GOAL,
            monitored=monitored,
            curvature=curvature,
            mechanisms=mechanisms,
            items=items_part(results, changes, facts.stages),
            models=table.models,
            floor=table.floor,
            forgetting_figure=forgetting_figure,
            figures=drawn,
            tables=tables,
            spec=json.dumps(facts.spec, indent=2, sort_keys=True, ensure_ascii=False),
            provenance=provenance(results),
        )
    )
    return Report(html, drawn)


@cache
def _environment() -> Environment:
    environment = pages.environment("forgetscope.analysis")
    for module in (words, verdict_words, curvature_words, recovery_words):
        for name in module.__all__:
            environment.filters[name] = getattr(module, name)
    environment.filters["noise_line"] = noise_line
    environment.filters["monitor_end"] = monitor_end
    return environment


def _size(row: ChainForgetting) -> float:
    return abs(row.forgetting.value or 0.0)


def _title(row: ChainForgetting) -> str:
    """The task and its chain; a task that comes twice needs its position, too."""
    twice = trainings(row.chain).count(row.task) > 1
    return f"{row.task}{f' (stage {row.position})' if twice else ''}"


def _forgetting_figure(results: Results, kinds: Mapping[str, str]) -> Drawing | None:
    rows = [row for row in results.forgetting if row.forgetting.value is not None]
    if not rows:
        return None
    lines = [
        _line(
            f"{_title(row)}\n{words.chain_text(row.chain)}",
            row.forgetting,
            "more" if kinds[row.task] == "safety" else "less",
            words.points(row.forgetting.value),
        )
        for row in rows
    ]
    said = "; ".join(
        f"{_title(row)} after {words.chain_text(row.chain)}: {words.points(row.forgetting.value)}"
        for row in rows
    )
    return interval_plot(
        lines,
        axis="forgetting, percentage points",
        alt=f"Forgetting in percentage points with intervals. {said}.",
        name="forgetting",
        title="Forgetting of every chain",
    )


def _line(label: str, measured: Measured, tone: str, note: str) -> Line:
    """Fractions → percentage points."""
    value, low, high = (
        None if end is None else 100 * end for end in (measured.value, measured.low, measured.high)
    )
    return Line(label, value or 0.0, low, high, tone, note)
