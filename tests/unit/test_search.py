"""The pure decisions of a search, driven by invented verdicts."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from forgetscope.core.search import (
    ROUNDED,
    End,
    Look,
    Next,
    bracket_of,
    confidence_of,
    decide,
    longest_way,
    looks_at_most,
    oddities,
    together,
)
from forgetscope.core.search_words import answer_of, price_note, tail_note, what_would_decide
from forgetscope.schema.goal import GoalJudged, GoalPart
from forgetscope.schema.measured import Measured
from forgetscope.schema.search import Knob

MOST = 40
UNDECIDED = "underpowered"


def knob(**changes: Any) -> Knob:
    values = {"step": "replay", "low": 0.0, "high": 1.0, "tolerance": 0.05}
    return Knob.model_validate(values | changes)


def part(kind: str, verdict: str, value: float = 0.5, half: float = 0.1, **more: Any) -> GoalPart:
    measure = "price" if kind == "price" else "recovery"
    return GoalPart.model_validate(
        {
            "kind": kind,
            "name": "arc" if kind == "price" else "women",
            "measure": measure,
            "limit": 0.01 if kind == "price" else 0.9,
            "estimate": Measured(value=value, low=value - half, high=value + half),
            "verdict": verdict,
            "reason": f"{kind} {verdict}",
        }
        | more
    )


def judged(loss: str, price: str = "pass") -> GoalJudged:
    words = (loss, price)
    verdict = next(w for w in ("breach", UNDECIDED, "pass") if w in words)
    parts = (part("group", loss), part("price", price))
    return GoalJudged.model_validate(
        {"verdict": verdict, "reason": f"loss {loss}, price {price}", "parts": parts}
    )


def run(asked: Knob, world: Callable[[float], GoalJudged], most: int = MOST) -> Any:
    """Follow the search to its end. Returns (looks, end)."""
    looks: list[Look] = []
    while isinstance(step := decide(asked, looks, most), Next):
        looks.append(Look(step.value, world(step.value)))
        assert len(looks) <= most
    return looks, step


def from_(threshold: float) -> Callable[[float], GoalJudged]:
    return lambda value: judged("pass" if value >= threshold else "breach")


def test_the_highest_value_comes_first_then_the_lowest_then_the_middle() -> None:
    looks, end = run(knob(), from_(0.3))
    assert [look.value for look in looks] == [1.0, 0.0, 0.5, 0.25, 0.375, 0.3125, 0.28125]
    assert end == End("found", 0.3125, looks[-1])
    assert bracket_of(looks).model_dump() == {"failing": 0.28125, "passing": 0.3125}


def test_a_goal_that_the_highest_value_misses_ends_at_once() -> None:
    looks, end = run(knob(), lambda _: judged("breach"))
    assert [look.value for look in looks] == [1.0]
    assert (end.outcome, end.value) == ("cannot_be_met", None)
    text = answer_of(knob(), looks, end, most=7, confidence=0.95).text
    assert text.startswith("The goal cannot be met even with share = 1 of replay: loss breach")


def test_a_goal_that_the_lowest_value_reaches_needs_no_more() -> None:
    looks, end = run(knob(low=0.1), from_(0.0))
    assert [look.value for look in looks] == [1.0, 0.1]
    assert end.value == 0.1
    assert "lowest value of the range" in answer_of(knob(low=0.1), looks, end, **WORDS).text


WORDS: dict[str, Any] = {"most": 7, "confidence": 0.95}


@pytest.mark.parametrize(("at", "found"), [(1.0, None), (0.5, 1.0), (0.25, 0.5)])
def test_data_that_do_not_decide_end_the_search_with_what_would(
    at: float, found: float | None
) -> None:
    def world(value: float) -> GoalJudged:
        return judged(UNDECIDED) if value == at else from_(0.2)(value)

    looks, end = run(knob(), world)
    assert looks[-1].value == at
    assert (end.outcome, end.value) == ("undecided", found)
    answer = answer_of(knob(), looks, end, **WORDS)
    assert f"With share = {at:g} of replay the data do not decide" in answer.text
    assert "More evaluation items" in answer.text


def test_a_value_that_recovers_enough_but_costs_too_much_sends_the_search_down() -> None:
    def world(value: float) -> GoalJudged:
        return judged("pass" if value >= 0.3 else "breach", "pass" if value <= 0.6 else "breach")

    looks, end = run(knob(), world)
    assert [look.value for look in looks[:4]] == [1.0, 0.0, 0.5, 0.25]
    assert end.value == 0.3125
    assert not list(oddities(looks))


def test_what_recovers_enough_only_where_it_costs_too_much_cannot_be_had() -> None:
    def world(value: float) -> GoalJudged:
        return judged("pass" if value >= 0.6 else "breach", "pass" if value <= 0.3 else "breach")

    looks, end = run(knob(), world)
    assert (end.outcome, end.value) == ("cannot_be_met", None)
    assert [look.value for look in looks] == [1.0, 0.0, 0.5]
    assert "costs too much" in answer_of(knob(), looks, end, **WORDS).text


def test_a_price_that_the_lowest_value_exceeds_cannot_be_met() -> None:
    looks, end = run(knob(), lambda _: judged("pass", "breach"))
    assert [look.value for look in looks] == [1.0, 0.0]
    assert end.outcome == "cannot_be_met"
    assert "even share = 0 of replay costs too much" in answer_of(knob(), looks, end, **WORDS).text


def test_the_logarithmic_scale_halves_ratios() -> None:
    asked = knob(low=1.0, high=10_000.0, tolerance=1.0, scale="log")
    looks, end = run(asked, from_(50))
    assert [look.value for look in looks[:4]] == [10_000.0, 1.0, 100.0, 10.0]
    found = bracket_of(looks)
    assert found.failing is not None
    assert found.failing < 50 <= end.value
    assert end.value / found.failing <= 2


def test_whole_numbers_stay_whole() -> None:
    looks, end = run(knob(low=1, high=20, tolerance=1, whole=True), from_(7))
    assert all(look.value.is_integer() for look in looks)
    assert end.value == 7


def test_rounds_that_run_out_leave_the_smallest_that_passed() -> None:
    looks, end = run(knob(), from_(0.3), most=4)
    assert (len(looks), end.value) == (4, 0.5)
    assert "4 rounds were the most" in answer_of(knob(), looks, end, most=4, confidence=0.95).text


verdicts = st.builds(
    judged, st.sampled_from(["pass", "breach"]), st.sampled_from(["pass", "breach"])
)
knobs = st.builds(
    lambda low, width, share, scale, whole: knob(
        low=float(low),
        high=float(low + width),
        tolerance=max(1.0, share * width) if whole else share * width,
        scale=scale,
        whole=whole,
    ),
    st.integers(1, 1000),
    st.integers(1, 1000),
    st.floats(1e-4, 0.9),
    st.sampled_from(["linear", "log"]),
    st.booleans(),
)


@given(knobs, st.data(), st.integers(1, 12))
def test_whatever_the_data_say_it_ends_within_its_looks_and_tries_nothing_twice(
    asked: Knob, data: st.DataObject, rounds: int
) -> None:
    most = looks_at_most(asked, rounds)
    looks: list[Look] = []
    width = float("inf")
    while isinstance(step := decide(asked, looks, most), Next):
        assert asked.low <= step.value <= asked.high
        assert step.value not in [look.value for look in looks]
        looks.append(Look(step.value, data.draw(verdicts)))
        found = bracket_of(looks)
        if found.failing is not None and found.passing is not None:
            assert found.failing < found.passing
            assert found.passing - found.failing <= width
            width = found.passing - found.failing
    assert 1 <= len(looks) <= most <= rounds
    passed = [look.value for look in looks if look.judged.verdict == "pass"]
    assert step.value == min(passed, default=None)
    assert answer_of(asked, looks, step, most=most, confidence=0.95).text


@given(knobs, st.floats(0, 1))
def test_a_monotone_truth_is_found_within_the_tolerance(asked: Knob, at: float) -> None:
    threshold = asked.low + at * (asked.high - asked.low)
    looks, end = run(asked, from_(threshold), looks_at_most(asked, MOST))
    assert end.outcome == "found"
    assert end.value >= threshold
    if end.value > asked.low:
        failing = bracket_of(looks).failing
        assert failing is not None
        assert failing < threshold
        width = end.value / failing - 1 if asked.scale == "log" else end.value - failing
        # The geometric middle of whole numbers is rounded down, so that the upper part is larger.
        rough = 1 if asked.whole and asked.scale == "log" else 0
        assert width <= asked.tolerance + rough + 2 * ROUNDED * asked.high
    assert not list(oddities(looks))


@given(knobs)
def test_the_longest_way_takes_no_more_looks_than_were_counted(asked: Knob) -> None:
    most = looks_at_most(asked, MOST)
    way = longest_way(asked, most)
    assert way[:2] == (asked.high, asked.low)
    assert len(way) <= most


def test_verdicts_and_recoveries_in_the_wrong_order_are_reported() -> None:
    dear = Look(0.25, judged("pass", "breach"))
    better = Look(0.5, judged("pass"))
    worse = Look(1.0, judged("breach"))
    assert [text.partition(":")[2] for text in oddities([worse, better, dear])] == [
        " 0.25 costs too much, though 0.5 does not",
        " 0.5 passes, though 1 falls short",
    ]
    high = GoalJudged(verdict="pass", reason="", parts=(part("group", "pass", 0.95, 0.01),))
    low = GoalJudged(verdict="pass", reason="", parts=(part("group", "pass", 0.8, 0.01),))
    (text,) = oddities([Look(0.5, high), Look(1.0, low)])
    assert "group women is at least 0.94 at 0.5, but at most 0.81 at 1" in text
    assert not list(oddities([Look(0.5, low), Look(1.0, high)]))


@pytest.mark.parametrize(
    ("change", "looks"),
    [
        ({}, 7),
        ({"tolerance": 0.25}, 4),
        ({"tolerance": 2.0}, 2),
        ({"low": 1.0, "high": 16.0, "tolerance": 1.0, "scale": "log"}, 4),
        ({"low": 1, "high": 20, "tolerance": 1, "whole": True}, 7),
    ],
)
def test_the_longest_way_is_counted_before(change: dict[str, Any], looks: int) -> None:
    assert looks_at_most(knob(**change), MOST) == len(longest_way(knob(**change), MOST)) == looks
    assert looks_at_most(knob(**change), 1) == 1


def test_looks_share_the_error_rate() -> None:
    assert confidence_of(0.95, 5) == 0.99
    looks, end = run(knob(), from_(0.3))
    (note, *_) = answer_of(knob(), looks, end, most=7, confidence=0.95).notes
    assert "at most 7 were planned" in note
    assert "0.99286 instead of 0.95" in note


def test_several_chains_have_to_pass_together() -> None:
    one, other = judged("pass"), judged("pass", UNDECIDED)
    assert together({"a": one}) == one
    both = together({"a → b": one, "b → a": other})
    assert both.verdict == UNDECIDED
    assert both.reason == "b → a: loss pass, price underpowered"
    assert [p.name for p in both.parts][:2] == ["women (a → b)", "arc (a → b)"]
    assert together({"a": one, "b": one}).verdict == "pass"
    assert together({"a": other, "b": judged("breach")}).verdict == "breach"


def test_what_would_decide_is_told_in_items() -> None:
    told = what_would_decide([part("group", UNDECIDED, 0.85, 0.1)])
    assert "factor of 2" in told
    assert "about 4 times as many" in told
    assert "forgetscope power" in what_would_decide([part("group", UNDECIDED, 0.9, 0.1)])


def test_a_price_that_the_items_cannot_show_is_told_before() -> None:
    note = price_note("arc", 0.01, items=1000, seeds=1, confidence=0.99)
    assert note is not None
    assert "no more than 0.015 of its 1000 items" in note
    assert price_note("arc", 0.05, items=1000, seeds=3, confidence=0.99) is None


def test_intervals_that_rest_on_few_replicates_are_told_before() -> None:
    assert tail_note(20_000, 0.99) is None
    assert "about 5 of 2000" in str(tail_note(2000, 0.995))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"low": 1.0}, "low has to lie below high"),
        ({"scale": "log"}, "above 0"),
        ({"whole": True, "high": 1.5}, "whole"),
        ({"tolerance": 0.0}, "greater than 0"),
        ({"path": "a b"}, "pattern"),
    ],
)
def test_a_knob_without_a_range_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        knob(**change)
