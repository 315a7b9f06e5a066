"""The smallest mitigation that reaches a goal: which value to try next, or the answer. Pure.

Bisection: the highest value first, then the lowest, then the middle between the largest that fails
and the smallest that does not fall short. More of the knob is expected to recover more and to cost
more: a value that recovers enough but costs too much sends the search downwards. Where the looks
say otherwise, `oddities` reports it.

The number of looks is bounded beforehand, and each of them is taken with the error rate divided by
that number (Bonferroni): the chance that any value that does not reach the goal is called passing
is then at most that of a single look, whichever way the search took.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from forgetscope.schema.goal import GoalJudged, GoalPart
from forgetscope.schema.search import Bracket, Knob, SearchOutcome

__all__ = [
    "End",
    "Look",
    "Next",
    "bracket_of",
    "confidence_of",
    "decide",
    "is_narrow",
    "longest_way",
    "looks_at_most",
    "oddities",
    "together",
]

Side = Literal["pass", "short", "dear", "both", "undecided"]

_DIGITS = 6  # of a value in the middle: keeps names short and equal on every machine
ROUNDED = 1e-5
"""What rounding may add to the bracket, as a share of its upper end."""


class Look(NamedTuple):
    """A value and what the data say about it."""

    value: float
    judged: GoalJudged


class Next(NamedTuple):
    """Try this value."""

    value: float


class End(NamedTuple):
    """Nothing more to try. `value` is the smallest that passed, if any did; `at` the look that
    ended the search."""

    outcome: SearchOutcome
    value: float | None
    at: Look


def decide(knob: Knob, looks: Sequence[Look], most: int) -> Next | End:
    """What follows from the looks so far, in the order in which they were taken."""
    if not looks:
        return Next(knob.high)
    last = looks[-1]
    passing = min((look.value for look in looks if _side(look) == "pass"), default=None)
    if _side(last) == "undecided":
        return End("undecided", passing, last)
    hopeless = passing is None and (
        _side(last) == "both"
        or (last.value == knob.high and _side(last) == "short")
        or (last.value == knob.low and _side(last) == "dear")
    )
    outcome: SearchOutcome = "cannot_be_met" if passing is None else "found"
    if hopeless or passing == knob.low or len(looks) >= most:
        return End(outcome, passing, last)
    if len(looks) == 1:
        return Next(knob.low)
    upper = passing
    if upper is None:
        upper = min(look.value for look in looks if _side(look) == "dear")
    lower = max(look.value for look in looks if look.value < upper)
    middle = _middle(knob, lower, upper)
    return End(outcome, passing, last) if middle is None else Next(middle)


def _side(look: Look) -> Side:
    """Why a value is not the answer: it falls short, it is too dear, or both."""
    judged = look.judged
    if judged.verdict == "pass":
        return "pass"
    if judged.verdict == "underpowered":
        return "undecided"
    broken = {part.kind == "price" for part in judged.parts if part.verdict == "breach"}
    if broken == {True}:
        return "dear"
    return "both" if True in broken else "short"


def _middle(knob: Knob, lower: float, upper: float) -> float | None:
    """The value between two others; None where they are close enough."""
    log = knob.scale == "log"
    width = upper / lower - 1 if log else upper - lower
    if width <= knob.tolerance * (1 + 1e-9) + ROUNDED * (1 if log else abs(upper)):
        return None
    middle = math.sqrt(lower * upper) if log else (lower + upper) / 2
    middle = max(lower + 1, math.floor(middle)) if knob.whole else float(f"{middle:.{_DIGITS}g}")
    return float(middle) if lower < middle < upper else None


def is_narrow(knob: Knob, bracket: Bracket) -> bool:
    """Whether nothing is left to try between the two ends."""
    lower, upper = bracket.failing, bracket.passing
    return lower is None or upper is None or _middle(knob, lower, upper) is None


def bracket_of(looks: Sequence[Look]) -> Bracket:
    """The largest value that failed below the smallest that passed."""
    passing = min((look.value for look in looks if _side(look) == "pass"), default=None)
    failing = [
        look.value
        for look in looks
        if _side(look) in ("short", "dear", "both") and (passing is None or look.value < passing)
    ]
    return Bracket(failing=max(failing, default=None), passing=passing)


def longest_way(knob: Knob, most: int) -> tuple[float, ...]:
    """The values of the longest way that the search can take: the goal is reached at the highest
    value only, or at none below the lowest but one."""
    ways = [_way(knob, most, lambda value: value == knob.high)]
    ways.append(_way(knob, most, lambda value: value > knob.low))
    return max(ways, key=len)


def looks_at_most(knob: Knob, max_rounds: int) -> int:
    """How often the data can be looked at, whatever they say: both ends, and as many halvings as
    lead from the range to the tolerance."""
    if knob.scale == "log":
        parts = math.log(knob.high / knob.low) / math.log1p(knob.tolerance)
    else:
        finest = max(1, math.floor(knob.tolerance)) if knob.whole else knob.tolerance
        parts = (knob.high - knob.low) / finest
    return min(max_rounds, 2 + max(0, math.ceil(math.log2(parts) - 1e-9)))


def _way(knob: Knob, most: int, passes: Callable[[float], bool]) -> tuple[float, ...]:
    looks: list[Look] = []
    while isinstance(step := decide(knob, looks, most), Next):
        verdict: Literal["pass", "breach"] = "pass" if passes(step.value) else "breach"
        looks.append(Look(step.value, GoalJudged(verdict=verdict, reason="", parts=())))
    return tuple(look.value for look in looks)


def confidence_of(confidence: float, looks: int) -> float:
    """Of one look's intervals, so that all looks together keep the error rate (Bonferroni)."""
    return round(1 - (1 - confidence) / looks, 12)


