"""The accuracy matrix of the report: a table in the page, and figures beside it."""

from collections.abc import Iterator
from statistics import fmean
from typing import NamedTuple

from forgetscope.analysis.figures import Drawing
from forgetscope.analysis.figures_matrix import MatrixCell, MatrixLine, matrix_plot
from forgetscope.app.pages import chain_text, percent
from forgetscope.core.steps import task_of
from forgetscope.schema.results import Results

__all__ = ["HeatMap", "heat_map", "matrix_figures"]

_LINES, _COLUMNS = 24, 8
"""Models and tasks in one figure; more are several figures, each readable on a sheet."""


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


class HeatMap(NamedTuple):
    """Accuracies averaged over seeds, an entry for each task; `floor` is the lightest shade."""

    models: tuple[_Model, ...]
    floor: float


def heat_map(results: Results) -> HeatMap:
    """Every model on every task."""
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
    return HeatMap(models, floor)


def _entry(
    chain: tuple[str, ...], task: str, values: list[float | None] | None, floor: float
) -> _Entry:
    own = bool(chain) and task_of(chain[-1]) == task
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


def matrix_figures(results: Results, table: HeatMap) -> Iterator[Drawing]:
    """The table as figures, for papers and slides: the page has the numbers already."""
    tasks = [task.id for task in results.tasks]
    blocks = [
        (rows, columns)
        for rows in _even(len(table.models), _LINES)
        for columns in _even(len(tasks), _COLUMNS)
    ]
    mean = f", mean over {len(results.seeds)} seeds" if len(results.seeds) > 1 else ""
    for i, (rows, columns) in enumerate(blocks, start=1):
        lines = [
            MatrixLine(
                chain_text(model.chain),
                tuple(MatrixCell(entry.value, entry.own) for entry in model.entries[columns]),
            )
            for model in table.models[rows]
        ]
        said = "; ".join(
            f"{line.label}: "
            + ", ".join(
                f"{task} {percent(cell.value)}"
                for task, cell in zip(tasks[columns], line.cells, strict=True)
            )
            for line in lines
        )
        part = f", part {i} of {len(blocks)}" if len(blocks) > 1 else ""
        yield matrix_plot(
            lines,
            tasks[columns],
            floor=table.floor,
            alt=f"Accuracy in percent{mean}; an outline marks the task that was trained last. "
            f"{said}.",
            name=f"accuracy{i if part else ''}",
            title=f"Accuracy of every model on every task{mean}{part}",
        )


def _even(count: int, most: int) -> list[slice]:
    """Parts of nearly the same size, none larger than `most`."""
    parts = max(1, -(-count // most))
    size = -(-count // parts)
    return [slice(start, start + size) for start in range(0, count, size)]
