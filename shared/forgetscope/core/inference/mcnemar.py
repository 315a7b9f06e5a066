"""Exact McNemar test: did as many items turn from right to wrong as the other way round?"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from forgetscope.schema.results import Measured

__all__ = ["McNemar", "discordance", "mcnemar"]


class McNemar(NamedTuple):
    """The counts and the p value. `caution` says why p is too small, if the items are clustered."""

    b: int
    """items that were right before and wrong after"""
    c: int
    """items that were wrong before and right after"""
    n: int
    """items scored under both models"""
    p: Measured
    """two-sided"""
    caution: str | None


def discordance(
    before: npt.NDArray[np.float64], after: npt.NDArray[np.float64]
) -> tuple[int, int, int]:
    """(b, c, n) of outcomes [N] of one run: 1 right, 0 wrong, NaN unscored.

    An item that is unscored under either model is no pair.

    Raises:
        ValueError: the two have different shapes.
    """
    if before.shape != after.shape:
        raise ValueError(f"outcomes of shape {before.shape} and {after.shape}")
    both = ~np.isnan(before) & ~np.isnan(after)
    lost = both & (before > after)
    gained = both & (before < after)
    return int(lost.sum()), int(gained.sum()), int(both.sum())


def mcnemar(b: int, c: int, n: int, *, clusters: int) -> McNemar:
    """Exact two-sided McNemar test (McNemar 1947, Psychometrika 12, 153-157).

    Without a change, b is binomial with b + c trials and probability 1/2; p is twice the smaller
    tail, at most 1. With b + c = 0 nothing speaks against "no change": p = 1.

    The test is about items. It takes them as independent, so with fewer clusters than items its p
    is too small; `caution` then says so, and the cluster bootstrap decides.

    Args:
        b: items right before and wrong after.
        c: items wrong before and right after.
        n: items scored under both models.
        clusters: how many clusters those items come from.

    Raises:
        ValueError: counts that cannot be.
    """
    if min(b, c) < 0 or b + c > n or clusters > n or (clusters < 1 <= n):
        raise ValueError(f"b={b}, c={c}, n={n}, clusters={clusters} cannot be")
    if n == 0:
        return McNemar(0, 0, 0, Measured(reason="no item was scored under both models"), None)
    p = min(1.0, 2 * float(stats.binom.cdf(min(b, c), b + c, 0.5)))
    caution = (
        f"item level: takes the {n} items as independent, but they come from {clusters} clusters, "
        "so p is too small"
        if clusters < n
        else None
    )
    return McNemar(b, c, n, Measured(value=p), caution)
