"""Figures of mitigation: recovery and price over a knob, and the Pareto front."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure

from forgetscope.analysis.figures import STYLE, Drawing, drawn
from forgetscope.schema.measured import Measured

__all__ = ["Dot", "KnobPoint", "knob_plot", "pareto_plot"]

_INK, _QUIET, _RULE = "#222222", "#4D4D4D", "#E6E6E6"
_LINES = (
    ("#0072B2", "o", "-"),
    ("#D55E00", "s", "--"),
    ("#009E73", "^", "-."),
    ("#CC79A7", "D", ":"),
    ("#E69F00", "v", "-"),
    ("#56B4E9", "P", "--"),
)
_DODGE = 0.07
"""Lines stand this far apart, in steps of the knob, so that marks do not hide each other."""


class KnobPoint(NamedTuple):
    """A mitigated chain: `recovery` as a share, `price` (the largest) as a fraction."""

    knob: float
    recovery: Measured
    price: Measured


class Dot(NamedTuple):
    """A chain in the Pareto plot; fractions. `label` is its number in the table."""

    label: str
    front: bool
    remaining: Measured
    worst: Measured
    price: Measured


def knob_plot(
    lines: Mapping[str, Sequence[KnobPoint]],
    *,
    knob: str,
    percent: bool,
    alt: str,
    name: str,
    title: str,
) -> Drawing:
    """Recovery above, price below, over the values of a knob (equally spaced, not to scale).

    Args:
        lines: name → its points; bands are their intervals.
        knob: what the horizontal axis shows.
        percent: whether its values are shares.
        alt, name, title: see `figures.drawn`.
    """
    values = sorted({point.knob for points in lines.values() for point in points})
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 5.4), layout="constrained")
        above = figure.add_subplot(2, 1, 1)
        below = figure.add_subplot(2, 1, 2, sharex=above)
        for i, (label, points) in enumerate(lines.items()):
            colour, marker, dash = _LINES[i % len(_LINES)]
            shift = _DODGE * (i - (len(lines) - 1) / 2)
            style = {"color": colour, "marker": marker, "ls": dash, "label": label}
            for axes, field in ((above, "recovery"), (below, "price")):
                _line(axes, values, points, field, style=style, shift=shift)
        above.axhline(100, color=_INK, lw=1, ls=(0, (4, 3)))
        shown = [p.recovery for found in lines.values() for p in found]
        above.set_ylim(*_limits(shown, around=(-20, 120), beyond=100))
        shown = [p.price for found in lines.values() for p in found]
        below.set_ylim(*_limits(shown, around=(-5, 5), beyond=30))
        above.set_ylabel("loss brought back, %", color=_QUIET)
        below.set_ylabel("price, points", color=_QUIET)
        below.set_xticks(
            range(len(values)), [f"{100 * v:g} %" if percent else f"{v:g}" for v in values]
        )
        below.set_xlim(-0.4, len(values) - 0.6)
        below.set_xlabel(f"{knob} (equally spaced, not to scale)", color=_QUIET)
        above.tick_params(labelbottom=False)
        for axes in (above, below):
            axes.axhline(0, color=_INK, lw=1)
            _dress(axes)
        figure.legend(
            *above.get_legend_handles_labels(),
            frameon=False,
            fontsize=8,
            loc="outside upper center",
            ncols=2,
            labelcolor=_QUIET,
        )
        return drawn(figure, name=name, title=title, alt=alt)


def _line(
    axes: Any,
    values: Sequence[float],
    points: Sequence[KnobPoint],
    field: str,
    *,
    style: Mapping[str, str],
    shift: float,
) -> None:
    known = [
        (values.index(p.knob) + shift, measured)
        for p in sorted(points, key=lambda p: p.knob)
        if (measured := getattr(p, field)).value is not None
    ]
    axes.plot([x for x, _ in known], [100 * m.value for _, m in known], ms=5.5, lw=1.6, **style)
    sure = [(x, m) for x, m in known if m.low is not None]
    places = [x for x, _ in sure]
    ends = ([100 * m.low for _, m in sure], [100 * m.high for _, m in sure])
    axes.fill_between(places, *ends, color=style["color"], alpha=0.13, lw=0)
    axes.vlines(places, *ends, color=style["color"], lw=1.1, alpha=0.8)


def _limits(
    shown: Sequence[Measured], *, around: tuple[float, float], beyond: float
) -> tuple[float, float]:
    """Every value, and intervals up to `beyond` past the outermost; longer ones leave the picture.

    All in hundredths; `around` is always within.
    """
    values = [100 * m.value for m in shown if m.value is not None]
    ends = [100 * end for m in shown for end in (m.low, m.high) if end is not None]
    least, most = min([around[0], *values]), max([around[1], *values])
    low = max(least - beyond, min([least, *ends]))
    high = min(most + beyond, max([most, *ends]))
    room = 0.06 * (high - low)
    return low - room, high + room


def pareto_plot(dots: Sequence[Dot], *, alt: str, name: str, title: str) -> Drawing:
    """Price against what is still forgotten, and against the worst group's biased forgetting.

    Down and to the left is better. Numbers are those of the table; thin lines are intervals.
    """
    grouped = any(dot.worst.value is not None for dot in dots)
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.9), layout="constrained")
        fields = [("remaining", "still forgotten, points")]
        fields += [("worst", "worst biased forgetting, points")] if grouped else []
        for i, (field, axis) in enumerate(fields, start=1):
            axes = figure.add_subplot(1, len(fields), i)
            for dot in dots:
                _dot(axes, dot, getattr(dot, field))
            axes.axhline(0, color=_INK, lw=0.8, zorder=0)
            axes.axvline(0, color=_INK, lw=0.8, zorder=0)
            axes.set_xlim(
                *_limits([getattr(dot, field) for dot in dots], around=(-5, 5), beyond=30)
            )
            axes.set_ylim(*_limits([dot.price for dot in dots], around=(-5, 5), beyond=30))
            axes.set_xlabel(axis, color=_QUIET)
            if i == 1:
                axes.set_ylabel("largest price, points", color=_QUIET)
            _dress(axes)
        return drawn(figure, name=name, title=title, alt=alt)


def _dot(axes: Any, dot: Dot, across: Measured) -> None:
    if across.value is None or dot.price.value is None:
        return
    x, y = 100 * across.value, 100 * dot.price.value
    colour = "#0072B2" if dot.front else "#8C8C8C"
    if across.low is not None and across.high is not None:
        axes.plot([100 * across.low, 100 * across.high], [y, y], color=colour, lw=0.8, alpha=0.6)
    if dot.price.low is not None and dot.price.high is not None:
        ends = [100 * dot.price.low, 100 * dot.price.high]
        axes.plot([x, x], ends, color=colour, lw=0.8, alpha=0.6)
    axes.plot(
        [x],
        [y],
        marker="D" if dot.front else "o",
        ms=6.5,
        color=colour,
        mfc=colour if dot.front else "white",
        mew=1.3,
    )
    axes.annotate(
        dot.label, (x, y), xytext=(5, 5), textcoords="offset points", fontsize=8, color=_INK
    )


def _dress(axes: Any) -> None:
    axes.tick_params(length=3, color="#8C8C8C", labelcolor=_QUIET, labelsize=8)
    axes.grid(color=_RULE, lw=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color("#BFBFBF")
