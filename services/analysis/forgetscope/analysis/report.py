"""The report: one HTML file that opens anywhere, without network and without scripts."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from statistics import fmean
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from forgetscope.analysis import words
from forgetscope.analysis.figures import Line, interval_plot
from forgetscope.analysis.report_bbq import bias_sections
from forgetscope.schema.base import JsonObject
from forgetscope.schema.results import ChainForgetting, GroupForgetting, Measured, Results

__all__ = ["ReportFacts", "render"]

_HEADLINES = 4
"""Rows that are told at the top; the others stand in their sections."""


class ReportFacts(NamedTuple):
    """What the report says about the experiment beside its results."""

    name: str
    spec: JsonObject
    engine: str
    engine_reason: str
    stages: Mapping[str, str]


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


class _Section(NamedTuple):
    """The groups of one row of the forgetting table."""

    anchor: str
    row: ChainForgetting
    groups: tuple[GroupForgetting, ...]
    figure: Markup | None


def render(results: Results, facts: ReportFacts) -> str:
    """The whole page. Equal input gives equal bytes; every name in it is escaped."""
    kinds = {task.id: task.kind for task in results.tasks}
    sections = tuple(_sections(results))
    headlines = sorted(results.forgetting, key=_size, reverse=True)[:_HEADLINES]
    models, floor = _heat_map(results)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            facts=facts,
            results=results,
            kinds=kinds,
            level=words.level(results.settings.confidence),
            headlines=headlines,
            sections=sections,
            bias_sections=bias_sections(results),
            models=models,
            floor=floor,
            forgetting_figure=_forgetting_figure(results, kinds),
            spec=json.dumps(facts.spec, indent=2, sort_keys=True, ensure_ascii=False),
            provenance=_provenance(results),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("forgetscope.analysis"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in words.__all__:
        environment.filters[name] = getattr(words, name)
    environment.globals.update(percent=words.percent, points=words.points, ratio=words.ratio)
    return environment


def _size(row: ChainForgetting) -> float:
    return abs(row.forgetting.value or 0.0)


def _title(row: ChainForgetting) -> str:
    """The task and its chain; a task that comes twice needs its position, too."""
    twice = row.chain.count(row.task) > 1
    return f"{row.task}{f' (stage {row.position})' if twice else ''}"


def _forgetting_figure(results: Results, kinds: Mapping[str, str]) -> Markup | None:
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
    )


def _line(label: str, measured: Measured, tone: str, note: str) -> Line:
    """Fractions → percentage points."""
    value, low, high = (
        None if end is None else 100 * end for end in (measured.value, measured.low, measured.high)
    )
    return Line(label, value or 0.0, low, high, tone, note)


def _sections(results: Results) -> Iterator[_Section]:
    for i, row in enumerate(results.forgetting, start=1):
        if not row.groups:
            continue
        groups = sorted(
            row.groups, key=lambda g: (g.biased.value is None, -(g.biased.value or 0.0), g.group)
        )
        shown = [g for g in groups if g.biased.value is not None]
        figure = None
        if shown:
            said = "; ".join(f"{g.group}: {words.points(g.biased.value)}" for g in shown)
            figure = interval_plot(
                [
                    _line(g.group, g.biased, words.group_verdict(g).tone, f"n = {g.items}")
                    for g in shown
                ],
                axis="biased forgetting against the task as a whole, percentage points",
                alt=(
                    f"Biased forgetting of {row.task} after {words.chain_text(row.chain)}, "
                    f"percentage points, with intervals. {said}."
                ),
                name=f"groups{i}",
            )
        yield _Section(f"groups-{i}", row, tuple(groups), figure)


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
    own = bool(chain) and chain[-1] == task
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
