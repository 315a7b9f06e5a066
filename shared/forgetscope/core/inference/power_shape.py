"""How far totals of clusters are from normal, for the planner.

Few changes that come in clusters are skewed and have heavy tails. Then the standard error that an
interval estimates varies more than with normal totals, and goes along with the number itself; both
move the power by some points. Shares of lost and gained items are taken to vary between clusters as
a Dirichlet distribution with concentration 1/icc − 1, which gives the correlation icc.
"""

from functools import lru_cache
from math import comb, prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Cumulants", "cumulants"]

Floats = npt.NDArray[np.float64]

_MOST_ICC = 1 - 1e-9

_STIRLING = ((1,), (0, 1), (0, 1, 1), (0, 1, 3, 1), (0, 1, 7, 6, 1))
"""Stirling numbers of the second kind: powers from falling factorials."""


class Cumulants(NamedTuple):
    """Third and fourth cumulant of a sum over clusters: n³ and n⁴ times those of its mean."""

    third: float
    fourth: float


@lru_cache(maxsize=1024)
def cumulants(
    sizes: tuple[int, ...], stretch: float, *, lost: float, gained: float, icc: float
) -> Cumulants:
    """Of lost minus gained items, summed over clusters of these sizes times `stretch`.

    With falling factorials, `E[L^(a)·G^(b)] = m^(a+b)·∏_{i<a} (l + iθ)·∏_{j<b} (g + jθ) /
    ∏_{k<a+b} (1 + kθ)` and θ = icc/(1 − icc) (Dirichlet-multinomial: Mosimann 1962, Biometrika 49,
    65-82). Items are counted as if `stretch` made whole ones.
    """
    counts, falling = _falling(sizes, stretch)
    theta = min(icc, _MOST_ICC) / (1 - min(icc, _MOST_ICC))

    def chance(a: int, b: int) -> float:
        up = prod(lost + i * theta for i in range(a)) * prod(gained + j * theta for j in range(b))
        return up / prod(1 + k * theta for k in range(a + b))

    def raw(power: int) -> Floats:
        weights = [0.0] * 5
        for g in range(power + 1):
            sign = comb(power, g) * (-1) ** g
            for a, s in enumerate(_STIRLING[power - g]):
                for b, t in enumerate(_STIRLING[g]):
                    if s and t:
                        weights[a + b] += sign * s * t * chance(a, b)
        found: Floats = np.array(weights) @ falling
        return found

    mean, second, third, fourth = (raw(power) for power in range(1, 5))
    variance = second - mean**2
    skew = third - 3 * mean * second + 2 * mean**3
    tails = fourth - 4 * mean * third + 6 * mean**2 * second - 3 * mean**4 - 3 * variance**2
    return Cumulants(float((counts * skew).sum()), float((counts * tails).sum()))


@lru_cache(maxsize=1024)
def _falling(sizes: tuple[int, ...], stretch: float) -> tuple[Floats, Floats]:
    """How often each size comes [U], and its falling factorials m^(0), …, m^(4) [5, U]."""
    values, counts = np.unique(np.array(sizes, dtype=np.float64), return_counts=True)
    m = np.maximum(1.0, values * stretch)
    falling = np.cumprod([np.ones_like(m), m, m - 1, m - 2, m - 3], axis=0)
    return counts.astype(np.float64), falling
