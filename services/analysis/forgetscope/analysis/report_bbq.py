"""The report's section on BBQ's own scores."""

from collections.abc import Iterator
from typing import NamedTuple

from forgetscope.analysis import words
from forgetscope.analysis.figures import Drawing, Line, interval_plot
from forgetscope.schema.results import BbqChange, BbqResults, Measured, Results

__all__ = ["BiasSection", "bias_sections"]


class _Row(NamedTuple):
    """The change over all items, and that of each group."""

    whole: BbqChange
    groups: tuple[BbqChange, ...]


class BiasSection(NamedTuple):
    """One BBQ task of the experiment."""

    anchor: str
    bbq: BbqResults
    rows: tuple[_Row, ...]
    figure: Drawing | None


def bias_sections(results: Results) -> tuple[BiasSection, ...]:
    """One section for each task that has BBQ's scores."""
    return tuple(
        BiasSection(f"bias-{i}", bbq, rows := tuple(_rows(bbq)), _figure(bbq, rows, f"bias{i}"))
        for i, bbq in enumerate(results.bbq, start=1)
    )


def _rows(bbq: BbqResults) -> Iterator[_Row]:
    for chain, position in dict.fromkeys((c.chain, c.position) for c in bbq.changes):
        of_row = [c for c in bbq.changes if (c.chain, c.position) == (chain, position)]
        (whole,) = (c for c in of_row if c.group is None)
        yield _Row(whole, tuple(c for c in of_row if c.group is not None))


def _figure(bbq: BbqResults, rows: tuple[_Row, ...], name: str) -> Drawing | None:
    shown = [
        (f"{context}, {when}\n{words.chain_text(chain)}", score)
        for whole, _ in rows
        for context, change in (
            ("ambiguous", whole.ambiguous),
            ("disambiguated", whole.disambiguated),
        )
        for when, chain, score in (
            ("before", whole.chain[: whole.position], change.before),
            ("after", whole.chain, change.after),
        )
        if score.value is not None
    ]
    if not shown:
        return None
    said = "; ".join(
        f"{label.replace(chr(10), ' ')}: {words.ratio(score.value)}" for label, score in shown
    )
    return interval_plot(
        [_line(label, score) for label, score in shown],
        axis="bias score: −1 always against the stereotype, 1 always with it",
        alt=f"Bias scores of {bbq.task} with intervals. {said}.",
        name=name,
        title=f"Bias scores of {bbq.task}",
    )


def _line(label: str, score: Measured) -> Line:
    tone = words.verdict(score, "", "").tone
    return Line(label, score.value or 0.0, score.low, score.high, tone, words.ratio(score.value))
