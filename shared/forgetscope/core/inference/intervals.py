"""Bootstrap intervals of one number: percentile, expanded percentile, BCa.

All of them start from the same replicates, in which clusters are drawn. The percentile interval is
too narrow with few clusters; the expanded one corrects its width, the BCa one its bias and
skewness. Each is widened in the same way for what differs between training runs. Which one is used
is decided by simulation of the coverage, not here.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from forgetscope.core import statistics
from forgetscope.core.inference.spread import RunVariance, expanded, half_width
from forgetscope.core.statistics import Comparison, Functionals
from forgetscope.schema.results import Measured

__all__ = [
    "Method",
    "acceleration",
    "interval",
    "jackknife_clusters",
    "jackknife_seeds",
]

Floats = npt.NDArray[np.float64]
Method = Literal["percentile", "expanded", "bca"]

_FEW_CLUSTERS = 30
"""With fewer clusters the replicates take few values and the far ones are rough, so that the
expanded interval takes them as normal [own choice, by simulation]."""

_CHUNK_NUMBERS = 4_000_000
"""Bounds the memory of a chunk of jackknife weights (8 bytes a number)."""


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
    """All functionals with one seed left out at a time, last axis [S]; None with one seed."""
    seeds = data.shape[1]
    if seeds < 2:
        return None
    clusters = np.ones((seeds, data.sums.shape[1]))
    weights = np.ones((seeds, seeds)) - np.eye(seeds)
    return statistics.evaluate(data, clusters, weights, chance=chance, judged=judged)


def acceleration(jackknives: Sequence[Floats]) -> float:
    """How fast the standard error changes with the number, from leave-one-out values.

    For each sample k (e.g. the clusters of two tasks) of size n_k with leave-one-out values θ_kj
    the influences are `U_kj = (n_k − 1)(mean_j θ_kj − θ_kj)`, and
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
    runs: RunVariance | None = None,
    biased: bool = False,
    bounds: tuple[float, float] | None = None,
) -> Measured:
    """A number with the interval of the chosen method, from the same parts for each of them.

    Undefined numbers and replicates are treated as in `statistics.measured`, which also gives the
    percentile interval. The other methods give no interval, with the reason, with fewer than two
    clusters; BCa also when a leave-one-out value is undefined, when all replicates lie on one side
    of the number, or when its acceleration is too large for its formula. With fewer than
    `_FEW_CLUSTERS` the expanded interval is symmetric, the t interval of the replicates' standard
    deviation. No method gives an interval when the variance between runs is undefined.

    Args:
        value: the measured number, an array of size 1 (NaN = undefined).
        replicates: its bootstrap replicates [R] (NaN = undefined), runs as they are.
        method: `percentile`, `expanded` (see `expanded`) or `bca` (Efron 1987).
        clusters: clusters that the number rests on, C; read by `expanded`.
        drawn: clusters that the bootstrap draws from, D; read by `expanded`.
        jackknives: values with a cluster left out, an array [C] for each set of clusters; read by
            `bca`.
        confidence: e.g. 0.95.
        undefined: the reason to give when the number is undefined.
        no_interval: the reason why no interval can be given, if that is known beforehand.
        runs: variance between training runs; None with a single one.
        biased: the number is a difference between a group and the whole; read by `expanded`.
        bounds: what the number cannot lie outside of, e.g. 0 and 1 for an accuracy.
    """
    found = statistics.measured(
        value, replicates, confidence=confidence, undefined=undefined, no_interval=no_interval
    )
    if found.value is None or found.low is None or found.high is None:
        return found
    if runs is not None and np.isnan(runs.between):
        return _without(found, "undefined when one seed is left out")
    z = float(stats.norm.ppf((1 + confidence) / 2))
    low, high = found.low, found.high
    if method != "percentile":
        if clusters < 2:
            return _without(found, "all items are from a single cluster")
        defined = replicates[~np.isnan(replicates)]
        if method == "expanded":
            low, high = _expanded(
                found.value,
                defined,
                expanded(z, clusters, drawn, biased=biased),
                few=clusters < _FEW_CLUSTERS,
            )
        else:
            levels = _bca_levels(found.value, defined, jackknives, z)
            if isinstance(levels, str):
                return _without(found, levels)
            low, high = np.quantile(defined, levels)
    if runs is not None:
        low = found.value - float(half_width(found.value - low, z, runs))
        high = found.value + float(half_width(high - found.value, z, runs))
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return found.model_copy(update={"low": float(low), "high": float(high)})


def _expanded(value: float, defined: Floats, quantile: float, *, few: bool) -> tuple[float, float]:
    if few:
        half = quantile * float(defined.std(ddof=1))
        return value - half, value + half
    tail = float(stats.norm.sf(quantile))
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def _bca_levels(
    value: float, defined: Floats, jackknives: Sequence[Floats], z: float
) -> tuple[float, float] | str:
    """Which quantiles of the replicates are the ends, or why there are none."""
    if any(np.isnan(values).any() for values in jackknives):
        return "undefined when one cluster is left out"
    # Ties count half. Replicates that differ by a rounding error are ties.
    side = np.sign(np.round(defined - value, 12))
    if not side.min() < 0 < side.max():
        return "the bootstrap replicates do not lie on both sides of the value"
    z0 = float(stats.norm.ppf((1 - side.mean()) / 2))
    a = acceleration(jackknives)
    if 1 - abs(a) * (z + abs(z0)) <= 0:
        return "a single cluster decides the number"
    shifted = [z0 + (z0 + tail) / (1 - a * (z0 + tail)) for tail in (-z, z)]
    return float(stats.norm.cdf(shifted[0])), float(stats.norm.cdf(shifted[1]))


def _without(found: Measured, reason: str) -> Measured:
    return Measured(value=found.value, interval_reason=reason, left_out=found.left_out)
