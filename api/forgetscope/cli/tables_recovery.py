"""What mitigations brought back, as a table for the terminal."""

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from forgetscope.cli.words import chain_name, points
from forgetscope.schema.measured import Measured
from forgetscope.schema.recovery import RecoveryRow
from forgetscope.schema.results import Results

__all__ = ["recovery_tables"]


def recovery_tables(results: Results) -> Iterator[Table]:
    """One for each task, position and plain chain; ◆ is on the Pareto front."""
    families: dict[tuple[object, ...], list[RecoveryRow]] = {}
    for row in results.recovery:
        families.setdefault((row.task, row.position, row.mitigated.plain), []).append(row)
    for rows in families.values():
        yield _table(rows)


def _table(rows: list[RecoveryRow]) -> Table:
    first = rows[0]
    stage = f" (stage {first.position})" if len(first.mitigated.plain) > 2 else ""
    table = Table(
        title=escape(
            f"Recovery of {first.task}{stage} after {chain_name(first.mitigated.plain)}, which "
            f"forgets {points(first.forgotten)} points; prices in points (positive: lost)"
        ),
        title_justify="left",
        title_style="bold",
    )
    table.add_column("mitigation", overflow="fold", min_width=14)
    for name in ("recovery %", "still forgotten", "worst biased", "prices", "extra tokens"):
        table.add_column(name, justify="right", overflow="fold")
    for row in rows:
        prices = "\n".join(f"{p.task} {points(p.price)}" for p in row.prices)
        worst = points(row.worst_biased)
        table.add_row(
            escape(f"{'◆ ' if row.front == 'on' else ''}{row.mitigated.variant}"),
            escape(_share(row.recovery)),
            escape(points(row.remaining)),
            escape(worst if row.worst_group is None else f"{row.worst_group} {worst}"),
            escape(prices or "–"),
            f"{row.mitigated.tokens - row.mitigated.plain_tokens:,}",
        )
    return table


def _share(recovery: Measured) -> str:
    if recovery.value is None:
        return f"undefined ({recovery.reason})"
    if recovery.low is None or recovery.high is None:
        return f"{100 * recovery.value:.0f} ({recovery.interval_reason})"
    return f"{100 * recovery.value:.0f} [{100 * recovery.low:.0f}, {100 * recovery.high:.0f}]"
