"""Few clusters and few runs: closed forms, brute force, and coverage of a normal model."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from forgetscope.core.inference.spread import (
    RunVariance,
    added,
    expanded,
    half_width,
    of_runs,
    unexpanded,
    z_of,
)
from forgetscope.core.statistics import cluster_weights


@settings(deadline=None)
@given(st.integers(2, 200), st.integers(0, 500), st.floats(-4, 4), st.booleans())
def test_the_expansion_keeps_the_order_and_can_be_undone(
    clusters: int, others: int, z: float, biased: bool
) -> None:
    drawn = clusters + others
    t = expanded(z, clusters, drawn, biased=biased)
    assert abs(t) <= abs(expanded(z + np.copysign(0.1, z), clusters, drawn, biased=biased))
    assert unexpanded(t, clusters, drawn, biased=biased) == pytest.approx(z, abs=1e-9)


@pytest.mark.parametrize("biased", [False, True])
def test_the_expansion_undoes_what_a_bootstrap_over_the_whole_task_does_to_a_group(
    biased: bool,
) -> None:
    """The variance of a group of 4 clusters among 12, over all draws, against the right one.

    Values 0, 1, 3, 4 in the group have s² = 10/3; all others are 0, so that with `biased` the
    number is (1 − n/12) times the mean of the group.
    """
    values, rng = np.array([0.0, 1.0, 3.0, 4.0]) - 2, np.random.default_rng(1)
    weights = cluster_weights(rng, 12, 400_000)[:, :4]
    n = weights.sum(axis=1)
    kept = n > 0
    means = (weights @ values)[kept] / n[kept]
    if biased:
        means = means * (1 - n[kept] / 12)
    right = 10 / 3 / 4 * ((1 - 4 / 12) ** 2 if biased else 1)
    factor = expanded(1.0, 4, 12, biased=biased) / stats.t.isf(stats.norm.sf(1.0), 3)
    assert means.var() * factor**2 == pytest.approx(right, rel=0.01)


def test_runs_and_what_they_share_with_items_are_those_of_all_draws() -> None:
    """Every draw of 3 clusters and of 2 runs, against the mean squares of the crossed table."""
    y = np.array([[0.0, 2.0, 7.0], [1.0, 5.0, 4.0]])  # runs × clusters
    s, c = y.shape
    draws = list(itertools.product(range(c), repeat=c))
    weights = np.array([np.bincount(d, minlength=c) for d in draws]) / c
    runs = [np.bincount(d, minlength=s) / s for d in itertools.product(range(s), repeat=s)]
    items = np.concatenate([weights @ y.mean(axis=0)] * len(runs))
    both = np.concatenate([weights @ (w @ y) for w in runs])
    left_out = (y.sum(axis=0) - y).mean(axis=1) / (s - 1)
    found = of_runs(items, both, left_out, clusters=c, drawn=c)
    assert found is not None
    means = y.mean(axis=1)
    assert found.between == pytest.approx(means.var(ddof=1) / s)
    rest = y - y.mean(axis=0) - means[:, None] + y.mean()
    assert found.shared == pytest.approx((rest**2).sum() / ((s - 1) * (c - 1)) / (s * c))
    assert found.degrees == 1


def test_a_single_run_says_nothing_about_runs() -> None:
    x = np.zeros(5)
    assert of_runs(x, x, np.zeros(1), clusters=5, drawn=5) is None
    assert half_width(0.3, 1.96, None) == 0.3


@settings(deadline=None)
@given(
    st.floats(0, 0.5), st.floats(1e-3, 0.2), st.floats(0, 0.04), st.floats(0, 0.02),
    st.integers(1, 9), st.integers(2, 60),
)  # fmt: skip
def test_the_quantile_at_a_distance_is_where_the_interval_ends(
    distance: float, error: float, between: float, shared: float, degrees: int, clusters: int
) -> None:
    runs = RunVariance(between, shared, degrees)
    z = z_of(distance, error, runs, clusters=clusters, drawn=clusters)
    end = half_width(expanded(z, clusters, clusters) * error, z, runs)
    assert end == pytest.approx(distance, abs=1e-7) or (z == 8 and end < distance)


def test_runs_that_do_not_differ_add_nothing() -> None:
    assert added(1.96, RunVariance(between=0.01, shared=0.011, degrees=2)) == 0
    assert added(3.0, RunVariance(between=0.0, shared=0.0, degrees=2)) == 0


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("differ", [0.0, 0.5, 2.0, 10.0])
def test_a_normal_model_is_covered_and_a_family_keeps_its_error_rate(
    seeds: int, differ: float
) -> None:
    """Variance 1 from items, of which a quarter is of item and run together; `differ` from runs."""
    rng, n, shared = np.random.default_rng(seeds), 40_000, 0.25
    x = np.sqrt(1 + differ) * rng.normal(size=n)
    between = (differ + shared) * rng.chisquare(seeds - 1, size=n) / (seeds - 1)
    runs = RunVariance(between, shared, seeds - 1)

    def missed(groups: int) -> float:
        z = float(stats.norm.isf(0.025 / groups))
        return float((np.abs(x) > half_width(z, z, runs)).mean())

    assert 0.92 <= 1 - missed(1) <= 0.97
    assert 13 * missed(13) <= 0.06
