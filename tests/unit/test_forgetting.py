"""The forms of forgetting, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from forgetscope.core import forgetting as forms

fractions = arrays.arrays(np.float64, (3,), elements=st.floats(0, 1))


def numbers(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_forgetting_is_positive_when_accuracy_fell() -> None:
    assert forms.initial_minus_last(numbers(0.9), numbers(0.6)) == pytest.approx(0.3)


@given(fractions)
def test_a_model_compared_with_itself_forgot_nothing(accuracy: np.ndarray) -> None:
    assert (forms.initial_minus_last(accuracy, accuracy) == 0).all()


def test_best_minus_last_starts_from_the_best_earlier_model() -> None:
    accuracies = numbers(0.7, 0.9, 0.5)
    last = numbers(0.6)
    assert forms.best_minus_last(accuracies[:, None] - last) == pytest.approx(0.3)


@given(fractions, fractions)
def test_best_minus_last_is_at_least_initial_minus_last(a: np.ndarray, b: np.ndarray) -> None:
    assert (forms.best_minus_last(np.stack([a, b])) >= a).all()


def test_relative_and_chance_corrected_divide_by_what_there_was_to_lose() -> None:
    assert forms.relative(numbers(0.3), numbers(0.9)) == pytest.approx(1 / 3)
    assert forms.chance_corrected(numbers(0.3), numbers(0.9), 0.5) == pytest.approx(0.75)


@pytest.mark.parametrize("accuracy", [0.0, 0.25, 0.5])
def test_what_was_not_above_chance_has_no_chance_corrected_forgetting(accuracy: float) -> None:
    assert np.isnan(forms.chance_corrected(numbers(0.1), numbers(accuracy), 0.5)).all()


def test_relative_forgetting_of_zero_accuracy_is_undefined() -> None:
    assert np.isnan(forms.relative(numbers(0.0), numbers(0.0))).all()


def test_accuracy_of_nothing_is_undefined_and_not_zero() -> None:
    assert np.isnan(forms.accuracy(numbers(0), numbers(0))).all()


def test_a_mean_over_groups_needs_two_of_them() -> None:
    assert np.isnan(forms.macro_mean(np.ones((1, 4)))).all()
    assert np.isnan(forms.macro_mean(np.ones((0, 4)))).all()
    assert forms.macro_mean(np.array([[0.1], [0.3]])) == pytest.approx(0.2)


@given(fractions, fractions)
def test_swapping_the_orders_turns_the_sign_of_the_order_effect(
    a: np.ndarray, b: np.ndarray
) -> None:
    assert (forms.order_effect(a, b) == -forms.order_effect(b, a)).all()


def test_every_training_that_something_follows_is_a_row() -> None:
    assert forms.forgetting_rows(("a", "b", "a")) == (("a", 1), ("b", 2))
    assert forms.forgetting_rows(("a", "b", "a", "b")) == (("a", 1), ("b", 2), ("a", 3))
    assert forms.forgetting_rows(("a",)) == ()
