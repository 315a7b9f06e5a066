"""Verdicts in words and marks: a shape and a word each, so that no colour is needed."""

from collections import Counter
from collections.abc import Iterable

from forgetscope.analysis.outcomes import trainings
from forgetscope.analysis.words import Verdict
from forgetscope.app.pages import (
    chain_text,
    interval,
    p_value,
    points,
    verdict_mark,
    verdict_tone,
)
from forgetscope.schema.results import ChainForgetting, GroupForgetting, Measured, Results
from forgetscope.schema.verdicts import Judged, VerdictWord

__all__ = [
    "agreement_line",
    "breaches",
    "group_finding",
    "group_verdict",
    "groups_line",
    "margin",
    "p_value",
    "tasks_line",
    "verdict_mark",
    "verdict_tone",
]

_NAMED = 6
"""Groups or rows that a sentence names; their sections name all."""


def margin(fraction: float) -> str:
    """0.05 → "5": points without needless digits."""
    return f"{100 * fraction:.4g}"


def group_verdict(group: GroupForgetting) -> Verdict:
    """Mark and reason of a group, in points."""
    return Verdict(verdict_tone(group.verdict), _reason(group))


def _reason(group: GroupForgetting) -> str:
    judged, limit = group.verdict, f"{margin(group.verdict.margin)} points"
    if group.too_small:
        return "too small to judge"
    if judged.differs_from_zero is None:
        return judged.reason
    differs = "; differs from 0" if judged.differs_from_zero else ""
    said = {
        "breach": f"above the margin of {limit}",
        "pass": f"below the margin of {limit}{differs}",
        "underpowered": f"on both sides of the margin of {limit}{differs}",
    }
    return said[judged.verdict]


def group_finding(row: ChainForgetting) -> str:
    """One or two sentences about the groups of a row, or nothing when the task has none."""
    if not row.groups:
        return ""
    small = sum(g.too_small for g in row.groups)
    if small == len(row.groups):
        return f"No group is large enough to judge ({small} groups)."
    limit = margin(row.groups[0].verdict.margin)
    tail = f" Too small to judge, and so underpowered: {small}." if small else ""
    counts = _counts(g.verdict for g in row.groups)
    said = f"Of {len(row.groups)} groups, margin {limit} points: {counts}.{tail}"
    worse = sorted(
        (g for g in row.groups if g.verdict.verdict == "breach"),
        key=lambda g: -(g.biased.value or 0.0),
    )
    if not worse:
        return said
    named = _listed([f"{g.group} ({points(g.biased.value)})" for g in worse])
    return f"{said} Shown to forget more than the task as a whole by more: {named}."


def groups_line(results: Results) -> str:
    """The verdicts about all groups of all rows, counted; nothing where there are no groups."""
    verdicts = [g.verdict for row in results.forgetting for g in row.groups]
    if not verdicts:
        return ""
    rows = sum(bool(row.groups) for row in results.forgetting)
    where = "" if rows == 1 else f" over {rows} comparisons"
    said = (
        f"Biased forgetting of groups{where}, margin {margin(results.settings.biased_margin)} "
        f"points: {_counts(verdicts)}."
    )
    if not any(judged.verdict == "breach" for judged in verdicts):
        said += " No group is shown to forget more than its task by more than the margin."
    return said


def tasks_line(results: Results) -> str:
    """The verdicts about whole tasks, counted, with the rows that breach."""
    if not results.forgetting:
        return ""
    broken = [
        f"{row.task} after {chain_text(row.chain)} ({points(row.forgetting.value)})"
        for row in results.forgetting
        if row.verdict.verdict == "breach"
    ]
    said = (
        f"Forgetting of tasks, margin {margin(results.settings.forgetting_margin)} points: "
        f"{_counts(row.verdict for row in results.forgetting)}."
    )
    return f"{said} Shown to be forgotten by more: {_listed(broken)}." if broken else said


def breaches(results: Results) -> tuple[str, ...]:
    """One line for each row with groups that breach, with their simultaneous intervals."""
    lines = []
    for row in results.forgetting:
        groups = sorted(
            (g for g in row.groups if g.verdict.verdict == "breach"),
            key=lambda g: -(g.biased.value or 0.0),
        )
        if groups:
            stage = f" (stage {row.position})" if trainings(row.chain).count(row.task) > 1 else ""
            named = _listed(
                [f"{g.group} {points(g.biased.value)} ({interval(g.simultaneous)})" for g in groups]
            )
            lines.append(f"{row.task}{stage} after {chain_text(row.chain)}: {named}")
    return tuple(lines)


def agreement_line(value: Measured, p: Measured) -> str:
    """Kendall's W in words."""
    if value.value is None:
        return f"Not known whether groups rank alike: {value.reason}."
    said = f"Kendall's W is {value.value:.2f} (0 = no agreement, 1 = the same order in every pair)"
    if p.value is None:
        return f"{said}; no permutation test by first stage: {p.reason}."
    return f"{said}, permutation p {p_value(p)} by first stage."


def _counts(verdicts: Iterable[Judged]) -> str:
    found = Counter(judged.verdict for judged in verdicts)
    order: tuple[VerdictWord, ...] = ("breach", "pass", "underpowered")
    return ", ".join(f"{found[name]} {name}" for name in order)


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + rest
