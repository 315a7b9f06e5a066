"""The exact McNemar test against statsmodels and the definition."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as oracle

from forgetscope.core.inference.mcnemar import discordance, mcnemar

counts = st.integers(0, 60)


@settings(deadline=None)
@given(counts, counts)
def test_p_equals_that_of_statsmodels(b: int, c: int) -> None:
    found = mcnemar(b, c, b + c + 7, clusters=b + c + 7)
    assert found.p.value == pytest.approx(oracle([[3, b], [c, 4]], exact=True).pvalue)


def test_p_is_twice_the_tail_counted_by_hand() -> None:
    tail = sum(math.comb(10, k) for k in range(3)) / 2**10
    assert mcnemar(8, 2, 40, clusters=40).p.value == pytest.approx(2 * tail)


@settings(deadline=None)
@given(counts, counts)
def test_forgetting_and_its_mirror_are_equally_surprising(b: int, c: int) -> None:
    n = b + c + 1
    assert mcnemar(b, c, n, clusters=n).p == mcnemar(c, b, n, clusters=n).p


def test_no_change_at_all_speaks_against_nothing() -> None:
    assert mcnemar(0, 0, 12, clusters=12).p.value == 1


def test_nothing_scored_is_a_reason_and_not_a_p_value() -> None:
    found = mcnemar(0, 0, 0, clusters=0)
    assert (found.p.value, found.p.reason) == (None, "no item was scored under both models")


def test_clustered_items_come_with_the_caution_that_the_test_is_about_items() -> None:
    found = mcnemar(8, 2, 160, clusters=4)
    assert found.caution is not None
    assert "160 items as independent, but they come from 4 clusters" in found.caution
    assert mcnemar(8, 2, 160, clusters=160).caution is None


def test_only_items_scored_under_both_models_are_counted() -> None:
    before = np.array([1, 1, 0, 0, 1, np.nan, 1])
    after = np.array([1, 0, 1, 0, np.nan, 0, 0])
    assert discordance(before, after) == (2, 1, 5)


def test_counts_that_cannot_be_are_refused() -> None:
    for b, c, n, clusters in [(-1, 0, 3, 3), (2, 2, 3, 3), (1, 1, 3, 4), (1, 1, 3, 0)]:
        with pytest.raises(ValueError, match="cannot be"):
            mcnemar(b, c, n, clusters=clusters)
    with pytest.raises(ValueError, match="shape"):
        discordance(np.ones(3), np.ones(2))
