"""Rank correlation over groups within rows, against SciPy and against all permutations."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from forgetscope.core.inference.association import Associated, associate

Floats = npt.NDArray[np.float64]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def found(x: Floats, y: Floats, *, replicates: int = 400, seed: int = 0) -> Associated:
    return associate(x, y, rng(seed), replicates=replicates, confidence=0.95)


@pytest.mark.parametrize("seed", range(5))
def test_one_row_is_spearman_with_the_p_of_all_permutations(seed: int) -> None:
    x = rng(seed).integers(0, 4, 6).astype(float)
    y = x + rng(seed + 9).normal(0, 2, 6)
    said = found(x[None], y[None])
    rho = stats.spearmanr(x, y).statistic
    assert said.spearman.value == pytest.approx(rho)
    tried = [stats.spearmanr(x[list(o)], y).statistic for o in itertools.permutations(range(6))]
    assert said.p.value == pytest.approx(np.mean(np.abs(tried) >= abs(rho) - 1e-12))


def test_several_rows_are_the_mean_of_their_correlations_and_share_a_permutation() -> None:
    x, y = rng(1).normal(size=(3, 5)), rng(2).normal(size=(3, 5))
    said = found(x, y)

    def mean(order: tuple[int, ...]) -> float:
        rows = [stats.spearmanr(a[list(order)], b).statistic for a, b in zip(x, y, strict=True)]
        return float(np.mean(rows))

    tried = [abs(mean(order)) for order in itertools.permutations(range(5))]
    assert said.spearman.value == pytest.approx(mean((0, 1, 2, 3, 4)))
    assert said.p.value == pytest.approx(np.mean(np.array(tried) >= tried[0] - 1e-12))


def test_copies_of_a_row_prove_nothing_more() -> None:
    x, y = rng(3).normal(size=(1, 7)), rng(4).normal(size=(1, 7))
    one, many = found(x, y), found(np.repeat(x, 10, axis=0), np.repeat(y, 10, axis=0))
    assert many.spearman.value == pytest.approx(one.spearman.value)
    assert many.p.value == pytest.approx(one.p.value)


def test_drawn_permutations_are_near_the_t_distribution_and_never_give_0() -> None:
    x = rng(5).normal(size=12)
    y = x + rng(6).normal(0, 1.5, 12)
    assert found(x[None], y[None]).p.value == pytest.approx(stats.spearmanr(x, y).pvalue, abs=0.02)
    same = found(x[None], x[None])
    assert same.p.value == pytest.approx(1e-4)
    assert same.spearman.low is None
    assert "agree in full" in str(same.spearman.interval_reason)


def test_the_interval_covers_0_where_nothing_goes_together() -> None:
    covered = 0
    for seed in range(100):
        x, y = rng(seed).normal(size=(1, 10)), rng(seed + 1000).normal(size=(1, 10))
        said = found(x, y, seed=seed).spearman
        assert said.low is not None
        assert said.high is not None
        covered += said.low <= 0 <= said.high
    assert covered >= 92


def test_too_few_groups_and_equal_numbers_are_outcomes_with_a_reason() -> None:
    three = found(rng().normal(size=(1, 3)), rng().normal(size=(1, 3)))
    assert "too few groups: 3, at least 4" in str(three.spearman.reason)
    assert three.p == three.spearman
    same = found(np.full((2, 6), 0.1 + 0.2), rng().normal(size=(2, 6)))
    assert "the same for all groups" in str(same.spearman.reason)
    four = found(rng(1).normal(size=(1, 4)), rng(2).normal(size=(1, 4)))
    assert four.spearman.value is not None
    assert "too few groups for an interval" in str(four.spearman.interval_reason)
    with pytest.raises(ValueError, match="shapes"):
        found(np.ones((1, 4)), np.ones((1, 5)))
