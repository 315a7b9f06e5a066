"""Figures as inline SVG: text stays text, equal results give equal bytes.

Colours are those of Okabe & Ito (2008), told apart with any common colour vision; every distinction
is also made by the shape of a mark. Figures have a white ground of their own, so that they read the
same on a dark page and on paper.
"""

import html
import io
import re
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

__all__ = ["Line", "interval_plot"]

_COLOURS = {"more": "#D55E00", "less": "#0072B2", "open": "#4D4D4D", "none": "#8C8C8C"}
_MARKS = {"more": "D", "less": "s", "open": "o", "none": "o"}
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "forgetscope",
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same measures everywhere
    "font.size": 9.0,
    "text.parse_math": False,  # names are data: a "$" in one is a dollar sign
    "axes.unicode_minus": True,
}
_LABEL_LETTERS = 44


class Line(NamedTuple):
    """One number of an interval plot, in the unit of its axis. `low` and `high` may be absent."""

    label: str
    value: float
    low: float | None
    high: float | None
    tone: str
    note: str = ""


def interval_plot(lines: Sequence[Line], *, axis: str, alt: str, name: str) -> Markup:
    """A dot with its interval on each line, around a rule at 0.

    Args:
        lines: top to bottom, at least one.
        axis: what the horizontal axis shows, with its unit.
        alt: the figure in words, for those who do not see it.
        name: prefix that keeps the ids of several figures in one page apart.
    """
    rows = max(line.label.count("\n") + 1 for line in lines)
    height = 0.75 + len(lines) * (0.30 if rows == 1 else 0.44)
    with rc_context(_STYLE):
        figure = Figure(figsize=(7.2, height), layout="constrained")
        axes = figure.add_subplot()
        for y, line in enumerate(lines):
            colour = _COLOURS[line.tone]
            if line.low is not None and line.high is not None:
                axes.plot(
                    [line.low, line.high],
                    [y, y],
                    color=colour,
                    lw=2.2,
                    alpha=0.9,
                    solid_capstyle="round",
                    zorder=2,
                )
            axes.plot(
                [line.value],
                [y],
                marker=_MARKS[line.tone],
                ms=6.5,
                color=colour,
                mfc="white" if line.tone == "none" else colour,
                mew=1.4,
                zorder=3,
            )
        _dress(axes, lines, axis)
        return _inline(figure, alt, name)


def _dress(axes: Any, lines: Sequence[Line], axis: str) -> None:
    axes.axvline(0, color="#222222", lw=1, zorder=1)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_yticks(range(len(lines)), [_clip(line.label) for line in lines])
    axes.tick_params(axis="y", length=0, pad=6)
    axes.tick_params(axis="x", length=3, color="#8C8C8C", labelcolor="#4D4D4D")
    axes.set_xlabel(axis, color="#4D4D4D", labelpad=6)
    axes.grid(axis="x", color="#E6E6E6", lw=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#BFBFBF")
    for y, line in enumerate(lines):
        axes.annotate(
            _clip(line.note),
            (1, y),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color="#4D4D4D",
            fontsize=8,
            annotation_clip=False,
        )


def _clip(label: str) -> str:
    """Long names are cut in the figure only; the table beside it has them whole."""
    return "\n".join(
        part if len(part) <= _LABEL_LETTERS else part[: _LABEL_LETTERS - 1] + "…"
        for part in label.split("\n")
    )


def _inline(figure: Figure, alt: str, name: str) -> Markup:
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # The text is drawn by the reader's fonts; only its width is guessed with ours.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        FigureCanvasSVG(figure).print_svg(
            buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    box = re.search(r'viewBox="[^"]+"', svg)
    body = svg[svg.index(">") + 1 :]
    body = re.sub(r"<defs>\s*<style.*?</defs>", "", body, count=1, flags=re.DOTALL)
    body = re.sub(r'\bid="([\w.-]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'xlink:href="#', f'href="#{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    opening = f'<svg role="img" aria-label="{html.escape(alt)}" {box[0] if box else ""}>'
    return Markup(opening + body)  # noqa: S704 - matplotlib escapes text, we escape `alt`
