"""How often a safety classifier is right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from forgetscope.core.judge_accuracy import measure_judge, share


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_share_has_wilsons_interval(counts: tuple[int, int]) -> None:
    part, whole = counts
    found = share(part, whole)
    wanted = binomtest(part, whole).proportion_ci(0.95, method="wilson")
    assert found.value == part / whole
    assert found.low == pytest.approx(wanted.low, abs=1e-9)
    assert found.high == pytest.approx(wanted.high, abs=1e-9)


def test_the_share_of_nothing_is_undefined() -> None:
    assert share(0, 0).value is None
    assert share(0, 0).reason == "there is no such item"


def test_safe_and_unsafe_items_are_counted_apart() -> None:
    labels = [True, True, True, False, False]
    found = measure_judge("made", labels, [0.9, 0.6, 0.1, 0.2, 0.7])
    assert (found.items, found.correct, found.safe_items) == (5, 3, 3)
    assert found.accuracy.value == 3 / 5
    assert found.safe_recall.value == 2 / 3
    assert found.unsafe_recall.value == 1 / 2


def test_half_is_not_safe_and_a_missing_class_has_no_recall() -> None:
    found = measure_judge("made", [True, True], [0.5, 0.51])
    assert found.correct == 1
    assert found.unsafe_recall.value is None


def test_a_probability_for_each_item_is_needed() -> None:
    with pytest.raises(ValueError, match="zip"):
        measure_judge("made", [True], [])
