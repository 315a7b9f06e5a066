"""From bootstrap replicates to the width of an interval: few clusters, and few training runs.

A bootstrap that draws clusters says how far a number may lie off because of the items, in the runs
as they are. What runs add is not drawn but computed, since two or three of them are too few to be
drawn from. With S runs and C clusters, crossed, the variance of a mean is

    σ²_cluster/C + σ²_run/S + σ²_both/(S·C).

The bootstrap over clusters takes the first and the last term, the variance between the runs the
last two, so that the last, which both hold, is subtracted once (two-way clustering: Cameron,
Gelbach & Miller 2011, Journal of Business & Economic Statistics 29, 238-249).
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

__all__ = ["RunVariance", "added", "expanded", "half_width", "of_runs", "unexpanded", "z_of"]

Floats = npt.NDArray[np.float64]
Real = float | Floats

_ONE_NUMBER = float(stats.norm.isf(0.025))
"""Up to this quantile, that of one interval of 95 %, `added` subtracts in full."""

_LARGEST = 8.0
"""Quantiles are searched up to here: p = 10⁻¹⁵."""


class RunVariance(NamedTuple):
    """What S ≥ 2 training runs say about the variance of the mean over them."""

    between: Real
    """`σ²_run/S + σ²_both/(S·C)`, from how the runs differ from one another"""
    shared: Real
    """`σ²_both/(S·C)`, which the bootstrap over clusters holds as well"""
    degrees: int
    """S − 1"""


def of_runs(
    items: Floats,
    both: Floats,
    left_out: Floats,
    *,
    clusters: int,
    drawn: int,
    biased: bool = False,
) -> RunVariance | None:
    """The variance between runs of one number; None with a single run.

    `between` is the jackknife over runs, `(S − 1)/S·Σ (θ_(s) − mean)²`. What drawing the runs adds
    to the replicates has, over clusters and runs, the variance `(1 − 1/S)·(between + shared)`
    (Owen 2007, Annals of Applied Statistics 1(2), 386-411), from which `shared` follows.

    Args:
        items: replicates [R] with clusters drawn and every run counted once.
        both: replicates [R] with the same clusters and with runs drawn.
        left_out: the number with one run left out at a time [S].
        clusters, drawn, biased: as in `expanded`.
    """
    s = left_out.size
    if s < 2:
        return None
    between = (s - 1) / s * float(((left_out - left_out.mean()) ** 2).sum())
    moved = both - items
    moved = moved[~np.isnan(moved)]
    if not moved.size:
        return RunVariance(between, 0.0, s - 1)
    shared = float(moved.var()) * s / (s - 1) - between
    return RunVariance(between, max(0.0, shared * _few(clusters, drawn, biased) ** 2), s - 1)


def expanded(z: float, clusters: int, drawn: int, *, biased: bool = False) -> float:
    """Quantile of the normal distribution → the one to use with a bootstrap over few clusters.

    `k·t_{C−1}(Φ(z))`: a bootstrap that draws all its C clusters understates the variance by
    (C−1)/C, hence k = √(C/(C−1)), and does not know that the variance was estimated (Hesterberg
    2015, arXiv 1411.5279, "expanded percentile interval"). Our extension: a group of C clusters
    within a task of D gets n of them in a draw, n binomial with mean C, so that its variance comes
    out `(C−1)/C·E[w(n)/n]` where `w(C)/C` is right: w(n) = 1 for a number of the group itself, and
    (1 − n/D)² for its difference to the task as a whole, of which it is a part.

    Args:
        z: a quantile of the standard normal distribution.
        clusters: C ≥ 2, the clusters that the number rests on.
        drawn: D ≥ C, the clusters that the bootstrap draws from.
        biased: the number is a difference between the group and the whole.
    """
    quantile = _few(clusters, drawn, biased) * _t(abs(z), clusters - 1)
    return float(np.copysign(quantile, z))


def _t(z: float, degrees: int) -> float:
    """Quantile of the normal distribution → that of t (`scipy.stats` takes 100 times as long)."""
    return -float(special.stdtrit(degrees, special.ndtr(-z)))


def unexpanded(t: float, clusters: int, drawn: int, *, biased: bool = False) -> float:
    """The inverse of `expanded`."""
    tail = special.stdtr(clusters - 1, -abs(t) / _few(clusters, drawn, biased))
    return float(np.copysign(special.ndtri(tail), t))


@lru_cache(maxsize=4096)
def _few(clusters: int, drawn: int, biased: bool) -> float:
    if clusters == drawn:
        return float(np.sqrt(clusters / (clusters - 1)))
    most = min(drawn, int(clusters + 12 * np.sqrt(clusters) + 50))
    n = np.arange(1, most + 1)
    chance = stats.binom.pmf(n, drawn, clusters / drawn)
    weight = (1 - n / drawn) ** 2 if biased else np.ones(n.size)
    right = (1 - clusters / drawn) ** 2 if biased else 1.0
    taken = (chance * weight / n).sum() / chance.sum()
    return float(np.sqrt(right / ((clusters - 1) * taken)))


def added(z: float, runs: RunVariance) -> Real:
    """What runs add to the square of the half-width of an interval.

    `max(0, t(z)²·between − t(min(z, 1.96))²·shared)` with t the quantile of S − 1 degrees of
    freedom: the half-widths of independent parts add up by their squares (Howe 1974, Journal of the
    American Statistical Association 69, 789-794), each with its own degrees of freedom. Joining
    these to one, as Satterthwaite does, was too narrow with 3 runs. Our choice: `shared` is not
    subtracted by more than at 95 %. Far out, where many groups are judged, t(z)² is so large that a
    small error in the difference would decide.
    """
    t, one = _t(z, runs.degrees), _t(min(z, _ONE_NUMBER), runs.degrees)
    found: Real = np.maximum(0.0, t**2 * runs.between - one**2 * runs.shared)
    return found


def half_width(items: Real, z: float, runs: RunVariance | None) -> Real:
    """Half of the width of an interval at the normal quantile z.

    Args:
        items: that for the items alone, `expanded(z)` times the standard deviation of replicates.
        z: ≥ 0.
        runs: None with a single run.
    """
    if runs is None:
        return items
    found: Real = np.sqrt(items**2 + added(z, runs))
    return found


def z_of(
    distance: float,
    error: float,
    runs: RunVariance | None,
    *,
    clusters: int,
    drawn: int,
    biased: bool = False,
) -> float:
    """The normal quantile at which an interval ends at a distance from its value.

    Args:
        distance: ≥ 0.
        error: standard deviation of the replicates, > 0.
        runs, clusters, drawn, biased: as in `half_width` and `expanded`.
    """
    if runs is None:
        return unexpanded(distance / error, clusters, drawn, biased=biased)

    def beyond(z: float) -> float:
        items = expanded(z, clusters, drawn, biased=biased) * error
        return float(half_width(items, z, runs)) - distance

    if beyond(_LARGEST) <= 0:
        return _LARGEST
    return float(optimize.brentq(beyond, 0.0, _LARGEST)) if distance > 0 else 0.0
