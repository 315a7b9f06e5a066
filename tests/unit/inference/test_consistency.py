"""Agreement of pairs about groups, against SciPy, closed forms and enumeration."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from forgetscope.core.inference import permutations
from forgetscope.core.inference.consistency import Consistency, consistency

seeds = st.integers(0, 10**6)


def table(seed: int, pairs: int = 4, groups: int = 5, *, ties: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(pairs, groups)) + rng.normal(size=groups)
    return np.round(values) if ties else values


def found_in(values: np.ndarray, blocks: list[str] | None = None, draws: int = 200) -> Consistency:
    groups = [f"g{i}" for i in range(values.shape[1])]
    names = blocks or [f"pair {i}" for i in range(values.shape[0])]
    return consistency(values, groups, names, np.random.default_rng(0), draws=draws)


@settings(max_examples=40, deadline=None)
@given(seeds, st.booleans(), st.integers(3, 6))
def test_friedman_equals_scipy_and_w_is_its_share_of_the_largest(
    seed: int, ties: bool, pairs: int
) -> None:
    values = table(seed, pairs, ties=ties)
    if all(np.ptp(row) == 0 for row in values):
        return
    found = found_in(values)
    expected = stats.friedmanchisquare(*values.T)
    assert found.friedman.value == pytest.approx(expected.statistic)
    assert found.friedman_p.value == pytest.approx(expected.pvalue)
    assert found.kendall_w.value == pytest.approx(expected.statistic / (pairs * 4))


@settings(max_examples=40, deadline=None)
@given(seeds, st.booleans())
def test_spearman_is_the_mean_over_all_couples_of_pairs(seed: int, ties: bool) -> None:
    values = table(seed, ties=ties)
    if any(np.ptp(row) == 0 for row in values):
        return
    each = [stats.spearmanr(a, b).statistic for a, b in itertools.combinations(values, 2)]
    found = found_in(values)
    assert found.spearman.value == pytest.approx(np.mean(each))
    if not ties:
        assert found.spearman.value == pytest.approx((4 * found.kendall_w.value - 1) / 3)


def test_the_same_order_everywhere_is_complete_agreement() -> None:
    found = found_in(np.array([[1, 2, 3, 4], [10, 20, 30, 40], [0.1, 0.2, 0.3, 0.4]]))
    assert (found.kendall_w.value, found.spearman.value) == (1, pytest.approx(1))
    assert found.permutation.p.value == pytest.approx(1 / 24**2)


@settings(max_examples=15, deadline=None)
@given(seeds, st.booleans())
def test_the_exact_p_counts_all_permutations_of_every_pair(seed: int, ties: bool) -> None:
    values = table(seed, pairs=3, groups=3, ties=ties)
    if all(np.ptp(row) == 0 for row in values):
        return
    found = found_in(values)
    w = []
    for shuffled in itertools.product(*(itertools.permutations(row) for row in values)):
        ranks = stats.rankdata(np.array(shuffled), axis=1)
        w.append(((ranks.sum(axis=0) - 6) ** 2).sum())
    assert found.permutation.exact
    assert found.permutation.p.value == pytest.approx(np.mean(np.array(w) >= w[0] - 1e-9))


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_pairs_of_one_first_stage_are_shuffled_together(seed: int) -> None:
    values = table(seed, pairs=4, groups=3)
    found = found_in(values, ["a", "b", "a", "b"])
    ranks = stats.rankdata(values, axis=1) - 2
    orders = list(itertools.permutations(range(3)))
    s = [
        ((ranks[[0, 2]][:, x].sum(axis=0) + ranks[[1, 3]][:, y].sum(axis=0)) ** 2).sum()
        for x in map(list, orders)
        for y in map(list, orders)
    ]
    assert found.block_permutation.permutations == 6
    assert found.block_permutation.p.value == pytest.approx(np.mean(np.array(s) >= s[0] - 1e-9))


def test_one_first_stage_for_all_pairs_leaves_nothing_to_shuffle() -> None:
    found = found_in(table(1), ["a"] * 4)
    assert found.block_permutation.p.reason == (
        "there is only one first stage; its groups can be shuffled in no other way"
    )
    assert found.permutation.p.value is not None


def test_drawn_permutations_agree_with_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    values = table(3, pairs=3, groups=4)
    exact = found_in(values).permutation
    assert exact.exact
    monkeypatch.setattr(permutations, "MAX_EXACT", 10)
    monkeypatch.setattr(permutations, "_CHUNK_NUMBERS", 7000)
    drawn = found_in(values, draws=20_000).permutation
    assert (drawn.exact, drawn.permutations) == (False, 20_000)
    assert drawn.p.value == pytest.approx(exact.p.value, abs=0.015)


def test_p_is_right_when_nothing_agrees_and_small_when_pairs_do() -> None:
    rng = np.random.default_rng(7)
    alarms = sum(
        found_in(rng.normal(size=(4, 13)), draws=99).permutation.p.value <= 0.1 for _ in range(300)
    )
    assert 0.05 <= alarms / 300 <= 0.16
    agreeing = rng.normal(size=(4, 13)) + 3 * np.arange(13)
    assert found_in(agreeing, draws=999).permutation.p.value == pytest.approx(0.001)


def test_copies_of_a_pair_fool_the_test_by_pair_but_not_the_one_by_first_stage() -> None:
    """Three pairs of one first stage that are nearly the same, and another first stage."""
    rng = np.random.default_rng(5)
    hits = np.zeros(2)
    for _ in range(200):
        one, other = rng.normal(size=(2, 13))
        values = np.stack([one, one, one, other]) + 0.01 * rng.normal(size=(4, 13))
        found = found_in(values, ["a", "a", "a", "b"], draws=99)
        hits += [
            found.permutation.p.value <= 0.05,
            found.block_permutation.p.value <= 0.05,
        ]
    assert hits[0] > 100
    assert hits[1] <= 22


@settings(max_examples=20, deadline=None)
@given(seeds, st.permutations(range(5)), st.permutations(range(4)))
def test_names_scale_and_order_change_nothing(
    seed: int, groups: list[int], pairs: list[int]
) -> None:
    values = table(seed)
    one, two = found_in(values), found_in(np.exp(values)[pairs][:, groups])
    assert one.kendall_w.value == pytest.approx(two.kendall_w.value)
    assert one.spearman.value == pytest.approx(two.spearman.value)


def test_a_group_missing_in_one_pair_is_left_out_and_named() -> None:
    values = table(2)
    values[1, 3] = np.nan
    found = found_in(values)
    assert found.left_out == {"g3": "undefined in 1 of 4 pairs"}
    assert found.groups == ("g0", "g1", "g2", "g4")
    assert found.kendall_w == found_in(np.delete(values, 3, axis=1)).kendall_w


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (table(1, pairs=1), "agreement needs at least 2 pairs"),
        (
            table(1, groups=2),
            "2 groups are defined in every pair; an order worth comparing needs 3",
        ),
        (np.ones((3, 4)), "the groups tie in every pair"),
    ],
)
def test_what_cannot_be_compared_is_undefined_with_the_reason(
    values: np.ndarray, reason: str
) -> None:
    found = found_in(values)
    for number in (found.kendall_w, found.friedman, found.spearman, found.permutation.p):
        assert number.reason == reason


def test_ties_are_not_broken_by_rounding_errors() -> None:
    values = np.array([[0.1 + 0.2, 0.3, 0.5], [1, 2, 3]])
    assert values[0, 0] != values[0, 1]
    same = np.array([[0.3, 0.3, 0.5], [1, 2, 3]])
    assert found_in(values).kendall_w == found_in(same).kendall_w


def test_a_pair_in_which_all_groups_tie_has_no_spearman() -> None:
    found = found_in(np.array([[1.0, 2, 3], [4, 4, 4]]))
    assert found.spearman.reason == "the groups tie in at least one pair"
    assert found.kendall_w.value is not None


def test_a_table_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="2 blocks"):
        consistency(table(1), list("abcde"), ["x", "y"], np.random.default_rng(0), draws=9)
