"""Figures of mechanisms: a candidate against forgetting, one panel for each candidate."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from forgetscope.analysis.figures import STYLE, Drawing, drawn
from forgetscope.app.pages import significant

__all__ = ["SERIES", "Dot", "Panel", "panels_plot"]

_INK, _QUIET, _RULE = "#222222", "#4D4D4D", "#E6E6E6"
# Okabe & Ito (2008), without their yellow, which is too pale for a mark on white.
_STYLES = (
    ("s", "#0072B2"),
    ("D", "#D55E00"),
    ("o", "#009E73"),
    ("^", "#CC79A7"),
    ("v", "#E69F00"),
    ("P", "#56B4E9"),
)
SERIES = len(_STYLES)
"""Series that can be told apart in one figure."""
_COLUMNS = 2
_TITLE_LETTERS, _LABEL_LETTERS = 48, 60


class Dot(NamedTuple):
    """One group or pair, in the units of the axes. `hollow`: not part of the correlation."""

    series: int
    x: float
    y: float
    low: float | None
    high: float | None
    hollow: bool = False


class Panel(NamedTuple):
    """One candidate: words below its axis, what the correlation says above, its dots."""

    candidate: str
    said: str
    dots: tuple[Dot, ...]


def panels_plot(
    panels: Sequence[Panel],
    series: Sequence[str],
    *,
    axis: str,
    alt: str,
    name: str,
    title: str,
) -> Drawing:
    """Dots with their vertical intervals, around a rule at 0.

    Args:
        panels: at least one, each with a dot.
        series: words of each series of dots, at most `SERIES`; shape and colour tell them apart.
        axis: what the vertical axes show, with its unit.
        alt, name, title: see `drawn`.
    """
    rows = math.ceil(len(panels) / _COLUMNS)
    legend = 0.22 * len(series) + 0.1
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, legend + 2.35 * rows), layout="constrained")
        shared: Any = None
        for i, panel in enumerate(panels):
            axes = figure.add_subplot(rows, _COLUMNS, i + 1, sharey=shared)
            shared = shared or axes
            _draw(axes, panel)
            if i % _COLUMNS == 0:
                axes.set_ylabel(axis, color=_QUIET, fontsize=8)
            else:
                axes.tick_params(labelleft=False)
        handles = [_handle(shared, i, label) for i, label in enumerate(series)]
        figure.legend(
            handles=handles,
            frameon=False,
            fontsize=8,
            loc="outside upper left",
            labelcolor=_QUIET,
        )
        return drawn(figure, name=name, title=title, alt=alt)


def _draw(axes: Any, panel: Panel) -> None:
    for dot in panel.dots:
        marker, colour = _STYLES[dot.series]
        if dot.low is not None and dot.high is not None:
            axes.plot([dot.x, dot.x], [dot.low, dot.high], color=colour, lw=1, alpha=0.35, zorder=1)
        axes.plot(
            [dot.x],
            [dot.y],
            ls="",
            marker=marker,
            ms=6,
            color=colour,
            mfc="white" if dot.hollow else colour,
            mew=1.3,
            zorder=2,
        )
    axes.axhline(0, color=_INK, lw=0.8, zorder=0)
    axes.margins(x=0.08, y=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(_tick))
    axes.set_xlabel(panel.candidate, color=_QUIET, fontsize=8)
    axes.set_title(_clip(panel.said, _TITLE_LETTERS), fontsize=8, loc="left", color=_INK)
    axes.tick_params(length=3, color="#8C8C8C", labelcolor=_QUIET, labelsize=8)
    axes.grid(color=_RULE, lw=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color("#BFBFBF")


def _handle(axes: Any, index: int, label: str) -> Any:
    """An entry of the legend; it has no place in the panel."""
    marker, colour = _STYLES[index]
    (line,) = axes.plot(
        [], [], ls="", marker=marker, ms=6, color=colour, label=_clip(label, _LABEL_LETTERS)
    )
    return line


def _tick(value: float, _: int) -> str:
    return significant(float(f"{value:.3g}"))


def _clip(text: str, letters: int) -> str:
    """Long words are cut in the figure only; the table beside it has them whole."""
    return text if len(text) <= letters else text[: letters - 1] + "…"
