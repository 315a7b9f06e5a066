"""The results of an audit in the terminal. Pure."""

from rich.markup import escape
from rich.table import Table

from forgetscope.cli.words import points
from forgetscope.core.audit_outputs.cases import ORDER, Standing, standing
from forgetscope.schema.audit import AuditResults, AuditRow

__all__ = ["audit_table"]

MARKS: dict[Standing, str] = {
    "failed": "[bold red]fails[/]",
    "undecided": "[yellow]undecided[/]",
    "tolerated": "[yellow]tolerated[/]",
    "passed": "[green]pass[/]",
}
WHAT = {"loss": "lost", "biased": "lost beyond the task"}


def audit_table(results: AuditResults) -> Table:
    """A row for each judged number, the worst first. The summary of the results says why."""
    table = Table(title="Points of accuracy that the candidate lost", header_style="bold")
    for name in ("task", "group", "what", "points", "margin", "items", "verdict"):
        right = name in ("points", "margin", "items")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    policy = results.policy
    for row in sorted(results.rows, key=lambda row: ORDER.index(standing(row, policy))):
        table.add_row(
            escape(row.task),
            "all items" if row.group is None else escape(row.group),
            WHAT[row.what],
            escape(points(row.estimate)),
            "–" if row.margin is None else f"{100 * row.margin:.1f}",
            str(row.items),
            _verdict(row, standing(row, policy)),
        )
    return table


def _verdict(row: AuditRow, how: Standing) -> str:
    if how != "tolerated":
        return MARKS[how]
    return f"{MARKS[how]}: {row.verdict}, {'waived' if row.waived is not None else row.tier}"
