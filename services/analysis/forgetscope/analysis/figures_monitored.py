"""The figure of a watched stage: biased forgetting of each group while it trained."""

from collections.abc import Sequence
from math import ceil
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from forgetscope.analysis.figures import STYLE, Drawing, drawn
from forgetscope.schema.monitored import MonitoredGroup, MonitoredStage, MonitorLook

__all__ = ["monitor_plot"]

_INK, _QUIET, _RULE = "#222222", "#4D4D4D", "#E6E6E6"
_CALLED, _OTHER = "#D55E00", "#0072B2"
_COLUMNS = 4
_NAME_LETTERS = 22
_BEYOND = 30
"""The first intervals are wider than anything else; they leave the picture."""


def monitor_plot(stage: MonitoredStage, *, alt: str, name: str, title: str) -> Drawing:
    """A panel for each group, all to one scale: the mean of all looks so far with its interval, and
    a triangle at the call. Dashed: the margin.

    Args:
        stage: has at least one look.
        alt, name, title: see `figures.drawn`.
    """
    columns = min(_COLUMNS, len(stage.groups))
    rows = ceil(len(stage.groups) / columns)
    looks = [look for seen in stage.groups for look in seen.looks]
    low, high = _limits(looks, 100 * stage.settings.margin)
    last = max(look.step for look in looks)
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.75 + 1.55 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat
        for panel, seen in zip(axes, stage.groups, strict=False):
            _panel(panel, seen, 100 * stage.settings.margin)
            panel.set_xlim(0, 1.04 * last)
            panel.set_ylim(low, high)
        for at, panel in enumerate(axes):
            if at >= len(stage.groups):
                panel.set_visible(False)
            elif at + columns >= len(stage.groups):
                panel.tick_params(labelbottom=True)
        figure.supxlabel("optimiser steps", color=_QUIET, fontsize=9)
        figure.supylabel("biased forgetting, points", color=_QUIET, fontsize=9)
        return drawn(figure, name=name, title=title, alt=alt)


def _limits(looks: Sequence[MonitorLook], margin: float) -> tuple[float, float]:
    """Every mean, and intervals up to `_BEYOND` past the outermost, in points."""
    means = [0.0, margin, *(100 * look.mean for look in looks)]
    low = max(min(means) - _BEYOND, min(*means, *(100 * look.low for look in looks)))
    high = min(max(means) + _BEYOND, max(*means, *(100 * look.high for look in looks)))
    room = 0.06 * (high - low)
    return low - room, high + room


def _panel(axes: Any, seen: MonitoredGroup, margin: float) -> None:
    colour = _OTHER if seen.call is None else _CALLED
    steps = [look.step for look in seen.looks]
    ends = ([100 * look.low for look in seen.looks], [100 * look.high for look in seen.looks])
    axes.fill_between(steps, *ends, color=colour, alpha=0.15, lw=0)
    if len(steps) == 1:
        axes.vlines(steps, *ends, color=colour, lw=1.4, alpha=0.6)
    axes.plot(steps, [100 * look.mean for look in seen.looks], color=colour, marker="o", ms=2.4)
    if seen.call is not None:
        axes.plot([seen.call.step], [100 * seen.call.mean], color=colour, marker="^", ms=8)
    axes.axhline(0, color=_INK, lw=0.8, zorder=1)
    axes.axhline(margin, color=_INK, lw=1, ls=(0, (4, 3)), zorder=1)
    name = seen.group
    short = name if len(name) <= _NAME_LETTERS else name[: _NAME_LETTERS - 1] + "…"
    axes.set_title(short, fontsize=8.5, color=_INK, loc="left", pad=3)
    axes.tick_params(length=3, color="#8C8C8C", labelcolor=_QUIET, labelsize=8)
    axes.grid(color=_RULE, lw=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color("#BFBFBF")
