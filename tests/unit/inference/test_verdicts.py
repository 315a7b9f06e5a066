"""Three verdicts about a margin."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgetscope.core.inference.verdicts import Judgement, Test, judge
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.results import Measured

ends = st.floats(-1, 1)


def judged(
    low: float, high: float, margin: float = 0.05, test: Test = "non-inferiority"
) -> Judgement:
    estimate = Measured(value=(low + high) / 2, low=low, high=high)
    return judge(estimate, margin, test=test, noise_floor=0.0)


@pytest.mark.parametrize(
    ("low", "high", "verdict", "differs"),
    [
        (-0.02, 0.04, "pass", False),
        (-0.30, -0.10, "pass", True),
        (0.01, 0.03, "pass", True),
        (0.06, 0.09, "breach", True),
        (0.01, 0.06, "underpowered", True),
        (-0.02, 0.06, "underpowered", False),
        (0.05, 0.09, "underpowered", True),
        (0.01, 0.05, "underpowered", True),
    ],
)
def test_only_more_than_the_margin_is_bad(
    low: float, high: float, verdict: str, differs: bool
) -> None:
    found = judged(low, high)
    assert (found.verdict, found.differs_from_zero) == (verdict, differs)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.04, 0.04, "pass"),
        (-0.30, -0.10, "breach"),
        (0.06, 0.09, "breach"),
        (-0.06, 0.01, "underpowered"),
        (-0.06, 0.06, "underpowered"),
    ],
)
def test_equivalence_looks_at_both_sides(low: float, high: float, verdict: str) -> None:
    assert judged(low, high, test="equivalence").verdict == verdict


@settings(deadline=None)
@given(ends, ends, st.floats(0.001, 0.5))
def test_equivalence_is_blind_to_the_sign_and_never_easier_to_pass(
    a: float, b: float, margin: float
) -> None:
    low, high = sorted((a, b))
    found = judged(low, high, margin, "equivalence").verdict
    assert found == judged(-high, -low, margin, "equivalence").verdict
    if found == "pass":
        assert judged(low, high, margin).verdict == "pass"


@settings(deadline=None)
@given(ends, ends, ends, ends, st.sampled_from(["non-inferiority", "equivalence"]))
def test_a_narrower_interval_never_turns_a_verdict_into_its_opposite(
    a: float, b: float, c: float, d: float, test: Test
) -> None:
    outer, *inner, last = sorted((a, b, c, d))
    wide = judged(outer, last, test=test).verdict
    narrow = judged(*inner, test=test).verdict
    assert wide in ("underpowered", narrow)


def test_the_reason_names_the_interval_and_the_margin() -> None:
    assert judged(0.06, 0.09).reason == "the interval from 0.06 to 0.09 lies above the margin 0.05"
    assert judged(-0.02, 0.06).reason == (
        "the interval from -0.02 to 0.06 reaches both sides of the margin 0.05"
    )


@pytest.mark.parametrize(
    ("estimate", "reason"),
    [
        (Measured(reason="nothing scored"), "no interval: nothing scored"),
        (Measured(value=0.2, interval_reason="single cluster"), "no interval: single cluster"),
        (Measured(value=0.2), "no interval: there is no interval"),
    ],
)
def test_a_number_without_interval_is_underpowered_and_says_why(
    estimate: Measured, reason: str
) -> None:
    found = judge(estimate, 0.05, test="non-inferiority", noise_floor=None)
    assert (found.verdict, found.reason, found.differs_from_zero) == ("underpowered", reason, None)


def test_a_margin_below_the_noise_floor_is_refused_with_the_reason() -> None:
    estimate = Measured(value=0.0, low=-0.001, high=0.001)
    with pytest.raises(InvalidInput, match="scored twice differs by more") as caught:
        judge(estimate, 0.01, test="equivalence", noise_floor=0.02)
    assert caught.value.where == "margin"
    assert judge(estimate, 0.02, test="equivalence", noise_floor=0.02).verdict == "pass"


def test_an_unmeasured_noise_floor_is_said() -> None:
    estimate = Measured(value=0.0, low=-0.001, high=0.001)
    found = judge(estimate, 0.01, test="equivalence", noise_floor=None)
    assert found.reason.endswith("; the noise floor was not measured")


@pytest.mark.parametrize("margin", [-0.1, float("nan"), float("inf")])
def test_what_is_no_margin_is_refused(margin: float) -> None:
    with pytest.raises(InvalidInput, match="is not a margin"):
        judged(0, 0.1, margin)


def test_zero_is_a_margin_for_more_but_not_for_equal() -> None:
    assert judged(0.01, 0.02, 0.0).verdict == "breach"
    with pytest.raises(InvalidInput, match="not a margin for equivalence"):
        judged(0.01, 0.02, 0.0, "equivalence")
