"""Rows of an audit as cases, a task or one group of it, and what each says. Pure."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from forgetscope.core.policy_words import need_line
from forgetscope.schema.audit import AuditResults, AuditRow
from forgetscope.schema.measured import Measured
from forgetscope.schema.policy import Policy

__all__ = [
    "ORDER",
    "WHAT",
    "Case",
    "Standing",
    "cases",
    "heading",
    "line",
    "points",
    "standing",
    "why_tolerated",
]

Standing = Literal["failed", "undecided", "tolerated", "passed"]
"""failed and undecided keep an audit from passing; tolerated did not pass, and the policy accepts
that. The order is from worst to best."""

ORDER: tuple[Standing, ...] = ("failed", "undecided", "tolerated", "passed")
WHAT = {"loss": "accuracy lost", "biased": "lost beyond the task's loss"}
OUTCOMES = {
    "pass": "passed",
    "breach": "failed: the policy is breached",
    "underpowered": "undecided: the data cannot show that the policy is kept",
}


class Case(NamedTuple):
    """A task as a whole (`group` is None) or one of its groups, with every row about it."""

    task: str
    group: str | None
    rows: tuple[AuditRow, ...]
    standing: Standing

    @property
    def name(self) -> str:
        """The group, or what stands for all of them."""
        return "all items" if self.group is None else self.group


def cases(results: AuditResults) -> tuple[Case, ...]:
    """Every task and group that was judged, in the order of the rows."""
    found: dict[tuple[str, str | None], list[AuditRow]] = {}
    for row in results.rows:
        found.setdefault((row.task, row.group), []).append(row)
    return tuple(
        Case(
            task,
            group,
            tuple(rows),
            min((standing(row, results.policy) for row in rows), key=ORDER.index),
        )
        for (task, group), rows in found.items()
    )


def standing(row: AuditRow, policy: Policy) -> Standing:
    """What a row does to its audit."""
    if row.verdict == "pass":
        return "passed"
    if row.tier != "block" or row.waived is not None:
        return "tolerated"
    if row.verdict == "breach":
        return "failed"
    return "undecided" if policy.underpowered == "fail" else "tolerated"


def why_tolerated(row: AuditRow) -> str:
    """Why a row that did not pass does not keep the audit from passing."""
    if row.waived is not None:
        return f"waived: {row.waived}"
    if row.tier == "block":
        return "the policy lets pass what cannot be judged"
    return f"tier {row.tier}"


def heading(results: AuditResults) -> str:
    """The verdict of the whole audit in a few words."""
    return f"ForgetScope audit {OUTCOMES[results.outcome]}"


def line(row: AuditRow) -> str:
    """Everything about a row in one line of words."""
    return "; ".join(_parts(row))


def _parts(row: AuditRow) -> Iterator[str]:
    margin = "no margin" if row.margin is None else f"margin {100 * row.margin:.1f}"
    guarded = " after the relative guard" if row.guarded else ""
    yield f"{WHAT[row.what]}: {points(row.estimate)} points, {margin}{guarded}"
    yield f"{row.items} items in {row.clusters} clusters, {row.unscored} unscored"
    yield f"{row.verdict}: {row.reason}"
    if row.need is not None:
        yield need_line(row.need)
    if row.noise_floor is not None:
        yield f"noise floor {100 * row.noise_floor:.1f} points"


def points(measured: Measured) -> str:
    """A fraction in percentage points with its interval, or why there is none."""
    if measured.value is None:
        return f"– ({measured.reason})"
    text = f"{100 * measured.value:+.1f}"
    if measured.low is not None and measured.high is not None:
        text += f" [{100 * measured.low:+.1f}, {100 * measured.high:+.1f}]"
    return text
