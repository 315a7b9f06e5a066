"""Correlation over pairs, the local bound, safety beside capability."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from forgetscope.core.curvature import Pair, compare_kinds, local_bound, rank_correlation


def correlate(pairs: list[Pair], seed: int = 0) -> Any:
    return rank_correlation(pairs, np.random.default_rng(seed), replicates=500, confidence=0.95)


def noisy(blocks: int, each: int, slope: float, seed: int = 0) -> list[Pair]:
    rng = np.random.default_rng(seed)
    return [
        Pair(b, float(x), float(slope * x + rng.normal()))
        for b in range(blocks)
        for x in rng.normal(size=each)
    ]


def test_the_correlation_is_spearmans_and_ties_are_shared() -> None:
    pairs = [Pair(i, x, y) for i, (x, y) in enumerate([(1, 2), (2, 2), (2, 5), (4, 3), (9, 8)])]
    known = stats.spearmanr([p.x for p in pairs], [p.y for p in pairs]).statistic
    assert correlate(pairs).value == pytest.approx(known)


def test_a_strong_relation_is_found_and_none_is_not() -> None:
    strong, none = correlate(noisy(10, 3, 3.0)), correlate(noisy(10, 3, 0.0))
    assert strong.low > 0
    assert none.low < 0 < none.high


def test_blocks_are_drawn_whole() -> None:
    """Thirty pairs that are copies of six say no more than six do."""
    six = [Pair(x, float(x), float(y)) for x, y in enumerate([1, 0, 3, 2, 5, 4])]
    copied = [pair for pair in six for _ in range(5)]
    apart = [Pair(i, p.x, p.y) for i, p in enumerate(copied)]
    assert correlate(copied).low == pytest.approx(correlate(six).low)
    assert correlate(apart).low > correlate(copied).low


def test_too_few_pairs_or_first_models_is_an_outcome() -> None:
    few = correlate(noisy(3, 1, 1.0))
    assert few.value is None
    assert few.reason is not None
    assert "too few pairs: 3" in few.reason
    shared = correlate(noisy(2, 5, 1.0))
    assert shared.value is not None
    assert shared.low is None
    assert "too few first models: 2" in str(shared.interval_reason)


def test_what_does_not_vary_has_no_correlation() -> None:
    flat = correlate([Pair(i, 1.0, float(i)) for i in range(8)])
    assert "the same for all pairs" in str(flat.reason)


def test_the_bound_keeps_the_gradient_term() -> None:
    assert local_bound(-0.5, 4.0, 3.0) == 17.5


def test_kinds_are_compared_with_their_losses() -> None:
    found = compare_kinds([(1.0, 0.1), (3.0, 0.3), (2.0, 0.2)], [(4.0, 0.5)])
    assert found is not None
    assert found.safety.radius == (2.0, 1.0, 3.0)
    assert found.capability.loss == (0.5, 0.5, 0.5)
    assert found.ratio.value == 0.5
    assert "unequal losses" in found.caution
    assert compare_kinds([], [(1.0, 1.0)]) is None
    flat = compare_kinds([(1.0, 0.1)], [(0.0, 0.0)])
    assert flat is not None
    assert flat.ratio.value is None
