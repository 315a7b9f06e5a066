"""Which dots and words the figures of the section on mechanisms have."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from forgetscope.analysis.curvature_words import correlation_finding
from forgetscope.analysis.figures import Drawing
from forgetscope.analysis.figures_mechanisms import SERIES, Dot, Panel, panels_plot
from forgetscope.analysis.mechanisms import CANDIDATES, SIDES
from forgetscope.app.pages import chain_text, number, p_value
from forgetscope.schema.measured import Measured
from forgetscope.schema.mechanisms import Association, GroupMechanisms, Mechanisms

__all__ = ["Sketch", "group_sketches", "pair_sketch"]

_UNITS = {"share_own": ", %", "share_later": ", %", "slope": ", nats per answer token"}
_SCALES = {"share_own": 100.0, "share_later": 100.0}
_KINDS = ("capability", "safety")
"""Squares and diamonds, as in the figure of forgetting."""

Row = tuple[tuple[str, ...], int]


class Sketch(NamedTuple):
    """A figure with its caption, and what each correlation says, drawn or not."""

    figure: Drawing
    caption: str
    findings: tuple[tuple[str, str], ...]


def group_sketches(found: Mechanisms, used: Collection[Row]) -> Iterator[Sketch]:
    """One figure for each task with groups: every candidate against biased forgetting. Where the
    task has several rows, the correlation is that over all of them.

    Args:
        used: chain and position of the rows that correlations over several rows are about.
    """
    for i, task in enumerate(dict.fromkeys(g.task for g in found.groups), start=1):
        rows: dict[Row, list[GroupMechanisms]] = {}
        for g in found.groups:
            if g.task == task and (g.chain, g.position) in used:
                rows.setdefault((g.chain, g.position), []).append(g)
        if not rows:
            continue
        own = {a.candidate: a for a in found.associations if _about(a, task, rows)}
        panels = tuple(
            Panel(name + _UNITS.get(field, ""), _said(own[name]), dots)
            for field, name in CANDIDATES.items()
            if (dots := tuple(_group_dots(list(rows.values()), field)))
        )
        if panels:
            yield _group_sketch(i, task, rows, panels, list(own.values()))


def pair_sketch(found: Mechanisms, kinds: Mapping[str, str]) -> Sketch | None:
    """Similarity of the tasks of each pair against forgetting of the first; None without pairs."""
    own = {a.candidate: a for a in found.associations if a.task is None}
    panels = []
    for side in SIDES:
        dots = [
            _dot(_KINDS.index(kinds[pair.chain[0]]), x.value, pair.forgetting)
            for pair in found.pairs
            if (x := getattr(pair, side)).value is not None and pair.forgetting.value is not None
        ]
        if dots:
            name = f"similarity in {side}"
            panels.append(Panel(name, _said(own[name]), tuple(dots)))
    if not panels:
        return None
    series = tuple(f"{kind} task first" for kind in _KINDS)
    findings = tuple((a.candidate, correlation_finding(a)) for a in own.values())
    return Sketch(
        panels_plot(
            panels,
            series,
            axis="forgetting of the first, points",
            alt=(
                "Forgetting of the first task of each pair in percentage points against the "
                f"similarity of its tasks. Spearman correlations: {_listed(findings)}."
            ),
            name="similarity",
            title="Task similarity against forgetting",
        ),
        "Each mark is a pair of tasks, with the interval of its forgetting. Spearman correlations "
        "over the pairs:",
        findings,
    )


def _group_sketch(
    i: int,
    task: str,
    rows: Mapping[Row, Sequence[GroupMechanisms]],
    panels: Sequence[Panel],
    own: Sequence[Association],
) -> Sketch:
    twice = len({chain for chain, _ in rows}) < len(rows)
    series = [
        chain_text(chain) + (f" (stage {position})" if twice else "") for chain, position in rows
    ]
    over = "the groups" if len(rows) == 1 else f"the groups, mean of {len(rows)} chains"
    more = len(series) - SERIES
    left = f" {more} more chains stand in mechanisms.csv." if more > 0 else ""
    findings = tuple((a.candidate, correlation_finding(a)) for a in own)
    return Sketch(
        panels_plot(
            panels,
            series[:SERIES],
            axis="biased forgetting, points",
            alt=(
                f"Biased forgetting of the groups of {task} in percentage points against what "
                f"might go with it. Spearman correlations over {over}: {_listed(findings)}."
            ),
            name=f"mechanisms{i}",
            title=f"What goes with biased forgetting of {task}",
        ),
        f"Each mark is a group of {task} after one chain, with the interval of its biased "
        "forgetting. Hollow marks are groups that are too small, or not known in every chain; they "
        f"are no part of the correlations.{left} Spearman correlations over {over}:",
        findings,
    )


def _about(found: Association, task: str, rows: Mapping[Row, object]) -> bool:
    if found.task != task:
        return False
    if len(rows) > 1:
        return found.chain is None
    return (found.chain, found.position) in rows


def _group_dots(rows: Sequence[Sequence[GroupMechanisms]], field: str) -> Iterator[Dot]:
    kept = [
        {g.group for g in row if getattr(g, field).value is not None and not g.too_small}
        for row in rows
    ]
    shared = set.intersection(*kept)
    for series, row in enumerate(rows[:SERIES]):
        for g in row:
            x = getattr(g, field).value
            if x is not None and g.biased.value is not None:
                scaled = x * _SCALES.get(field, 1.0)
                yield _dot(series, scaled, g.biased, hollow=g.group not in shared)


def _dot(series: int, x: float, y: Measured, *, hollow: bool = False) -> Dot:
    value, low, high = (None if e is None else 100 * e for e in (y.value, y.low, y.high))
    return Dot(series, x, value or 0.0, low, high, hollow)


def _said(found: Association) -> str:
    """The correlation in a line above its panel."""
    measured = found.spearman
    if measured.value is None:
        return "no correlation"
    said = f"ρ = {number(measured.value, 2, sign=True)}"
    if measured.low is not None and measured.high is not None:
        low, high = (number(end, 2, sign=True) for end in (measured.low, measured.high))
        said += f" ({low} to {high})"
    p = p_value(found.p)
    return f"{said}, p {p}" if p.startswith("<") else f"{said}, p = {p}"


def _listed(findings: Sequence[tuple[str, str]]) -> str:
    return "; ".join(f"{name}: {said}" for name, said in findings)
