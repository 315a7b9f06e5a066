"""Permutation test for the agreement of rows: all permutations when few, drawn ones otherwise."""

import itertools
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forgetscope.schema.results import Measured

__all__ = ["MAX_EXACT", "PermutationTest", "permute_rows"]

Floats = npt.NDArray[np.float64]

MAX_EXACT = 50_000
"""Most permutations that are all tried [own choice: well under a second]."""

_CHUNK_NUMBERS = 4_000_000
"""Bounds the memory of a chunk of permutations (8 bytes a number)."""


class PermutationTest(NamedTuple):
    """`exact`: all permutations were tried, else they were drawn; `permutations`: how many."""

    p: Measured
    exact: bool
    permutations: int


def permute_rows(
    rows: Floats, rng: np.random.Generator, *, draws: int, unit: str
) -> PermutationTest:
    """How often is `Σ_g (Σ_b x_bg)²` at least as large when each row is shuffled by itself?

    The statistic is Kendall's W up to constants when the rows are centred ranks, or sums of them
    over rows that are shuffled together. One row stays as it is, since only the order of the rows
    relative to each other counts: (k!)^(b−1) permutations. If these are at most `MAX_EXACT`, p is
    their share; otherwise `p = (1 + hits)/(1 + draws)` (Phipson & Smyth 2010, SAGMB 9(1), 39).

    Undefined, with the reason, for a single row: shuffling it changes nothing.

    Args:
        rows: [b, k] centred numbers.
        rng: used only when permutations are drawn.
        draws: how many are then drawn.
        unit: what a row is, for the reason.
    """
    b, k = rows.shape
    if b < 2:
        reason = f"there is only one {unit}; its groups can be shuffled in no other way"
        return PermutationTest(Measured(reason=reason), exact=True, permutations=0)
    # Equal sums that differ by a rounding error count as equal.
    limit = _statistic(rows.sum(axis=0)) * (1 - 1e-12)
    total = math.factorial(k) ** (b - 1)
    if total <= MAX_EXACT:
        orders = np.array(list(itertools.permutations(range(k))))
        sums = rows[:1]
        for row in rows[1:]:
            sums = (sums[:, None, :] + row[orders][None]).reshape(-1, k)
        p = float(np.mean(_statistic(sums) >= limit))
        return PermutationTest(Measured(value=p), exact=True, permutations=total)
    hits, left = 0, draws
    size = max(1, _CHUNK_NUMBERS // rows.size)
    while left > 0:
        n = min(size, left)
        shuffled = rng.permuted(np.broadcast_to(rows[1:], (n, b - 1, k)), axis=-1)
        hits += int(np.sum(_statistic(rows[0] + shuffled.sum(axis=1)) >= limit))
        left -= n
    return PermutationTest(Measured(value=(1 + hits) / (1 + draws)), False, draws)


def _statistic(sums: Floats) -> Floats:
    total: Floats = (sums**2).sum(axis=-1)
    return total
