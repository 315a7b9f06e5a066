"""A policy in plain words, for its review. Pure."""

from collections.abc import Iterator
from datetime import date, timedelta

from forgetscope.schema.policy import GroupRule, Policy, TaskRule, Tier, Waiver

__all__ = ["explain"]

SOON = timedelta(days=14)  # notice that a waiver ends [own choice]
TIERS: dict[Tier, str] = {
    "block": "A breach fails the audit.",
    "warn": "A breach is told; the audit passes.",
    "inform": "A breach is only shown; the audit passes.",
}


def explain(policy: Policy, *, today: date) -> tuple[str, ...]:
    """Sentences; those that begin with two blanks belong to the one above. Margins are said in
    percentage points."""
    return tuple(_sentences(policy, today))


def _sentences(policy: Policy, today: date) -> Iterator[str]:
    undecided = (
        "fails, with exit code 2" if policy.underpowered == "fail" else "passes, with a warning"
    )
    yield f"Policy {policy.name!r} judges {_count(len(policy.tasks), 'task')}."
    yield (
        f"The intervals of all rows of one tier hold together with confidence "
        f"{100 * policy.confidence:g} %."
    )
    yield f"An audit with a row of tier block that cannot be judged {undecided}."
    if not any("block" in _tiers(rule) for rule in policy.tasks):
        yield "Nothing is of tier block: no loss fails an audit."
    for rule in policy.tasks:
        yield from _task(rule)
    for waiver in policy.waivers:
        yield _waiver(waiver, today)
    if not policy.waivers:
        yield "Nothing is waived."


def _tiers(rule: TaskRule) -> set[Tier]:
    return {rule.tier, *(group.tier for group in rule.groups.values() if group.tier is not None)}


def _task(rule: TaskRule) -> Iterator[str]:
    absent = "An audit without it fails." if rule.required else "It may be absent."
    yield f"Task {rule.task}: {absent} {TIERS[rule.tier]}"
    yield f"  As a whole it may lose up to {_points(rule.margin)}."
    if rule.group_margin is not None:
        yield f"  Each group may lose up to {_points(rule.group_margin)}."
    if rule.biased_margin is not None:
        yield f"  Each group may lose up to {_points(rule.biased_margin)} more than the task."
    if rule.group_margin is None and rule.biased_margin is None:
        others = "The other groups" if rule.groups else "Groups"
        yield f"  {others} are not judged: neither group_margin nor biased_margin is set."
    for name, group in rule.groups.items():
        yield f"  Group {name}: {_group(group, rule)}."
    if rule.relative is not None:
        yield (
            f"  Guard for low baselines: no more than {100 * rule.relative:g} % of what the "
            "reference has above chance may be lost, where that is less than the margin."
        )
    yield (
        f"  Nothing is judged below {_count(rule.min_items, 'item')} or "
        f"{_count(rule.min_clusters, 'cluster')}, or with more than "
        f"{100 * rule.max_unscored:g} % unscored."
    )


def _group(group: GroupRule, rule: TaskRule) -> str:
    parts = []
    margin = group.margin if group.margin is not None else rule.group_margin
    biased = group.biased_margin if group.biased_margin is not None else rule.biased_margin
    if margin is not None:
        parts.append(f"may lose up to {_points(margin)}")
    if biased is not None:
        parts.append(f"may lose up to {_points(biased)} more than the task")
    if not parts:
        parts.append("is not judged: it has no margin")
    if group.tier is not None:
        parts.append(f"is of tier {group.tier}")
    return ", ".join(parts)


def _waiver(waiver: Waiver, today: date) -> str:
    whom = "the task as a whole" if waiver.group is None else f"group {waiver.group}"
    left = waiver.expires - today
    if left < timedelta(0):
        state = f"expired on {waiver.expires}; it accepts nothing any more"
    elif left <= SOON:
        state = f"ends on {waiver.expires}, in {_count(left.days, 'day')}"
    else:
        state = f"holds until {waiver.expires}"
    return (
        f"Waiver for {whom} of {waiver.task}: {state}. Reason: {waiver.reason} "
        f"(approved by {waiver.approved_by})"
    )


def _points(share: float) -> str:
    number = f"{round(100 * share, 4):g}"
    return f"{number} point" if number == "1" else f"{number} points"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
