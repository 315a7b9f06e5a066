"""Verdicts, groups, transfer and agreement as tables for the terminal."""

from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from rich.markup import escape
from rich.table import Table

from forgetscope.cli.words import chain_name, points
from forgetscope.schema.results import ChainForgetting, Measured, Results
from forgetscope.schema.verdicts import Agreement, Judged, VerdictWord

__all__ = [
    "VERDICT_LOOKS",
    "agreement_tables",
    "group_tables",
    "p_value",
    "verdict_table",
    "verdict_text",
]

_ORDER: tuple[VerdictWord, ...] = ("breach", "pass", "underpowered")
VERDICT_LOOKS: Mapping[str, str] = MappingProxyType(
    {
        "breach": "[bold red]▲ breach[/]",
        "pass": "[blue]▼ pass[/]",
        "underpowered": "[dim]● underpowered[/]",
    }
)


def verdict_text(judged: Judged) -> str:
    """A shape, a colour and the word, in rich markup."""
    return VERDICT_LOOKS[judged.verdict]


def p_value(p: Measured) -> str:
    """ "0.034", "< 0.001", or a dash."""
    if p.value is None:
        return "–"
    return "< 0.001" if p.value < 0.001 else f"{p.value:.3f}"


def verdict_table(results: Results) -> Table:
    """How many verdicts of each kind, and what breaches."""
    table = _table("Verdicts")
    table.add_column("about", overflow="fold")
    table.add_column("margin", justify="right")
    for name in _ORDER:
        table.add_column(name, justify="right")
    table.add_column("breach", overflow="fold")
    tasks = [(chain_name(f.chain), f.task, f.verdict) for f in results.forgetting]
    _count(
        table,
        "forgetting of tasks",
        results.settings.forgetting_margin,
        [(f"{task} after {chain}", judged) for chain, task, judged in tasks],
    )
    groups = [(f"{g.group} in {f.task}", g.verdict) for f in results.forgetting for g in f.groups]
    if groups:
        _count(table, "biased forgetting of groups", results.settings.biased_margin, groups)
    return table


def _count(table: Table, about: str, margin: float, verdicts: list[tuple[str, Judged]]) -> None:
    found = Counter(judged.verdict for _, judged in verdicts)
    named = [name for name, judged in verdicts if judged.verdict == "breach"]
    table.add_row(
        about,
        f"{100 * margin:g}",
        *(str(found[name]) for name in _ORDER),
        escape(", ".join(dict.fromkeys(named))) or "–",
    )


def group_tables(results: Results) -> Iterator[Table]:
    """One table for each row of the forgetting table that has groups."""
    yield from (_groups(f, results) for f in results.forgetting if f.groups)


def _groups(f: ChainForgetting, results: Results) -> Table:
    table = _table(
        f"Biased forgetting of {f.task} after {chain_name(f.chain)}, in points: "
        f"a group's forgetting minus that of all; simultaneous "
        f"{100 * results.settings.confidence:g} % intervals, "
        f"margin {100 * results.settings.biased_margin:g}"
    )
    table.add_column("group", overflow="fold")
    for name in ("items", "forgetting", "biased forgetting", "p"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for group in f.groups:
        table.add_row(
            escape(group.group),
            str(group.items),
            escape(points(group.forgetting)),
            escape(points(group.simultaneous)),
            p_value(group.p_adjusted),
            "[dim]○ too small to judge[/]" if group.too_small else verdict_text(group.verdict),
        )
    return table


def agreement_tables(results: Results) -> Iterator[Table]:
    """Transfer of every chain, and whether groups rank alike over the pairs."""
    if results.transfer:
        yield _transfer(results)
    known = [found for found in results.consistency if found.kendall_w.value is not None]
    if known:
        yield _agreement(known)


def _transfer(results: Results) -> Table:
    seeds = len(results.seeds)
    of = "" if seeds == 1 else f", mean of {seeds} seeds"
    table = _table(f"Transfer{of}: mean accuracy in percent, transfer in points (positive: helped)")
    table.add_column("chain", overflow="fold")
    for name in ("ACC", "BWT", "FWT"):
        table.add_column(name, justify="right")
    for chain in results.chains:
        # The mean of all seeds comes last; a single seed is its own.
        *_, row = (row for row in results.transfer if row.chain == chain)
        table.add_row(
            escape(chain_name(chain)),
            _with_interval(row.acc, ".1f"),
            _with_interval(row.bwt, "+.1f"),
            _with_interval(row.fwt, "+.1f"),
        )
    return table


def _with_interval(measured: Measured, form: str) -> str:
    if measured.value is None:
        return escape(f"– ({measured.reason})")
    text = format(100 * measured.value, form)
    if measured.low is None or measured.high is None:
        return escape(f"{text} ({measured.interval_reason})")
    return f"{text} ({format(100 * measured.low, form)} to {format(100 * measured.high, form)})"


def _agreement(known: list[Agreement]) -> Table:
    table = _table("Do groups rank alike over the pairs, by biased forgetting?")
    table.add_column("first task", overflow="fold")
    for name in ("pairs", "groups", "Kendall's W", "p by first stage", "p by pair", "Spearman"):
        table.add_column(name, justify="right")
    for found in known:
        table.add_row(
            "all" if found.task is None else escape(found.task),
            str(len(found.pairs)),
            str(len(found.groups)),
            f"{found.kendall_w.value:.2f}",
            p_value(found.by_first_stage.p),
            p_value(found.by_pair.p),
            "–" if found.spearman.value is None else f"{found.spearman.value:+.2f}",
        )
    return table


def _table(title: str) -> Table:
    return Table(title=escape(title), title_justify="left", title_style="bold", header_style="bold")
