"""The interval of a ratio, from intervals of differences."""

from collections.abc import Callable

from scipy import optimize

__all__ = ["FARTHEST", "ratio_ends"]

FARTHEST = 1000.0
"""An end beyond this is none: the denominator is too small against its uncertainty [own choice]."""

_ROUNDING = 1e-12


def ratio_ends(
    ends: Callable[[float], tuple[float, float]], ratio: float
) -> tuple[float, float] | None:
    """All ρ for which the interval of `top − ρ·bottom` includes 0 (Fieller 1954, Journal of the
    Royal Statistical Society B 16, 175-185; with any kind of interval instead of the normal one).

    Unlike the quantiles of bootstrapped ratios it keeps its level when the denominator comes near
    to 0, and has no end where the data do not give one.

    Args:
        ends: ρ → both ends of the interval of top − ρ·bottom; that of the bottom is above 0.
        ratio: top / bottom, where the search starts.

    Returns:
        Both ends, or None when one is farther than `FARTHEST` from 0.
    """
    low = _end(lambda rho: ends(rho)[0], ratio, -1)
    high = _end(lambda rho: -ends(rho)[1], ratio, 1)
    return None if low is None or high is None else (low, high)


def _end(outside: Callable[[float], float], ratio: float, side: int) -> float | None:
    """From the ratio to the given side: where the interval stops to include 0 (`outside` > 0)."""
    if outside(ratio) > -_ROUNDING:
        return ratio
    near, step = ratio, 0.1
    while abs(near) < FARTHEST:
        far = near + side * step
        if outside(far) > 0:
            return float(optimize.brentq(outside, near, far, xtol=1e-9))
        near, step = far, 2 * step
    return None
