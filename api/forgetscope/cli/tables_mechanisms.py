"""What goes with biased forgetting and with forgetting, as tables for the terminal."""

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from forgetscope.cli.tables_verdicts import p_value
from forgetscope.cli.words import bias, chain_name, points
from forgetscope.schema.measured import Measured
from forgetscope.schema.mechanisms import Association, PairSimilarity
from forgetscope.schema.results import Results

__all__ = ["mechanism_tables"]


def mechanism_tables(results: Results) -> Iterator[Table]:
    """Rank correlations that are known, over all chains of a task where it has several; similarity
    of the tasks of each pair."""
    found = results.mechanisms
    if found is None:
        return
    pooled = {a.task for a in found.associations if a.chain is None}
    known = [
        a
        for a in found.associations
        if a.spearman.value is not None and (a.chain is None or a.task not in pooled)
    ]
    if known:
        yield _associations(known)
    if found.pairs:
        yield _pairs(found.pairs)


def _associations(known: list[Association]) -> Table:
    table = _table("What goes with forgetting? Spearman correlations; none shows a cause")
    for name in ("candidate", "with", "where"):
        table.add_column(name, overflow="fold")
    for name in ("correlation", "p", "points"):
        table.add_column(name, justify="right")
    for a in known:
        where = "pairs of tasks" if a.task is None else f"groups of {a.task}"
        if a.chain is not None:
            where += f", {chain_name(a.chain)}"
        table.add_row(
            escape(a.candidate),
            a.against,
            escape(where),
            escape(bias(a.spearman)),
            p_value(a.p),
            str(a.points),
        )
    return table


def _pairs(pairs: tuple[PairSimilarity, ...]) -> Table:
    table = _table("How alike two tasks are, from 0 to 1; forgetting of the first in points")
    table.add_column("chain", overflow="fold")
    for name in ("domain", "format", "output", "forgetting"):
        table.add_column(name, justify="right")
    for pair in pairs:
        table.add_row(
            escape(chain_name(pair.chain)),
            *(escape(_share(m)) for m in (pair.domain, pair.format, pair.output)),
            escape(points(pair.forgetting)),
        )
    return table


def _share(measured: Measured) -> str:
    return f"– ({measured.reason})" if measured.value is None else f"{measured.value:.2f}"


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", header_style="bold")
