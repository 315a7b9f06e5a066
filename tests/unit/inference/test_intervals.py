"""BCa against SciPy, the expansion against the t interval, the jackknife against by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from forgetscope.core import statistics
from forgetscope.core.groups import arrange
from forgetscope.core.inference.intervals import (
    Method,
    acceleration,
    interval,
    jackknife_clusters,
    jackknife_seeds,
)
from forgetscope.core.inference.spread import RunVariance, added, expanded
from forgetscope.schema.results import Measured


def made(
    value: float,
    replicates: np.ndarray,
    method: Method,
    jackknives: list[np.ndarray],
    clusters: int = 10,
    runs: RunVariance | None = None,
    bounds: tuple[float, float] | None = None,
) -> Measured:
    return interval(
        np.array([value]),
        replicates,
        method=method,
        clusters=clusters,
        drawn=clusters,
        jackknives=jackknives,
        confidence=0.9,
        undefined="nothing scored",
        runs=runs,
        bounds=bounds,
    )


@pytest.mark.parametrize("seed", range(5))
def test_bca_equals_scipy_on_the_same_replicates(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.exponential(size=25)
    expected = stats.bootstrap(
        (x,), np.mean, method="BCa", n_resamples=2000, confidence_level=0.9, rng=rng
    )
    jackknife = (x.sum() - x) / 24
    found = made(float(x.mean()), expected.bootstrap_distribution, "bca", [jackknife])
    assert found.low == pytest.approx(expected.confidence_interval.low)
    assert found.high == pytest.approx(expected.confidence_interval.high)
    plain = made(float(x.mean()), expected.bootstrap_distribution, "percentile", [])
    assert found.high != plain.high


def test_bca_of_two_samples_equals_scipy() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.exponential(size=20), rng.exponential(size=9)

    def product(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.mean(a, axis=axis) * np.mean(b, axis=axis)

    expected = stats.bootstrap(
        (x, y), product, method="BCa", n_resamples=1000, confidence_level=0.9, rng=rng
    )
    jackknives = [(x.sum() - x) / 19 * y.mean(), (y.sum() - y) / 8 * x.mean()]
    value = float(x.mean() * y.mean())
    found = made(value, expected.bootstrap_distribution, "bca", jackknives)
    assert found.low == pytest.approx(expected.confidence_interval.low)
    assert found.high == pytest.approx(expected.confidence_interval.high)


def test_a_symmetric_case_needs_no_correction() -> None:
    replicates = np.linspace(-1, 1, 2001)
    jackknife = np.array([-0.1, 0.1] * 5)
    assert acceleration([jackknife]) == pytest.approx(0)
    one, two = (made(0.0, replicates, m, [jackknife]) for m in ("percentile", "bca"))
    assert (one.low, one.high) == pytest.approx((two.low, two.high))


def test_the_expanded_interval_of_normal_replicates_is_the_t_interval() -> None:
    """Replicates with the standard deviation of a bootstrap, s·√((n−1)/n)/√n with s = 1."""
    n = 6
    spread = np.sqrt((n - 1) / n) / np.sqrt(n)
    replicates = spread * stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    found = made(0.0, replicates, "expanded", [], clusters=n)
    assert found.high == pytest.approx(stats.t.ppf(0.95, n - 1) / np.sqrt(n), rel=1e-3)
    assert found.low == pytest.approx(-found.high)


@pytest.mark.parametrize("method", ["expanded", "bca"])
def test_undefined_numbers_and_replicates_are_treated_as_for_percentiles(method: Method) -> None:
    replicates = np.concatenate([np.linspace(0, 1, 95), np.full(5, np.nan)])
    jackknife = np.linspace(0.4, 0.6, 10)
    assert made(0.5, replicates, method, [jackknife]).left_out == 5
    assert made(np.nan, replicates, method, [jackknife]).reason == "nothing scored"
    broken = np.where(np.arange(100) < 50, np.nan, 1.0)
    reason = made(0.5, broken, method, [jackknife]).interval_reason
    assert reason == "undefined in 50 % of the bootstrap replicates"


def test_where_bca_has_no_interval_it_says_why() -> None:
    replicates, jackknife = np.linspace(0, 1, 100), np.linspace(0, 1, 10)
    for value, values, leave_one_out, clusters, reason in [
        (2.0, replicates, jackknife, 10, "do not lie on both sides"),
        (0.5, np.full(100, 0.5), jackknife, 10, "do not lie on both sides"),
        (0.5, replicates, np.array([0.1, np.nan]), 10, "undefined when one cluster"),
        (0.5, replicates, jackknife, 1, "single cluster"),
        (0.0101, replicates, np.array([0.0] * 50 + [1.0]), 51, None),
    ]:
        found = made(value, values, "bca", [leave_one_out], clusters)
        assert (found.low is None) == (reason is not None)
        if reason is not None:
            assert found.interval_reason is not None
            assert reason in found.interval_reason
        assert found.value == value


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_leaving_out_a_cluster_or_a_seed_equals_a_task_without_it(seed: int, seeds: int) -> None:
    rng = np.random.default_rng(seed)
    cluster = [str(i // 3) for i in range(18)]
    items = arrange([("a",) if i % 2 else ("b",) for i in range(18)], cluster)
    earlier = (rng.random((1, seeds, 18)) < 0.8).astype(float)
    last = (rng.random((seeds, 18)) < 0.5).astype(float)
    data = statistics.compare(items, earlier, last, initial=0)
    found = jackknife_clusters(data, chance=0.0, judged=(0, 1))
    assert found.forgetting.shape == (3, 6)
    for c in range(6):
        kept = items.cluster != c
        change = earlier[0][:, kept] - last[:, kept]
        assert found.forgetting[0, c] == pytest.approx(change.mean())
        group = items.members[1][kept]
        biased = change[:, group].mean() - change.mean()
        assert found.biased[0, c] == pytest.approx(biased)
    without_seed = jackknife_seeds(data, chance=0.0, judged=(0, 1))
    if seeds == 1:
        assert without_seed is None
        return
    assert without_seed is not None
    for s in range(seeds):
        change = np.delete(earlier[0] - last, s, axis=0)
        assert without_seed.forgetting[0, s] == pytest.approx(change.mean())


def test_the_jackknife_does_not_depend_on_the_size_of_a_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(1)
    items = arrange([("a",)] * 20, [str(i // 2) for i in range(20)])
    earlier, last = np.ones((1, 1, 20)), (rng.random((1, 20)) < 0.5).astype(float)
    data = statistics.compare(items, earlier, last, initial=0)
    whole = jackknife_clusters(data, chance=0.0, judged=())
    monkeypatch.setattr("forgetscope.core.inference.intervals._CHUNK_NUMBERS", 25)
    for a, b in zip(whole, jackknife_clusters(data, chance=0.0, judged=()), strict=True):
        np.testing.assert_allclose(a, b)


def test_few_clusters_get_the_t_interval_of_the_replicates_standard_deviation() -> None:
    replicates = np.array([0.0, 0.1, 0.1, 0.3] * 100)
    found = made(0.1, replicates, "expanded", [], clusters=5)
    half = expanded(float(stats.norm.isf(0.05)), 5, 5) * replicates.std(ddof=1)
    assert (found.low, found.high) == pytest.approx((0.1 - half, 0.1 + half))


@pytest.mark.parametrize("method", ["percentile", "expanded", "bca"])
def test_what_runs_add_widens_each_side_by_its_square(method: Method) -> None:
    replicates, jackknife = np.linspace(-1, 3, 2001), np.linspace(0.8, 1.2, 40)
    runs = RunVariance(between=0.5, shared=0.1, degrees=2)
    alone = made(1.0, replicates, method, [jackknife], clusters=40)
    wide = made(1.0, replicates, method, [jackknife], clusters=40, runs=runs)
    more = added(float(stats.norm.isf(0.05)), runs)
    assert 1.0 - wide.low == pytest.approx(np.sqrt((1.0 - alone.low) ** 2 + more))
    assert wide.high - 1.0 == pytest.approx(np.sqrt((alone.high - 1.0) ** 2 + more))


def test_a_share_has_no_end_outside_of_its_bounds() -> None:
    found = made(0.97, np.linspace(0.9, 1.0, 200), "expanded", [], clusters=6, bounds=(0, 1))
    assert found.high == 1
    assert found.low is not None
    assert found.low > 0.8


def test_a_number_that_needs_every_seed_has_no_interval() -> None:
    runs = RunVariance(between=float("nan"), shared=0.0, degrees=2)
    found = made(0.5, np.linspace(0, 1, 100), "expanded", [], runs=runs)
    assert (found.value, found.low) == (0.5, None)
    assert found.interval_reason == "undefined when one seed is left out"
