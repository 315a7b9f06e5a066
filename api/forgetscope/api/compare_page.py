"""The comparison of two experiments as one HTML page, in the look of the report."""

import json
from functools import cache
from typing import NamedTuple

from jinja2 import Environment

from forgetscope.app import pages
from forgetscope.core.compare_curvature import compared_unsettled
from forgetscope.schema.compare import Compared, Comparison
from forgetscope.schema.measured import Measured

__all__ = ["render"]

# The figure's own units: letters of 13 are 13 px at full width.
_WIDTH, _LEFT, _RIGHT, _TOP, _LINE = 760, 300, 740, 14, 46
_TICKS = 5
_LABEL_LETTERS = 44


class _Mark(NamedTuple):
    """A value with its interval, in the figure's units; `low` and `high` may be absent."""

    x: float
    y: float
    low: float | None
    high: float | None


class _Line(NamedTuple):
    """One row: two lines of words, a mark for each experiment that has a value."""

    y: float
    label: str
    chain: str
    one: _Mark | None
    other: _Mark | None


class _Figure(NamedTuple):
    """An interval plot of both experiments. `ticks` are places with their labels."""

    width: int
    height: int
    left: int
    right: int
    bottom: float
    zero: float
    ticks: tuple[tuple[float, str], ...]
    lines: tuple[_Line, ...]
    alt: str


def render(comparison: Comparison) -> str:
    """The whole page; every name in it is escaped, nothing in it is loaded or run."""
    return (
        _environment()
        .get_template("compare.html.j2")
        .render(
            compared=comparison,
            figure=_figure(comparison),
            unsettled=compared_unsettled(comparison.curvature),
        )
    )


@cache
def _environment() -> Environment:
    made = pages.environment("forgetscope.api")
    made.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    return made


def _figure(comparison: Comparison) -> _Figure | None:
    rows = [r for r in comparison.rows if r.forgetting.one.value or r.forgetting.other.value]
    if not rows:
        return None
    ends = [end for row in rows for end in _ends(row.forgetting)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    step = _step(high - low)
    first, last = int(low / step // 1), -int(-high / step // 1)
    span = (last - first) * step

    def x(value: float) -> float:
        return round(_LEFT + (value - first * step) / span * (_RIGHT - _LEFT), 1)

    def mark(measured: Measured, y: float) -> _Mark | None:
        if measured.value is None:
            return None
        if measured.low is None or measured.high is None:
            return _Mark(x(measured.value), y, None, None)
        return _Mark(x(measured.value), y, x(measured.low), x(measured.high))

    lines = []
    for i, row in enumerate(rows):
        y = _TOP + i * _LINE + _LINE / 2
        place = f" (stage {row.position})" if len(row.chain) > 2 else ""
        lines.append(
            _Line(
                y,
                _clip(row.task + place),
                _clip(pages.chain_text(row.chain)),
                mark(row.forgetting.one, y - 7),
                mark(row.forgetting.other, y + 7),
            )
        )
    bottom = _TOP + len(rows) * _LINE
    said = "; ".join(
        f"{row.task} after {pages.chain_text(row.chain)}: {pages.points(row.forgetting.one.value)} "
        f"and {pages.points(row.forgetting.other.value)}"
        for row in rows
    )
    return _Figure(
        _WIDTH,
        bottom + 48,
        _LEFT,
        _RIGHT,
        bottom,
        x(0),
        tuple(
            (x(k * step), pages.number(100 * k * step, 0, sign=False))
            for k in range(first, last + 1)
        ),
        tuple(lines),
        f"Forgetting in percentage points, first experiment and second, with intervals. {said}.",
    )


def _ends(compared: Compared) -> list[float]:
    return [
        end
        for side in (compared.one, compared.other)
        for end in (side.value, side.low, side.high)
        if end is not None
    ]


def _step(span: float) -> float:
    """A round distance between ticks, so that there are about `_TICKS`."""
    for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5):
        if span / step <= _TICKS:
            return step
    return 1.0


def _clip(label: str) -> str:
    """Long names are cut in the figure only; the table beside it has them whole."""
    return label if len(label) <= _LABEL_LETTERS else label[: _LABEL_LETTERS - 1] + "…"
