"""The report: one HTML file that opens anywhere, without network and without scripts."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from statistics import fmean
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
from forgetscope.analysis.report_mechanisms import mechanisms_part
from forgetscope.analysis.report_recovery import GOAL, recovery_sections
from forgetscope.app import pages
from forgetscope.core.steps import task_of
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
    """The page, and every figure in it."""

    html: str
    figures: tuple[Drawing, ...]


class _Entry(NamedTuple):
    """An accuracy, averaged over seeds, with its shade."""

    value: float | None
    low: float | None
    high: float | None
    reason: str
    own: bool
    ground: str
    ink: str


class _Model(NamedTuple):
    """A line of the accuracy matrix."""

    chain: tuple[str, ...]
    entries: tuple[_Entry, ...]


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
    models, floor = _heat_map(results)
    forgetting_figure = _forgetting_figure(results, kinds)
    curvature, mechanisms = curvature_part(results), mechanisms_part(results)
    figures = (forgetting_figure, *(s.figure for s in sections), *(b.figure for b in biases))
    figures += curvature.figures if curvature is not None else ()
    figures += mechanisms.figures if mechanisms is not None else ()
    recovery = tuple(recovery_sections(results))
    figures += tuple(figure for section in recovery for figure in section.figures)
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
            curvature=curvature,
            mechanisms=mechanisms,
            items=items_part(results, changes, facts.stages),
            models=models,
            floor=floor,
            forgetting_figure=forgetting_figure,
            figures=drawn,
            tables=tables,
            spec=json.dumps(facts.spec, indent=2, sort_keys=True, ensure_ascii=False),
            provenance=_provenance(results),
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


def _heat_map(results: Results) -> tuple[tuple[_Model, ...], float]:
    """Accuracies averaged over seeds, and the value of the lightest shade."""
    cells: dict[tuple[tuple[str, ...], str], list[float | None]] = {}
    for cell in results.matrix:
        cells.setdefault((cell.chain, cell.task), []).append(cell.overall.value)
    known = [v for values in cells.values() for v in values if v is not None]
    floor = int(10 * min(known, default=0.0)) / 10
    models = tuple(
        _Model(
            chain,
            tuple(
                _entry(chain, task.id, cells.get((chain, task.id)), floor) for task in results.tasks
            ),
        )
        for chain in dict.fromkeys(cell.chain for cell in results.matrix)
    )
    return models, floor


def _entry(
    chain: tuple[str, ...], task: str, values: list[float | None] | None, floor: float
) -> _Entry:
    own = bool(chain) and task_of(chain[-1]) == task
    known = [v for v in values or [] if v is not None]
    if not values or len(known) < len(values):
        reason = "a seed has no scored item" if values else "not evaluated"
        return _Entry(None, None, None, reason, own, "transparent", "inherit")
    mean = fmean(known)
    share = (mean - floor) / (1 - floor) if floor < 1 else 1.0
    # A single hue from light to dark: order survives every kind of colour vision and grey print.
    light, dark = (0xEA, 0xF2, 0xFA), (0x0B, 0x3C, 0x7D)
    ground = "#" + "".join(
        f"{round(a + (b - a) * share):02x}" for a, b in zip(light, dark, strict=True)
    )
    ink = "#ffffff" if share > 0.5 else "#10243f"
    return _Entry(mean, min(known), max(known), "", own, ground, ink)


def _provenance(results: Results) -> list[tuple[str, str]]:
    packages = results.provenance.get("packages")
    found = packages.items() if isinstance(packages, dict) else ()
    return [(str(name), str(version)) for name, version in sorted(found)]
