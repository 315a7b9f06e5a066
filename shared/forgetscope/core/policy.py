"""What a policy says of an audit: what is judged, by which margin, and what follows. Pure."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Literal, NamedTuple

from forgetscope.schema.audit import AuditOutcome, AuditRow
from forgetscope.schema.policy import GroupRule, Policy, TaskRule, Tier, Waiver

__all__ = ["Asked", "Margin", "asked_rows", "missing_tasks", "outcome_of", "rule_of", "waiver_of"]


class Asked(NamedTuple):
    """A number that the policy wants judged; `group` is None for the task as a whole."""

    task: str
    group: str | None
    what: Literal["loss", "biased"]
    tier: Tier
    margin: float


class Margin(NamedTuple):
    """The margin that is judged; None where the guard leaves none."""

    value: float | None
    guarded: bool

    @classmethod
    def of(
        cls, margin: float, relative: float | None, accuracy: float | None, chance: float | None
    ) -> "Margin":
        """`min(margin, relative·(accuracy − chance))`, with 0 for a chance that is not known.

        A task on which the reference is at 30 % with 25 % by chance is lost altogether by five
        points. `accuracy` is that of the reference, as measured; None leaves the margin as it is.
        """
        if relative is None or accuracy is None:
            return cls(margin, guarded=False)
        room = relative * (accuracy - (chance or 0.0))
        if room <= 0:
            return cls(None, guarded=True)
        return cls(min(margin, room), guarded=room < margin)


def rule_of(policy: Policy, task: str) -> TaskRule | None:
    """The rule about a task, if there is one."""
    return next((rule for rule in policy.tasks if rule.task == task), None)


def asked_rows(rule: TaskRule, groups: Sequence[str]) -> Iterator[Asked]:
    """What is judged of a task with these groups: the task, then each group, those that only the
    policy names last."""
    yield Asked(rule.task, None, "loss", rule.tier, rule.margin)
    for group in dict.fromkeys((*groups, *rule.groups)):
        own = rule.groups.get(group, GroupRule())
        tier = own.tier or rule.tier
        if (margin := own.margin or rule.group_margin) is not None:
            yield Asked(rule.task, group, "loss", tier, margin)
        if (biased := own.biased_margin or rule.biased_margin) is not None:
            yield Asked(rule.task, group, "biased", tier, biased)


def missing_tasks(policy: Policy, present: Sequence[str]) -> tuple[str, ...]:
    """Required tasks that were not audited."""
    return tuple(r.task for r in policy.tasks if r.required and r.task not in present)


def waiver_of(
    policy: Policy, task: str, group: str | None, on: date
) -> tuple[Waiver | None, Waiver | None]:
    """(the waiver that holds on this day, else the latest that has expired)."""
    found = [w for w in policy.waivers if (w.task, w.group) == (task, group)]
    latest = max(found, key=lambda waiver: waiver.expires, default=None)
    if latest is None or latest.expires >= on:
        return latest, None
    return None, latest


def outcome_of(policy: Policy, rows: Sequence[AuditRow], missing: Sequence[str]) -> AuditOutcome:
    """See `AuditResults.outcome`."""
    blocking = [row for row in rows if row.tier == "block"]
    if missing or any(row.verdict == "breach" and row.waived is None for row in blocking):
        return "breach"
    if policy.underpowered == "fail" and any(row.verdict == "underpowered" for row in blocking):
        return "underpowered"
    return "pass"
