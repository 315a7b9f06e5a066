"""The comparison of two experiments as a CSV table, for spreadsheets and statistics programs."""

import csv
import io
from collections.abc import Iterator

from forgetscope.schema.compare import Compared, ComparedRow, ComparedVerdict, Comparison

__all__ = ["render"]

_HEADER = (
    *("chain", "task", "position", "group", "number", "same_items"),
    *("one", "one_low", "one_high", "other", "other_low", "other_high", "difference"),
    *("one_verdict", "other_verdict"),
)


def render(comparison: Comparison) -> str:
    """A line for each number of each row of the forgetting table, and of each of its groups."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    for row in comparison.rows:
        place = (" > ".join(row.chain), row.task, row.position)
        for group, number, compared, verdict in _numbers(row):
            judged = (verdict.one.verdict, verdict.other.verdict) if verdict else ("", "")
            ends = [
                end
                for side in (compared.one, compared.other)
                for end in (side.value, side.low, side.high)
            ]
            writer.writerow(
                [
                    *(*place, _text(group), number, str(row.same_items).lower()),
                    *(*ends, compared.difference.value),
                    *judged,
                ]
            )
    return text.getvalue()


def _numbers(row: ComparedRow) -> Iterator[tuple[str, str, Compared, ComparedVerdict | None]]:
    """(group, name, number, the verdict on it)."""
    yield "", "before", row.before, None
    yield "", "after", row.after, None
    yield "", "forgetting", row.forgetting, row.verdict
    for group in row.groups:
        yield group.group, "forgetting", group.forgetting, None
        yield group.group, "biased forgetting", group.biased, group.verdict


def _text(value: str) -> str:
    """Spreadsheets run a cell that begins like a formula; an apostrophe makes it text."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