def together(judged: Mapping[str, GoalJudged]) -> GoalJudged:
    """One judgement of several chains, all of which have to pass.

    No correction for their number: a wrong `pass` needs a wrong one of every chain that does not
    reach the goal (Berger 1982, Technometrics 24, 295-300).
    """
    if len(judged) == 1:
        return next(iter(judged.values()))
    parts: list[GoalPart] = []
    left: dict[str, str] = {}
    for name, one in judged.items():
        parts += [p.model_copy(update={"name": f"{p.name} ({name})"}) for p in one.parts]
        left |= {f"{group} ({name})": why for group, why in one.not_judged.items()}
    for verdict in ("breach", "underpowered", "pass"):
        found = {name: one for name, one in judged.items() if one.verdict == verdict}
        if found:
            break
    reason = "; ".join(f"{name}: {one.reason}" for name, one in found.items())
    return GoalJudged(verdict=verdict, reason=reason, parts=tuple(parts), not_judged=left)


def oddities(looks: Sequence[Look]) -> Iterator[str]:
    """Where more of the knob did clearly not recover more: intervals apart in the wrong order, or
    verdicts in the wrong order."""
    ordered = sorted(looks, key=lambda look: look.value)
    for i, less in enumerate(ordered):
        for more in ordered[i + 1 :]:
            if _side(less) in ("dear", "both") and _side(more) == "pass":
                yield (
                    f"not monotone: {less.value:g} costs too much, though {more.value:g} does not"
                )
            if _side(less) == "pass" and _side(more) in ("short", "both"):
                yield f"not monotone: {less.value:g} passes, though {more.value:g} falls short"
            yield from _falls(less, more)


def _falls(less: Look, more: Look) -> Iterator[str]:
    after = {(p.kind, p.name): p for p in more.judged.parts if p.measure == "recovery"}
    for part in less.judged.parts:
        other = after.get((part.kind, part.name))
        if part.measure != "recovery" or other is None:
            continue
        low, high = part.estimate.low, other.estimate.high
        if low is not None and high is not None and low > high:
            yield (
                f"not monotone: the recovery of {part.kind} {part.name} is at least {low:.4g} at "
                f"{less.value:g}, but at most {high:.4g} at {more.value:g}"
            )
