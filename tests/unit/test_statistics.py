"""The paired cluster bootstrap against a naive second implementation and an exact enumeration."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgetscope.core import statistics
from forgetscope.core.groups import Items, arrange
from forgetscope.core.statistics import Comparison, Functionals

ALL_GROUPS = (0, 1, 2)


def made(
    seed: int, *, items: int = 40, seeds: int = 1, pairs: int = 1, unscored: float = 0.0
) -> tuple[Items, np.ndarray, np.ndarray]:
    """Three disjoint groups that cover the task; clusters of up to four items."""
    rng = np.random.default_rng(seed)
    groups = [("abc"[i % 3],) for i in range(items)]
    clusters = [f"{groups[i][0]}{i // 12}" for i in range(items)]
    outcomes = (rng.random((pairs + 1, seeds, items)) < 0.7).astype(float)
    outcomes[rng.random(outcomes.shape) < unscored] = np.nan
    return arrange(groups, clusters), outcomes[:-1], outcomes[-1]


def point(data: Comparison, clusters: int, judged: tuple[int, ...] = ALL_GROUPS) -> Functionals:
    ones = np.ones((1, clusters)), np.ones((1, data.shape[1]))
    return statistics.evaluate(data, *ones, chance=0.5, judged=judged)


def naive(members: np.ndarray, before: np.ndarray, after: np.ndarray) -> list[float]:
    """Mean over seeds of (accuracy before, accuracy after), item by item."""
    found = []
    for run_before, run_after in zip(before, after, strict=True):
        kept = [
            (b, a)
            for m, b, a in zip(members, run_before, run_after, strict=True)
            if m and not math.isnan(b) and not math.isnan(a)
        ]
        found.append([sum(x) / len(kept) for x in zip(*kept, strict=True)])
    return [sum(x) / len(found) for x in zip(*found, strict=True)]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from([0.0, 0.2]))
def test_accuracies_equal_a_count_by_hand(seed: int, seeds: int, unscored: float) -> None:
    items, earlier, last = made(seed, seeds=seeds, pairs=2, unscored=unscored)
    data = statistics.compare(items, earlier, last, initial=1)
    found = point(data, items.clusters)
    for k, members in enumerate(items.members):
        before, after = naive(members, earlier[1], last)
        assert found.before[k, 0] == pytest.approx(before)
        assert found.after[k, 0] == pytest.approx(after)
        assert found.forgetting[k, 0] == pytest.approx(before - after)
        if k:
            whole = naive(items.members[0], earlier[1], last)
            assert found.biased[k - 1, 0] == pytest.approx(before - after - whole[0] + whole[1])
    best = max(b - a for b, a in (naive(items.members[0], e, last) for e in earlier))
    assert found.best_minus_last[0] == pytest.approx(best)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_biased_forgetting_of_disjoint_groups_sums_to_zero(seed: int, seeds: int) -> None:
    items, earlier, last = made(seed, seeds=seeds)
    data = statistics.compare(items, earlier, last, initial=0)
    biased = point(data, items.clusters).biased[:, 0]
    assert np.dot(data.items[1:], biased) == pytest.approx(0, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_identical_predictions_forget_nothing_in_every_replicate(seed: int) -> None:
    items, earlier, _ = made(seed, unscored=0.1)
    data = statistics.compare(items, earlier, earlier[0], initial=0)
    drawn = replicates(data, 50)
    assert (drawn.forgetting[~np.isnan(drawn.forgetting)] == 0).all()
    assert (drawn.biased[~np.isnan(drawn.biased)] == 0).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_the_order_of_the_items_changes_nothing(seed: int) -> None:
    items, earlier, last = made(seed, seeds=2, unscored=0.1)
    turn = np.random.default_rng(seed).permutation(last.shape[1])
    turned = items._replace(members=items.members[:, turn], cluster=items.cluster[turn])
    one = replicates(statistics.compare(items, earlier, last, initial=0), 20)
    two = replicates(statistics.compare(turned, earlier[:, :, turn], last[:, turn], initial=0), 20)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def replicates(data: Comparison, n: int, seed: int = 0) -> Functionals:
    rng = np.random.default_rng(seed)
    weights = statistics.seed_weights(rng, data.shape[1], n)
    return statistics.bootstrap([data], rng, weights, chance=0.5, judged=[ALL_GROUPS])[0].both


@pytest.mark.parametrize("clusters", [2, 3, 4])
def test_replicates_have_the_distribution_of_all_resamples(clusters: int) -> None:
    rng = np.random.default_rng(clusters)
    cluster = [str(i) for i in range(clusters) for _ in range(2 + i)]
    items = arrange([("a",)] * len(cluster), cluster)
    earlier = (rng.random((1, 1, len(cluster))) < 0.8).astype(float)
    last = (rng.random((1, len(cluster))) < 0.4).astype(float)
    data = statistics.compare(items, earlier, last, initial=0)

    # The truth, item by item: every ordered draw of clusters is equally likely.
    truth = []
    for draw in itertools.product(range(clusters), repeat=clusters):
        picked = np.concatenate([np.flatnonzero(items.cluster == c) for c in draw])
        truth.append(earlier[0, 0, picked].mean() - last[0, picked].mean())

    n = 40_000
    drawn = statistics.bootstrap(
        [data], np.random.default_rng(5), np.ones((n, 1)), chance=0.0, judged=[()]
    )[0].items.forgetting[0]
    error = np.std(truth) / math.sqrt(n)
    assert drawn.mean() == pytest.approx(np.mean(truth), abs=5 * error)
    assert drawn.var() == pytest.approx(np.var(truth), rel=0.05)
    for value in set(np.round(truth, 9)):
        expected = np.mean(np.array(truth) <= value + 1e-6)
        assert np.mean(drawn <= value + 1e-6) == pytest.approx(expected, abs=0.015)
    found = statistics.measured(
        point(data, clusters, ()).forgetting[0], drawn, confidence=0.9, undefined=""
    )
    assert np.mean(np.array(truth) < found.low - 1e-9) <= 0.05 + 0.015
    assert np.mean(np.array(truth) > found.high + 1e-9) <= 0.05 + 0.015


def test_seeds_are_drawn_as_an_outer_level() -> None:
    """Runs that disagree and items that all behave alike: only the seeds vary."""
    items = arrange([("a",)] * 12, [str(i) for i in range(12)])
    earlier, last = np.ones((1, 2, 12)), np.stack([np.ones(12), np.zeros(12)])
    data = statistics.compare(items, earlier, last, initial=0)
    drawn = replicates_without_groups(data, 4000)
    values, counts = np.unique(drawn.forgetting[0], return_counts=True)
    assert values == pytest.approx([0, 0.5, 1])
    assert counts / 4000 == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def replicates_without_groups(data: Comparison, n: int) -> Functionals:
    rng = np.random.default_rng(1)
    weights = statistics.seed_weights(rng, data.shape[1], n)
    return statistics.bootstrap([data], rng, weights, chance=0.0, judged=[()])[0].both


def test_clusters_make_the_interval_wider_than_independent_items() -> None:
    rng = np.random.default_rng(3)
    last = np.repeat((rng.random(20) < 0.5).astype(float), 10)[None]
    earlier = np.ones((1, 1, 200))

    def width(cluster: list[str]) -> float:
        items = arrange([()] * 200, cluster)
        data = statistics.compare(items, earlier, last, initial=0)
        low, high = np.quantile(replicates_without_groups(data, 1000).forgetting[0], [0.05, 0.95])
        return float(high - low)

    whole, single = [str(i // 10) for i in range(200)], [str(i) for i in range(200)]
    assert width(whole) > 2 * width(single)


def test_an_item_of_two_groups_counts_in_both_and_once_in_the_whole() -> None:
    items = arrange([("a", "b"), ("a",), ("b",)], ["1", "2", "3"])
    earlier, last = np.ones((1, 1, 3)), np.array([[0.0, 1.0, 1.0]])
    data = statistics.compare(items, earlier, last, initial=0)
    assert data.items == (3, 2, 2)
    assert point(data, 3, (0, 1)).forgetting[:, 0] == pytest.approx([1 / 3, 0.5, 0.5])


def test_an_unscored_item_leaves_the_pair_and_is_counted() -> None:
    items = arrange([("a",)] * 4, ["1", "1", "2", "3"])
    earlier, last = np.array([[[1, 1, np.nan, 1]]]), np.array([[1, 0, 0, np.nan]])
    data = statistics.compare(items, earlier, last, initial=0)
    assert (data.items, data.clusters, data.unscored) == ((2, 2), (1, 1), (2, 2))
    assert point(data, 3, ()).forgetting[0, 0] == pytest.approx(0.5)


def test_the_draws_do_not_depend_on_the_size_of_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    items, earlier, last = made(1, seeds=2)
    data = statistics.compare(items, earlier, last, initial=0)
    whole = replicates(data, 101)
    monkeypatch.setattr(statistics, "_CHUNK_NUMBERS", 60)
    for a, b in zip(whole, replicates(data, 101), strict=True):
        np.testing.assert_allclose(a, b)


def test_equal_generators_give_equal_replicates_and_others_do_not() -> None:
    items, earlier, last = made(2)
    data = statistics.compare(items, earlier, last, initial=0)
    np.testing.assert_array_equal(replicates(data, 30)[2], replicates(data, 30)[2])
    assert not np.array_equal(replicates(data, 30)[2], replicates(data, 30, seed=1)[2])


def test_undefined_replicates_are_left_out_and_counted() -> None:
    values = np.concatenate([np.linspace(0, 1, 95), np.full(5, np.nan)])
    found = statistics.measured(np.array([0.5]), values, confidence=0.9, undefined="")
    assert found.left_out == 5
    assert (found.low, found.high) == pytest.approx((0.05, 0.95))


def test_too_many_undefined_replicates_mean_no_interval() -> None:
    values = np.concatenate([np.linspace(0, 1, 80), np.full(20, np.nan)])
    found = statistics.measured(np.array([0.5]), values, confidence=0.9, undefined="")
    assert found.value == 0.5
    assert found.low is None
    assert found.interval_reason == "undefined in 20 % of the bootstrap replicates"


def test_an_undefined_number_is_a_reason() -> None:
    found = statistics.measured(
        np.array([np.nan]), np.array([0.1]), confidence=0.9, undefined="nothing there"
    )
    assert (found.value, found.reason, found.low) == (None, "nothing there", None)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """200 data sets of 60 clusters whose true forgetting is 0.3."""
    rng = np.random.default_rng(11)
    items = arrange([()] * 120, [str(i // 2) for i in range(120)])
    hits = 0
    for _ in range(200):
        shift = np.repeat(rng.choice([-0.2, 0.2], 60), 2)
        earlier = (rng.random((1, 1, 120)) < 0.9).astype(float)
        last = (rng.random((1, 120)) < 0.6 + shift).astype(float)
        data = statistics.compare(items, earlier, last, initial=0)
        drawn = statistics.bootstrap([data], rng, np.ones((300, 1)), chance=0.0, judged=[()])[
            0
        ].items.forgetting[0]
        low, high = np.quantile(drawn, [0.05, 0.95])
        hits += low <= 0.3 <= high
    assert 0.83 <= hits / 200 <= 0.96


def test_groups_and_clusters_must_belong_to_the_same_items() -> None:
    with pytest.raises(ValueError, match="2 items have groups, 1 have a cluster"):
        arrange([("a",), ("b",)], ["1"])
