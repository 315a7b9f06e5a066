"""The report's section on groups: what each row says about them, with its forest plot."""

from collections.abc import Iterator
from typing import NamedTuple

from forgetscope.analysis.figures import Drawing, Line, interval_plot
from forgetscope.analysis.outcomes import trainings
from forgetscope.analysis.verdict_words import margin, verdict_tone
from forgetscope.app.pages import chain_text, interval, points
from forgetscope.schema.results import ChainForgetting, GroupForgetting, Results

__all__ = ["GroupSection", "group_lines", "group_sections"]


class GroupSection(NamedTuple):
    """The groups of one row of the forgetting table, worst first."""

    anchor: str
    row: ChainForgetting
    groups: tuple[GroupForgetting, ...]
    figure: Drawing | None


def group_sections(results: Results) -> Iterator[GroupSection]:
    """One section for each row whose task has groups."""
    for i, row in enumerate(results.forgetting, start=1):
        if row.groups:
            groups = tuple(
                sorted(
                    row.groups,
                    key=lambda g: (g.biased.value is None, -(g.biased.value or 0.0), g.group),
                )
            )
            yield GroupSection(f"groups-{i}", row, groups, _figure(row, groups, f"groups{i}"))


def group_lines(groups: tuple[GroupForgetting, ...]) -> list[Line]:
    """Biased forgetting in points with its simultaneous interval; the mark and the word of a line
    are its verdict. Groups without a value have no line."""
    return [
        Line(
            group.group,
            100 * value,
            None if group.simultaneous.low is None else 100 * group.simultaneous.low,
            None if group.simultaneous.high is None else 100 * group.simultaneous.high,
            verdict_tone(group.verdict),
            f"{_word(group)}, n = {group.items}",
        )
        for group in groups
        if (value := group.biased.value) is not None
    ]


def _figure(row: ChainForgetting, groups: tuple[GroupForgetting, ...], name: str) -> Drawing | None:
    lines = group_lines(groups)
    if not lines:
        return None
    twice = trainings(row.chain).count(row.task) > 1
    title = f"{row.task}{f' (stage {row.position})' if twice else ''}"
    limit = groups[0].verdict.margin
    said = "; ".join(
        f"{g.group}: {points(g.biased.value)} ({interval(g.simultaneous)}), {_word(g)}"
        for g in groups
        if g.biased.value is not None
    )
    return interval_plot(
        lines,
        axis="biased forgetting against the task as a whole, percentage points",
        alt=(
            f"Biased forgetting of {row.task} after {chain_text(row.chain)}, percentage points, "
            f"with simultaneous intervals and verdicts about a margin of {margin(limit)}. {said}."
        ),
        name=name,
        title=f"Biased forgetting of {title} after {chain_text(row.chain)}",
        margin=100 * limit,
    )


def _word(group: GroupForgetting) -> str:
    return "too small" if group.too_small else group.verdict.verdict
