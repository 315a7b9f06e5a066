"""Numbers and findings in words. Careful ones: an interval that includes 0 shows nothing."""

from typing import NamedTuple

from forgetscope.app.pages import chain_text, interval, level, percent, points, ratio
from forgetscope.schema.results import (
    BbqBiasChange,
    BbqResults,
    ChainForgetting,
    JudgeInfo,
    Measured,
    OrderEffect,
)

__all__ = [
    "Verdict",
    "bbq_coverage",
    "bias_finding",
    "bias_verdict",
    "chain_text",
    "finding",
    "interval",
    "judge_line",
    "level",
    "order_finding",
    "percent",
    "points",
    "ratio",
    "verdict",
]


class Verdict(NamedTuple):
    """What an interval allows to say. `tone` names the mark that goes with the words."""

    tone: str
    words: str


def verdict(measured: Measured, more: str, less: str) -> Verdict:
    """Words for a difference: `more` where the whole interval is above 0, `less` where below."""
    if measured.value is None:
        return Verdict("none", f"undefined: {measured.reason}")
    if measured.low is None or measured.high is None:
        return Verdict("none", f"no interval: {measured.interval_reason}")
    if measured.low > 0:
        return Verdict("more", more)
    if measured.high < 0:
        return Verdict("less", less)
    return Verdict("open", "not shown: the interval includes 0")


def finding(row: ChainForgetting, confidence: float) -> str:
    """One sentence about what a chain did to one of its tasks."""
    place = f"After {chain_text(row.chain)}, accuracy on {row.task}"
    if row.chain.count(row.task) > 1:
        place += f" (trained at stage {row.position})"
    before, after, change = row.before.value, row.after.value, row.forgetting.value
    if before is None or after is None or change is None:
        return f"{place} cannot be compared: {row.forgetting.reason}."
    moved = f"{'fell' if change > 0 else 'rose'} from {percent(before)} to {percent(after)}"
    text = f"{place} {moved if change else f'stayed at {percent(after)}'}"
    return f"{text} ({points(-change)} points, {_interval_of_change(row.forgetting, confidence)})."


def _interval_of_change(forgetting: Measured, confidence: float) -> str:
    """The change in accuracy is forgetting with its sign turned, and so is its interval."""
    if forgetting.low is None or forgetting.high is None:
        return f"no interval: {forgetting.interval_reason}"
    turned = Measured(value=0.0, low=-forgetting.high, high=-forgetting.low)
    shown = "" if forgetting.low > 0 or forgetting.high < 0 else ", which includes 0"
    return f"{level(confidence)} interval {interval(turned)}{shown}"


def order_finding(effect: OrderEffect, confidence: float) -> str:
    """One sentence about which order forgets its first task more."""
    orders = [
        chain_text((effect.safety, effect.capability)),
        chain_text((effect.capability, effect.safety)),
    ]
    measured = effect.effect
    if measured.value is None:
        return f"{orders[0]} and {orders[1]} cannot be compared: {measured.reason}."
    if measured.low is None or measured.high is None:
        return (
            f"{orders[0]} forgets {points(measured.value)} points of its first task compared with "
            f"{orders[1]} (no interval: {measured.interval_reason})."
        )
    tail = f"{level(confidence)} interval {interval(measured)}"
    if measured.low <= 0 <= measured.high:
        return (
            f"No difference between {orders[0]} and {orders[1]} is shown in how much of the first "
            f"task is forgotten ({points(measured.value)} points, {tail}, which includes 0)."
        )
    more, less = orders if measured.value > 0 else orders[::-1]
    size = points(abs(measured.value)).removeprefix("+")
    return (
        f"{more} forgets {size} points more of its first task than {less} does "
        f"(difference safety first − capability first: {tail})."
    )


def bias_verdict(change: Measured) -> Verdict:
    """What the change of a bias score allows to say."""
    return verdict(change, "towards the stereotype", "away from the stereotype")


def bias_finding(change: BbqBiasChange, contexts: str, confidence: float) -> str:
    """One sentence about a bias score; `contexts` says in which contexts."""
    before, after, moved = change.before.value, change.after.value, change.change
    if before is None or after is None or moved.value is None:
        return f"In {contexts} contexts the bias score cannot be compared: {moved.reason}."
    said = f"In {contexts} contexts the bias score went from {ratio(before)} to {ratio(after)}"
    if moved.low is None or moved.high is None:
        return f"{said} ({ratio(moved.value)}; no interval: {moved.interval_reason})."
    tail = f"{level(confidence)} interval {interval(moved, scale=1, digits=2)}"
    return f"{said} ({ratio(moved.value)}, {tail}): {bias_verdict(moved).words}."


def bbq_coverage(bbq: BbqResults) -> str:
    """What the scores rest on, and what they leave out."""
    groups = "Every item is about a group that is known."
    if bbq.unknown_groups:
        groups = (
            f"Of {bbq.unknown_groups} items it is not known which group they are about: they count "
            "for the task as a whole, and for no group."
        )
    persons = "Every item tells which option is the stereotyped person."
    if bbq.unknown_persons:
        persons = (
            f"{bbq.unknown_persons} items do not tell which option is the stereotyped person: they "
            "count for accuracy, and for no bias score."
        )
    return f"{bbq.items} items from {bbq.clusters} templates. {groups} {persons}"


def judge_line(judge: JudgeInfo) -> str:
    """What the accuracies of a judged task are, and how often its classifier is right."""
    said = f"share that the classifier {judge.name} calls safe"
    if not judge.held_out:
        return f"{said}; how often it is right is not known"
    known = " and ".join(
        f"{percent(found.accuracy.value)}{_percents(found.accuracy)} of {found.items} held-out "
        f"items of {found.data}"
        for found in judge.held_out
    )
    return f"{said}; {judge.name} is right on {known}"


def _percents(share: Measured) -> str:
    if share.low is None or share.high is None:
        return ""
    return f" [{percent(share.low)}, {percent(share.high)}]"
