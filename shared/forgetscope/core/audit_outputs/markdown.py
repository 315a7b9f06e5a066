"""An audit as Markdown for a pull request: the verdict first, then what did not pass. Pure."""

import re
from collections.abc import Iterable, Iterator

from forgetscope.core.audit_outputs.cases import (
    ORDER,
    WHAT,
    Case,
    cases,
    heading,
    points,
    standing,
    why_tolerated,
)
from forgetscope.core.policy_words import need_line
from forgetscope.schema.audit import AuditResults, AuditRow

__all__ = ["LIMIT", "markdown", "plain"]

LIMIT = 60_000
"""Characters: a comment on GitHub holds 65,536; the rest is room for what a workflow adds."""

SHOWN = 400  # characters of one cell or sentence; the JSON has all of them
HEAD = (
    "| task | group | what | points | margin | noise floor | items | verdict | why |",
    "|---|---|---|--:|--:|--:|--:|---|---|",
)
MARKS = {"failed": "**fails**", "undecided": "**undecided**", "tolerated": "tolerated"}
# These stand for themselves. Not what begins a list ("1. a", "1) a", "- a", "+ a"), a link
# ("www.a", "http:"), emphasis or an emoji.
BARE = re.compile(
    r"[^\W_]|[ ,;%(=–…]|(?<=\w)-|(?<=[^\W_])_(?=[^\W_])|[+-](?=\d)|(?<!\d)\)|:(?=\s)"
    r"|\.(?=\d)|(?<!\d)\.(?=\s|$)"
)
JOINER = "\u2060"  # has no width; keeps @ and # from naming a person or an issue


def markdown(results: AuditResults, *, limit: int = LIMIT) -> str:
    """At most `limit` characters: rows that do not fit are counted instead, best ones first."""
    head = list(_head(results))
    foot = list(_foot(results))
    rows = list(_rows(results))
    room = limit - sum(len(line) + 1 for line in head + foot) - 200
    kept: list[str] = []
    for row in rows:
        room -= len(row) + 1
        if room < 0:
            break
        kept.append(row)
    table = [*HEAD, *kept] if rows else ["No row was judged."]
    if len(kept) < len(rows):
        table += ["", f"{len(rows) - len(kept)} of {len(rows)} rows do not fit in here."]
    return "\n".join([*head, *table, *foot])[:limit] + "\n"


def _head(results: AuditResults) -> Iterator[str]:
    yield f"## {heading(results)}"
    yield ""
    yield f"{plain(results.name)}, policy {plain(results.policy.name)}, {results.judged_on}"
    yield ""
    for sentence in results.summary[:20]:
        yield f"- {plain(sentence)}"
    yield ""


def _foot(results: AuditResults) -> Iterable[str]:
    return (
        "",
        "Points are percentage points of accuracy that the candidate lost, with intervals that "
        f"hold together at {100 * results.policy.confidence:g} % within a tier.",
        "",
        f"Reference `{results.reference.fingerprint[:12]}`{_baseline(results)}, candidate "
        f"`{results.candidate.fingerprint[:12]}`, policy `{results.policy_digest[:12]}`, engine "
        f"{plain(results.engine)}.",
    )


def _baseline(results: AuditResults) -> str:
    used = results.reference.baseline
    return "" if used is None else f" (baseline {plain(used.name)}: audit `{used.audit}`)"


def _rows(results: AuditResults) -> Iterator[str]:
    found = [(case, row) for case in cases(results) for row in case.rows]
    for case, row in sorted(found, key=lambda p: ORDER.index(standing(p[1], results.policy))):
        yield "| " + " | ".join(_cells(case, row, results)) + " |"


def _cells(case: Case, row: AuditRow, results: AuditResults) -> Iterator[str]:
    how = standing(row, results.policy)
    yield plain(case.task)
    yield plain(case.name)
    yield WHAT[row.what]
    yield plain(points(row.estimate))
    yield "–" if row.margin is None else f"{100 * row.margin:.1f}"
    yield "–" if row.noise_floor is None else f"{100 * row.noise_floor:.1f}"
    yield f"{row.items}"
    yield row.verdict if how == "passed" else f"{MARKS[how]} ({row.verdict})"
    why = row.reason
    if how == "tolerated":
        why = f"{why_tolerated(row)}; {why}"
    if row.need is not None and row.need.items is not None:
        why += f"; {need_line(row.need)}"
    yield plain(why)


def plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line, shortened where it is very long."""
    whole = " ".join(text.split())
    if len(whole) > SHOWN:
        whole = whole[: SHOWN - 1] + "…"
    return "".join(
        c if BARE.match(whole, place) else f"&#{ord(c)};" + (JOINER if c in "@#" else "")
        for place, c in enumerate(whole)
    )
