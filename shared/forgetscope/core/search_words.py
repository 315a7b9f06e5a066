"""The answer of a search in words, and what to know of it before it is begun. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist

from forgetscope.core.search import End, Look, bracket_of, is_narrow, oddities
from forgetscope.schema.goal import GoalPart
from forgetscope.schema.search import Knob, SearchAnswer

__all__ = ["answer_of", "caveat", "price_note", "tail_note", "what_would_decide"]

NOTED_SHARE = 0.1  # of items that change: a price that allows more needs no word [own choice]
NOTED_REPLICATES = 10  # in a tail: fewer make the end of an interval a matter of luck [own choice]


def answer_of(
    knob: Knob, looks: Sequence[Look], end: End, *, most: int, confidence: float
) -> SearchAnswer:
    """What the looks say. `confidence` is that of the analysis before the correction."""
    notes = (caveat(most, confidence), *oddities(looks))
    return SearchAnswer(
        outcome=end.outcome,
        value=end.value,
        text=" ".join(_sentences(knob, looks, end, most)),
        notes=notes,
    )


def _sentences(knob: Knob, looks: Sequence[Look], end: End, most: int) -> Iterator[str]:
    at = {look.value: look for look in looks}
    bracket = bracket_of(looks)
    if end.value is not None:
        found = at[end.value].judged
        yield f"The goal is reached with {_named(knob, end.value)}: {found.reason}."
        if bracket.failing is not None:
            yield f"With {bracket.failing:g} it is not: {at[bracket.failing].judged.reason}."
        elif end.value == knob.low:
            yield "That is the lowest value of the range."
    if end.outcome == "undecided":
        yield (
            f"With {_named(knob, end.at.value)} the data do not decide: {end.at.judged.reason}. "
            f"{what_would_decide(end.at.judged.parts)}"
        )
        yield from _decided(looks, end)
    elif end.value is None:
        yield _not_met(knob, end, at)
    if end.outcome == "found" and not is_narrow(knob, bracket):
        yield f"{most} rounds were the most that could be taken."


def _decided(looks: Sequence[Look], end: End) -> Iterator[str]:
    """What is known of the other values, where none has passed."""
    others = sorted((look for look in looks if look is not end.at), key=lambda look: look.value)
    if end.value is None and others:
        said = ", ".join(f"{look.value:g} ({look.judged.reason})" for look in others)
        yield f"The goal is not reached with {said}."


def _not_met(knob: Knob, end: End, at: Mapping[float, Look]) -> str:
    last = end.at
    if last.value == knob.high:
        return (
            f"The goal cannot be met even with {_named(knob, knob.high)}: {last.judged.reason}. "
            "Less is expected to recover less."
        )
    if last.value == knob.low:
        return (
            f"The goal cannot be met: even {_named(knob, knob.low)} costs too much or falls short "
            f"({last.judged.reason}), and at {knob.high:g}: {at[knob.high].judged.reason}."
        )
    return (
        f"No value that reaches the goal was found between {knob.low:g} and {knob.high:g}: what "
        f"recovers enough costs too much. Last, with {_named(knob, last.value)}: "
        f"{last.judged.reason}. At {knob.high:g}: {at[knob.high].judged.reason}."
    )


def _named(knob: Knob, value: float) -> str:
    return f"{knob.path} = {value:g} of {knob.step}"


def what_would_decide(parts: Sequence[GoalPart]) -> str:
    """How much narrower the intervals would have to be, if the estimates stayed where they are."""
    advice = "More evaluation items, in more clusters, or more seeds narrow the intervals"
    factors = [_narrower(part) for part in parts if part.verdict == "underpowered"]
    known = [factor for factor in factors if factor is not None]
    if not known or len(known) < len(factors):
        return f"{advice}; `forgetscope power` tells how many."
    return (
        f"{advice}: if the estimates stayed as they are, intervals narrower by a factor of "
        f"{max(known):.2g} would decide, which takes about {max(known) ** 2:.2g} times as many."
    )


def _narrower(part: GoalPart) -> float | None:
    """Half-width over distance to the limit, on the side that reaches across it."""
    found = part.estimate
    if found.value is None or found.low is None or found.high is None:
        return None
    distance = abs(found.value - part.limit)
    across = found.value - found.low if found.value > part.limit else found.high - found.value
    if distance <= 0 or across <= distance:
        return None
    return across / distance


def caveat(most: int, confidence: float) -> str:
    """How looking several times was corrected for."""
    alpha = round(1 - confidence, 12)
    return (
        f"Repeated looks are corrected for: at most {most} were planned, and the intervals of each "
        f"have confidence {1 - alpha / most:.5g} instead of {confidence:g} (Bonferroni), so that a "
        f"value that does not reach the goal is called passing with a chance of at most {alpha:g}."
    )


def tail_note(replicates: int, confidence: float) -> str | None:
    """Whether the corrected intervals rest on enough bootstrap replicates."""
    tail = replicates * (1 - confidence) / 2
    if tail >= NOTED_REPLICATES:
        return None
    return (
        f"Each end of an interval rests on about {tail:.2g} of {replicates} bootstrap replicates, "
        f"fewer than {NOTED_REPLICATES}: raise analysis.bootstrap_replicates."
    )


def price_note(task: str, price: float, *, items: int, seeds: int, confidence: float) -> str | None:
    """Whether the data can show that the price is kept, at best.

    Of `items` × `seeds` independent answers a share d changes, as many for the better as for the
    worse; the interval of the price then reaches z·√(d/n) to each side. Clusters and prices
    that are judged together only widen it.
    """
    z = NormalDist().inv_cdf(1 - (1 - confidence) / 2)
    share = items * seeds * (price / z) ** 2
    if share >= NOTED_SHARE:
        return None
    return (
        f"A price of {price:g} on {task} can be shown to be kept, at best, only while no more than "
        f"{share:.2g} of its {items} items change their answer: otherwise the search ends "
        "undecided, unless accuracy rises. Score more items or more seeds, or allow a higher price."
    )
