"""Figures of curvature: spectral densities, and predicted against measured loss changes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from forgetscope.analysis.curvature_words import significant
from forgetscope.analysis.figures import STYLE, Drawing, drawn
from forgetscope.schema.curvature import DensityCurve

__all__ = ["Density", "Point", "density_plot", "scatter_plot"]

_INK, _QUIET, _RULE = "#222222", "#4D4D4D", "#E6E6E6"
_MARKS = {
    "prediction": ("o", "#0072B2", True),
    "local bound": ("^", "#D55E00", False),
    "path form": ("s", "#009E73", False),
    "prediction, a group": (".", "#8C8C8C", True),
}
_DECADES = 6
"""Heights below this many decades under the highest are not drawn."""


class Density(NamedTuple):
    """One curve with the words beside it."""

    label: str
    curve: DensityCurve


class Point(NamedTuple):
    """A measured change of the loss, and what `kind` of number says about it."""

    kind: str
    measured: float
    said: float


def density_plot(curves: Sequence[Density], *, alt: str, name: str) -> Drawing:
    """Spectral densities under one another, on a logarithmic scale; ticks below are the nodes."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.5 + 1.75 * len(curves)), layout="constrained")
        for i, (label, curve) in enumerate(curves, start=1):
            axes = figure.add_subplot(len(curves), 1, i)
            grid, heights = np.array(curve.grid), np.array(curve.heights)
            floor = heights.max() / 10**_DECADES
            axes.fill_between(grid, floor, np.maximum(heights, floor), color="#0072B2", alpha=0.25)
            axes.plot(grid, np.maximum(heights, floor), color="#0072B2", lw=1.4)
            axes.plot(
                curve.nodes,
                np.full(len(curve.nodes), floor * 1.6),
                ls="",
                marker="|",
                ms=7,
                color=_INK,
            )
            axes.axvline(0, color=_INK, lw=0.8)
            axes.set_yscale("log")
            axes.set_ylim(floor, heights.max() * 3)
            axes.set_title(label, fontsize=9, loc="left", color=_QUIET)
            _dress(axes, logarithmic=("y",))
            axes.xaxis.set_major_formatter(FuncFormatter(_tick))
        axes.set_xlabel("eigenvalue of the Hessian", color=_QUIET)
        return drawn(figure, name=name, title="Spectral density of the Hessian", alt=alt)


def scatter_plot(points: Sequence[Point], *, alt: str, name: str) -> Drawing:
    """What was said of a loss change against what was measured; on the line it was right.

    Both axes are logarithmic away from 0 and linear around it: changes of both signs and of many
    sizes stand side by side.
    """
    sizes = np.abs([[p.measured, p.said] for p in points]).ravel()
    largest = float(sizes.max()) or 1.0
    smallest = float(min((s for s in sizes if s > largest * 1e-6), default=largest))
    with rc_context(STYLE):
        figure = Figure(figsize=(5.6, 4.8), layout="constrained")
        axes = figure.add_subplot()
        for kind, (marker, colour, filled) in reversed(_MARKS.items()):
            chosen = [p for p in points if p.kind == kind]
            if chosen:
                axes.plot(
                    [p.measured for p in chosen],
                    [p.said for p in chosen],
                    ls="",
                    marker=marker,
                    ms=7,
                    color=colour,
                    mfc=colour if filled else "white",
                    mew=1.3,
                    label=kind,
                )
        low = min(0.0, *(min(p.measured, p.said) for p in points))
        high = max(0.0, *(max(p.measured, p.said) for p in points))
        edge = 1.6 if high > smallest or low < -smallest else 1.0
        ends = (low * edge - smallest / 2, high * edge + smallest / 2)
        axes.plot(ends, ends, color=_INK, lw=1, zorder=0)
        for axis, scale in (("x", axes.set_xscale), ("y", axes.set_yscale)):
            scale("symlog", linthresh=smallest)
            getattr(axes, f"set_{axis}lim")(*ends)
        _dress(axes, logarithmic=("x", "y"))
        for side in (axes.xaxis, axes.yaxis):
            # Within the linear part, ticks stand too close for words; the rule at 0 has them.
            side.set_major_formatter(
                FuncFormatter(lambda v, at: "" if 0 < abs(v) < smallest else _tick(v, at))
            )
        axes.set_xlabel("measured change of the loss, nats per answer token", color=_QUIET)
        axes.set_ylabel("predicted or bounded", color=_QUIET)
        figure.legend(
            handles=axes.get_legend_handles_labels()[0][::-1],
            frameon=False,
            fontsize=8,
            loc="outside upper center",
            ncols=4,
            labelcolor=_QUIET,
        )
        title = "Predicted against measured loss change"
        return drawn(figure, name=name, title=title, alt=alt)


def _tick(value: float, _: int) -> str:
    """1×10⁻⁴ → 10⁻⁴; what rounding adds to a tick's place is not shown."""
    return significant(float(f"{value:.2g}")).replace("1×10", "10")


def _dress(axes: Any, *, logarithmic: tuple[str, ...]) -> None:
    for name in logarithmic:
        axis = getattr(axes, f"{name}axis")
        axis.set_major_formatter(FuncFormatter(_tick))
        axis.set_minor_formatter(NullFormatter())
    axes.tick_params(length=3, color="#8C8C8C", labelcolor=_QUIET, labelsize=8)
    axes.grid(color=_RULE, lw=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color("#BFBFBF")
