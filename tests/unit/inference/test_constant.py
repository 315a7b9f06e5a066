"""Intervals of losses that are the same in every cluster."""

import numpy as np
import pytest
from scipy import stats

from forgetscope.core.inference.constant import half_width, largest_share
from forgetscope.core.inference.spread import expanded


@pytest.mark.parametrize(("items", "tail"), [(5, 0.025), (72, 0.025), (400, 0.001)])
def test_the_bound_is_that_of_clopper_and_pearson_for_none_of_n(items: int, tail: float) -> None:
    exact = stats.binomtest(0, items, alternative="less").proportion_ci(1 - tail).high
    assert largest_share(items, tail) == pytest.approx(exact)


def test_nothing_is_known_without_items() -> None:
    assert largest_share(0, 0.025) == 1


def test_many_clusters_leave_the_bound_as_it_is_and_few_make_it_wider() -> None:
    assert half_width(2000, 2000, 2000, 0.025) == pytest.approx(
        largest_share(2000, 0.025), rel=2e-3
    )
    assert half_width(2000, 5, 5, 0.025) > 1.4 * largest_share(2000, 0.025)


def test_changed_items_widen_it_to_that_of_independent_items() -> None:
    """A third lost in each of many clusters: the usual interval of a share."""
    found = half_width(900, 900, 900, 0.025, lost=1 / 3)
    assert found == pytest.approx(1.96 * np.sqrt(2 / 9 / 900), rel=5e-3)
    assert half_width(900, 900, 900, 0.025, lost=1.0) == half_width(900, 900, 900, 0.025)


@pytest.mark.parametrize("clusters", [5, 8, 40, 200])
@pytest.mark.parametrize("tail", [0.1, 0.025, 0.001])
def test_no_change_is_never_surer_than_a_single_one(clusters: int, tail: float) -> None:
    """Otherwise equal answers could fail where one lost item passes."""
    items, rng = 5 * clusters, np.random.default_rng(0)
    lost = np.zeros(clusters)
    lost[0] = 1
    drawn = rng.integers(0, clusters, (20_000, clusters))
    error = float((lost[drawn].sum(axis=1) / items).std(ddof=1))
    single = expanded(float(stats.norm.isf(tail)), clusters, clusters) * error
    assert half_width(items, clusters, clusters, tail) > single
