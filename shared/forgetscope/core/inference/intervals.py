"""Bootstrap intervals of one number: percentile, expanded percentile, BCa.

All of them start from the same replicates. The percentile interval is too narrow with few clusters;
the expanded one corrects its width, the BCa one its bias and skewness. Which one is used is decided
by simulation of the coverage, not here.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from forgetscope.core import statistics
from forgetscope.core.statistics import Comparison, Functionals
from forgetscope.schema.results import Measured

__all__ = [
    "Method",
    "acceleration",
    "expanded",
    "interval",
    "jackknife_clusters",
    "jackknife_seeds",
    "unexpanded",
]

Floats = npt.NDArray[np.float64]
Method = Literal["percentile", "expanded", "bca"]

_CHUNK_NUMBERS = 4_000_000
"""Bounds the memory of a chunk of jackknife weights (8 bytes a number)."""


def expanded(z: float, clusters: int, drawn: int) -> float:
    """Quantile of the normal distribution → the one to use with a bootstrap over few clusters.

    `√(D/(D−1))·t_{C−1}(Φ(z))`: a bootstrap that draws all its C clusters understates the variance
    by (C−1)/C and does not know that the variance was estimated (Hesterberg 2015, arXiv 1411.5279,
    "expanded percentile interval", where D = C). Our departure: a group of C clusters within a task
    of D gets a random number n of clusters in each draw; with E[1/n] ≈ (1 + (1 − C/D)/C)/C, what is
    left of the understatement is (D−1)/D.

    Args:
        z: a quantile of the standard normal distribution.
        clusters: C ≥ 2, the clusters that the number rests on.
        drawn: D ≥ C, the clusters that the bootstrap draws from.
    """
    tail = stats.norm.sf(abs(z))
    quantile = np.sqrt(drawn / (drawn - 1)) * stats.t.isf(tail, clusters - 1)
    return float(np.copysign(quantile, z))


def unexpanded(t: float, clusters: int, drawn: int) -> float:
    """The inverse of `expanded`."""
    tail = stats.t.sf(abs(t) * np.sqrt((drawn - 1) / drawn), clusters - 1)
    return float(np.copysign(stats.norm.isf(tail), t))


def jackknife_clusters(data: Comparison, *, chance: float, judged: Sequence[int]) -> Functionals:
    """All functionals with one cluster left out at a time; the last axis is the cluster [C]."""
    clusters = data.sums.shape[1]
    size = max(1, _CHUNK_NUMBERS // max(clusters, data.sums.shape[0]))
    parts = []
    for start in range(0, clusters, size):
        left_out = np.arange(start, min(start + size, clusters))
        weights = np.ones((left_out.size, clusters))
        weights[np.arange(left_out.size), left_out] = 0
        seeds = np.ones((left_out.size, data.shape[1]))
        parts.append(statistics.evaluate(data, weights, seeds, chance=chance, judged=judged))
    return Functionals(*(np.concatenate(a, axis=-1) for a in zip(*parts, strict=True)))


def jackknife_seeds(
    data: Comparison, *, chance: float, judged: Sequence[int]
) -> Functionals | None:
    """All functionals with one seed left out at a time, last axis [S]; None with one seed, which
    the bootstrap does not draw either."""
    seeds = data.shape[1]
    if seeds < 2:
        return None
    clusters = np.ones((seeds, data.sums.shape[1]))
    weights = np.ones((seeds, seeds)) - np.eye(seeds)
    return statistics.evaluate(data, clusters, weights, chance=chance, judged=judged)


def acceleration(jackknives: Sequence[Floats]) -> float:
    """How fast the standard error changes with the number, from leave-one-out values.

    For each sample k (clusters; seeds) of size n_k with leave-one-out values θ_kj the influences
    are `U_kj = (n_k − 1)(mean_j θ_kj − θ_kj)`, and
    `a = Σ_k Σ_j U_kj³/n_k³ / (6·(Σ_k Σ_j U_kj²/n_k²)^{3/2})` (Efron 1987, JASA 82, 171-185;
    Efron & Tibshirani 1993, equation 14.15; several samples as in `scipy.stats.bootstrap`).
    0 where nothing varies.
    """
    cubes = squares = 0.0
    for values in jackknives:
        n = values.size
        scaled = (n - 1) * (values.mean() - values) / n
        cubes += float((scaled**3).sum())
        squares += float((scaled**2).sum())
    return cubes / (6 * squares**1.5) if squares > 0 else 0.0


def interval(
    value: Floats,
    replicates: Floats,
    *,
    method: Method,
    clusters: int,
    drawn: int,
    jackknives: Sequence[Floats],
    confidence: float,
    undefined: str,
    no_interval: str | None = None,
) -> Measured:
    """A number with the interval of the chosen method, from the same parts for each of them.

    Undefined numbers and replicates are treated as in `statistics.measured`, which also gives the
    percentile interval. The other methods give no interval, with the reason, with fewer than two
    clusters; BCa also when a leave-one-out value is undefined, when all replicates lie on one side
    of the number, or when its acceleration is too large for its formula.

    Args:
        value: the measured number, an array of size 1 (NaN = undefined).
        replicates: its bootstrap replicates [R] (NaN = undefined).
        method: `percentile`, `expanded` (see `expanded`) or `bca` (Efron 1987).
        clusters: clusters that the number rests on, C; read by `expanded`.
        drawn: clusters that the bootstrap draws from, D; read by `expanded`.
        jackknives: leave-one-out values, one array for each level that is drawn (clusters [C],
            then seeds [S] if there are at least two); read by `bca`.
        confidence: e.g. 0.95.
        undefined: the reason to give when the number is undefined.
        no_interval: the reason why no interval can be given, if that is known beforehand.
    """
    found = statistics.measured(
        value, replicates, confidence=confidence, undefined=undefined, no_interval=no_interval
    )
    if method == "percentile" or found.value is None or found.low is None:
        return found
    if clusters < 2:
        return _without(found, "all items are from a single cluster")
    defined = replicates[~np.isnan(replicates)]
    z = float(stats.norm.ppf((1 + confidence) / 2))
    if method == "expanded":
        tail = float(stats.norm.sf(expanded(z, clusters, drawn)))
        levels = (tail, 1 - tail)
    else:
        if any(np.isnan(values).any() for values in jackknives):
            return _without(found, "undefined when one cluster or seed is left out")
        # Ties count half. Replicates that differ by a rounding error are ties.
        side = np.sign(np.round(defined - found.value, 12))
        if not side.min() < 0 < side.max():
            return _without(found, "the bootstrap replicates do not lie on both sides of the value")
        z0 = float(stats.norm.ppf((1 - side.mean()) / 2))
        a = acceleration(jackknives)
        if 1 - abs(a) * (z + abs(z0)) <= 0:
            return _without(found, "a single cluster or seed decides the number")
        shifted = [z0 + (z0 + tail) / (1 - a * (z0 + tail)) for tail in (-z, z)]
        levels = (float(stats.norm.cdf(shifted[0])), float(stats.norm.cdf(shifted[1])))
    low, high = np.quantile(defined, levels)
    return found.model_copy(update={"low": float(low), "high": float(high)})


def _without(found: Measured, reason: str) -> Measured:
    return Measured(value=found.value, interval_reason=reason, left_out=found.left_out)
