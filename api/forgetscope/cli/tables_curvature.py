"""Curvature and the loss change of each chain as tables for the terminal."""

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from forgetscope.cli.words import chain_name
from forgetscope.core.convergence import Unsettled, unsettled
from forgetscope.schema.curvature import CurvatureRow, DisplacementRow, Iterated
from forgetscope.schema.results import Results

__all__ = ["curvature_tables", "unsettled_table"]


def curvature_tables(results: Results) -> Iterator[Table]:
    """Spectral radii; what has not converged and why; loss changes beside what was predicted."""
    if results.curvature:
        yield _radii(results.curvature)
    open_ = unsettled(results.curvature, results.displacement)
    if open_:
        yield unsettled_table(open_)
    whole = [row for row in results.displacement if row.group is None]
    if whole:
        yield _changes(whole)


def _radii(rows: tuple[CurvatureRow, ...]) -> Table:
    table = Table(
        title="Curvature: spectral radius of the loss on the last task's own examples",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("trained on", overflow="fold")
    for name in ("seed", "radius λ", "largest λ", "loss", "verdict"):
        table.add_column(name, justify="right")
    for row in rows:
        for s in row.spectra:
            table.add_row(
                escape(chain_name(row.chain)),
                str(row.seed),
                _iterated(s.radius),
                _iterated(s.largest[0]),
                f"{s.loss:.3g}",
                (s.radius.verdict or "")
                + ("\nbfloat16: screening only" if s.dtype == "bfloat16" else ""),
            )
    return table


def unsettled_table(found: tuple[Unsettled, ...]) -> Table:
    """Reasons, each with the numbers that have not converged for it."""
    table = Table(
        title="Not converged: why, and what to do",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("numbers", overflow="fold")
    table.add_column("why", overflow="fold")
    for one in found:
        table.add_row(escape("\n".join(one.numbers)), escape(one.why))
    return table


def _changes(rows: list[DisplacementRow]) -> Table:
    table = Table(
        title="Change of the loss at the end of the chain; the local bound can be violated",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("chain", overflow="fold")
    table.add_column("task", overflow="fold")
    for name in ("seed", "measured", "predicted", "local bound"):
        table.add_column(name, justify="right")
    for row in rows:
        bound = "–" if row.local_bound.value is None else f"{row.local_bound.value:.3g}"
        table.add_row(
            escape(chain_name(row.chain)),
            escape(row.task),
            str(row.seed),
            f"{row.result.change:+.3g}",
            _iterated(row.result.prediction),
            f"[bold red]{bound} violated[/]" if row.exceeded else bound,
        )
    return table


def _iterated(found: Iterated) -> str:
    return "–" if found.value is None else f"{found.value:+.3g}"
