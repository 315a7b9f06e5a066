"""The accuracy matrix as a figure: a number and a shade in each cell."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from forgetscope.analysis.figures import STYLE, Drawing, drawn

__all__ = ["MatrixCell", "MatrixLine", "matrix_plot"]

_INK, _QUIET, _OWN = "#222222", "#4D4D4D", "#D55E00"
_WIDTH, _CELL_HEIGHT = 7.2, 0.27
_MODEL_LETTERS, _TASK_LETTERS = 40, 20
_SHORT_LETTERS = 7


class MatrixCell(NamedTuple):
    """An accuracy as a fraction, None where there is none. `own`: the task trained last."""

    value: float | None
    own: bool


class MatrixLine(NamedTuple):
    """A model on every task."""

    label: str
    cells: tuple[MatrixCell, ...]


def matrix_plot(
    lines: Sequence[MatrixLine],
    tasks: Sequence[str],
    *,
    floor: float,
    alt: str,
    name: str,
    title: str,
) -> Drawing:
    """Models × tasks, accuracy in percent.

    The shades are cividis (Nuñez, Anderton & Renslow 2018, PLoS ONE 13, e0199239), light to dark:
    evenly spaced to the eye with and without colour vision deficiency, and in grey print.

    Args:
        lines: at least one.
        tasks: the columns.
        floor: the accuracy of the lightest shade, a fraction; 1 is the darkest.
        alt, name, title: see `figures.drawn`.
    """
    shades = colormaps["cividis_r"]
    turned = any(len(task) > _SHORT_LETTERS for task in tasks) and len(tasks) > 3
    height = 0.55 + (1.0 if turned else 0.0) + _CELL_HEIGHT * len(lines)
    with rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        for y, line in enumerate(lines):
            for x, cell in enumerate(line.cells):
                if cell.value is None:
                    axes.text(x, y, "–", ha="center", va="center", color=_QUIET, fontsize=8)
                    continue
                share = (cell.value - floor) / (1 - floor) if floor < 1 else 1.0
                axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fc=shades(share), ec="white"))
                axes.text(
                    x,
                    y,
                    f"{100 * cell.value:.1f}",
                    ha="center",
                    va="center",
                    color="white" if share > 0.53 else "black",
                    fontsize=8,
                )
                if cell.own:
                    frame = Rectangle((x - 0.45, y - 0.42), 0.9, 0.84, fc="none", ec=_OWN, lw=1.6)
                    axes.add_patch(frame)
        axes.set_xlim(-0.5, len(tasks) - 0.5)
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.set_yticks(range(len(lines)), [_clip(line.label, _MODEL_LETTERS) for line in lines])
        axes.set_xticks(
            range(len(tasks)),
            [_clip(task, _TASK_LETTERS) for task in tasks],
            rotation=40 if turned else 0,
            ha="left" if turned else "center",
            rotation_mode="anchor",
        )
        axes.xaxis.tick_top()
        axes.tick_params(length=0, labelcolor=_INK, labelsize=8)
        for side in axes.spines.values():
            side.set_visible(False)
        return drawn(figure, name=name, title=title, alt=alt)


def _clip(label: str, letters: int) -> str:
    """The end of a chain tells models apart, so a long name loses its middle."""
    if len(label) <= letters:
        return label
    head = (letters - 1) // 2
    return f"{label[:head]}…{label[head + 1 - letters :]}"
