"""Figures: drawn once, shown inline in the report and kept as SVG and PNG files beside it.

Text stays text, and equal results give equal bytes (with one release of matplotlib).

Colours are those of Okabe & Ito (2008), told apart with any common colour vision; every distinction
is also made by the shape of a mark. Figures have a white ground of their own, so that they read the
same on a dark page and on paper.
"""

import html
import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

__all__ = ["STYLE", "Drawing", "Line", "drawn", "interval_plot", "write"]

_ORANGE, _BLUE, _GREY, _PALE = "#D55E00", "#0072B2", "#4D4D4D", "#8C8C8C"
_COLOURS = {"more": _ORANGE, "less": _BLUE, "open": _GREY, "none": _PALE}
_COLOURS |= {"breach": _ORANGE, "pass": _BLUE}
_MARKS = {"more": "D", "less": "s", "open": "o", "none": "o", "breach": "^", "pass": "v"}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "forgetscope",
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same measures everywhere
    "font.size": 9.0,
    "text.parse_math": False,  # names are data: a "$" in one is a dollar sign
    "axes.unicode_minus": True,
}
_LABEL_LETTERS = 44
_DOTS_PER_INCH = 200
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class Drawing(NamedTuple):
    """A finished figure. A template that writes it gets the SVG to stand within a page."""

    name: str
    title: str
    alt: str
    svg: str
    png: bytes

    def __html__(self) -> str:
        """The SVG for a page: ids of its own, the words of `alt` as its label."""
        return _inline(self)


class Line(NamedTuple):
    """One number of an interval plot, in the unit of its axis. `low` and `high` may be absent."""

    label: str
    value: float
    low: float | None
    high: float | None
    tone: str
    note: str = ""


def interval_plot(
    lines: Sequence[Line],
    *,
    axis: str,
    alt: str,
    name: str,
    title: str,
    margin: float | None = None,
) -> Drawing:
    """A dot with its interval on each line, around a rule at 0.

    Args:
        lines: top to bottom, at least one.
        axis: what the horizontal axis shows, with its unit.
        alt, name, title: see `drawn`.
        margin: where a dashed rule stands.
    """
    rows = max(line.label.count("\n") + 1 for line in lines)
    height = 0.75 + len(lines) * (0.30 if rows == 1 else 0.44)
    with rc_context(STYLE):
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
        if margin is not None:
            axes.axvline(margin, color="#222222", lw=1, ls=(0, (4, 3)), zorder=1)
        return drawn(figure, name=name, title=title, alt=alt)


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


def drawn(figure: Figure, *, name: str, title: str, alt: str) -> Drawing:
    """Draw a figure as SVG and as PNG; call it under `rc_context(STYLE)`.

    Args:
        name: of its files; it also keeps the ids of several figures in one page apart.
        title: what it shows, in one line.
        alt: the figure in words, for those who do not see it.
    """
    svg, png = io.StringIO(), io.BytesIO()
    with warnings.catch_warnings():
        # The text is drawn by the reader's fonts; only its width is guessed with ours.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        FigureCanvasSVG(figure).print_svg(
            svg, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
        figure.set_dpi(_DOTS_PER_INCH)
        FigureCanvasAgg(figure).print_png(
            png, metadata={"Software": None, "Title": title, "Description": alt}
        )
    return Drawing(name, title, alt, _titled(svg.getvalue(), title, alt), png.getvalue())


def write(drawings: Sequence[Drawing], folder: Path) -> None:
    """Write `figures/<name>.svg` and `.png` of each into a folder."""
    target = folder / "figures"
    for drawing in drawings:
        target.mkdir(exist_ok=True)
        (target / f"{drawing.name}.svg").write_text(drawing.svg, encoding="utf-8")
        (target / f"{drawing.name}.png").write_bytes(drawing.png)


def _titled(svg: str, title: str, alt: str) -> str:
    """A file of its own: what it shows stands in it, for readers of the screen and of the file."""
    # Names are data: XML has no control characters, not even escaped ones (XML 1.0, section 2.2).
    svg = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", svg[svg.index("<svg") :])
    alt, title = (_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text) for text in (alt, title))
    end = svg.index(">")
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'{svg[:end]} role="img" aria-labelledby="title" aria-describedby="desc">\n'
        f' <title id="title">{html.escape(title)}</title>\n'
        f' <desc id="desc">{html.escape(alt)}</desc>{svg[end + 1 :]}'
    )


def _inline(drawing: Drawing) -> Markup:
    """The drawing without its frame as a file, so that several can stand in one page."""
    svg, name = drawing.svg, drawing.name
    box = re.search(r'viewBox="[^"]+"', svg)
    body = svg[svg.index("</desc>") + len("</desc>") :]
    body = re.sub(r"<defs>\s*<style.*?</defs>", "", body, count=1, flags=re.DOTALL)
    body = re.sub(r'\bid="([\w.-]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'xlink:href="#', f'href="#{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    opening = f'<svg role="img" aria-label="{html.escape(drawing.alt)}" {box[0] if box else ""}>'
    return Markup(opening + body)  # noqa: S704 - matplotlib escapes text, we escape `alt`
