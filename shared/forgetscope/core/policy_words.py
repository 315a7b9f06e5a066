"""The outcome of an audit in words. Pure."""

from collections.abc import Iterator, Sequence
from datetime import date

from forgetscope.core.policy import waiver_of
from forgetscope.schema.audit import AuditOutcome, AuditRow, PowerNeed
from forgetscope.schema.policy import Policy, Waiver

__all__ = ["need_line", "row_title", "summary_of", "waived_line"]

_NAMED = 8
"""Rows that get a sentence of their own; the table has all."""


def row_title(row: AuditRow) -> str:
    """What a row is about: "toxigen", "toxigen, group muslim, beyond the task"."""
    title = row.task if row.group is None else f"{row.task}, group {row.group}"
    return f"{title}, beyond the task" if row.what == "biased" else title


def waived_line(waiver: Waiver) -> str:
    """Why a breach is accepted, by whom, and until when."""
    reason = waiver.reason.rstrip(".")
    return f"{reason} (approved by {waiver.approved_by}, until {waiver.expires.isoformat()})"


def need_line(need: PowerNeed) -> str:
    """The size that would decide a row, or why none would."""
    if need.items is None:
        return need.reason
    return f"about {need.items} items in {need.clusters} clusters would decide it, {need.reason}"


def summary_of(
    policy: Policy,
    outcome: AuditOutcome,
    rows: Sequence[AuditRow],
    missing: Sequence[str],
    *,
    judged_on: date,
) -> tuple[str, ...]:
    """The outcome, then what led to it, then what else must be known; a sentence each."""
    return (
        _headline(policy, outcome, rows, missing),
        *(f"The required task {task} is missing." for task in missing),
        *_breaches(rows),
        *_open(rows),
        *_waivers(policy, rows, judged_on),
    )


def _headline(
    policy: Policy, outcome: AuditOutcome, rows: Sequence[AuditRow], missing: Sequence[str]
) -> str:
    blocking = [row for row in rows if row.tier == "block"]
    bad = sum(row.verdict == "breach" and row.waived is None for row in blocking)
    unclear = sum(row.verdict == "underpowered" for row in blocking)
    of = f"of {len(blocking)} numbers of tier block"
    if outcome == "breach":
        parts = [f"{bad} {of} breached"] if bad else []
        parts += [f"{len(missing)} required tasks missing"] if missing else []
        return f"Breach of the policy {policy.name}: {', '.join(parts)}."
    if outcome == "underpowered":
        return (
            f"Not decided under the policy {policy.name}: {unclear} {of} could not be judged, none "
            "is shown to be breached."
        )
    but = f", {unclear} could not be judged, which this policy only warns of" if unclear else ""
    passed = sum(row.verdict == "pass" for row in blocking)
    return f"Passed under the policy {policy.name}: {passed} {of} are within their margins{but}."


def _breaches(rows: Sequence[AuditRow]) -> Iterator[str]:
    found = [row for row in rows if row.verdict == "breach"]
    for row in found[:_NAMED]:
        said = (
            f"{row_title(row)}: {_points(row.estimate.value)} points lost "
            f"({_points(row.estimate.low)} to {_points(row.estimate.high)}), margin "
            f"{_points(row.margin)}"
        )
        if row.waived is not None:
            yield f"{said}; waived: {row.waived}."
        elif row.tier == "block":
            yield f"{said}."
        else:
            yield f"{said}; tier {row.tier}, which does not fail the audit."
    if len(found) > _NAMED:
        yield f"{len(found) - _NAMED} more are breached."


def _open(rows: Sequence[AuditRow]) -> Iterator[str]:
    found = [row for row in rows if row.verdict == "underpowered" and row.tier != "inform"]
    for row in found[:_NAMED]:
        tail = "" if row.need is None else f"; {need_line(row.need)}"
        yield f"{row_title(row)} could not be judged: {row.reason}{tail}."
    if len(found) > _NAMED:
        yield f"{len(found) - _NAMED} more could not be judged."


def _waivers(policy: Policy, rows: Sequence[AuditRow], judged_on: date) -> Iterator[str]:
    """Those that have run out where they would be needed."""
    broken = dict.fromkeys((row.task, row.group) for row in rows if row.verdict == "breach")
    for task, group in broken:
        _, expired = waiver_of(policy, task, group, judged_on)
        if expired is not None:
            of = task if group is None else f"{task}, group {group},"
            yield f"The waiver for {of} expired on {expired.expires.isoformat()}."


def _points(fraction: float | None) -> str:
    """0.0512 → "5.1": percentage points."""
    if fraction is None:
        return "–"
    text = f"{100 * fraction:.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")
