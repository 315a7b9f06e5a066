"""Rank correlation over few groups, within rows: permutation p and an interval over the groups."""

import itertools
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from forgetscope.core.inference.permutations import MAX_EXACT
from forgetscope.core.inference.spread import expanded
from forgetscope.schema.measured import Measured

__all__ = ["MIN_POINTS", "Associated", "associate"]

Floats = npt.NDArray[np.float64]

MIN_POINTS, MIN_FOR_INTERVAL = 4, 5
"""Fewest points [own choice]: with 3 every order has a correlation of ±1 once in 3, and a bootstrap
over 4 points has 35 outcomes."""
MAX_UNDEFINED = 0.1
_DRAWS = 9999
_CHUNK = 2000
_DECIMALS = 12
"""Values are rounded before they are ranked, so that a rounding error does not break a tie."""


class Associated(NamedTuple):
    """Spearman's correlation (mean over rows) and its two-sided permutation p."""

    spearman: Measured
    p: Measured


def associate(
    x: Floats,
    y: Floats,
    rng: np.random.Generator,
    *,
    replicates: int,
    confidence: float,
    unit: str = "groups",
) -> Associated:
    """Do x and y rank k points alike? Both are [r, k]; the correlation is the mean over rows.

    p: share of the permutations of the points, the same one in all rows, whose correlation is at
    least as far from 0; all k! of them if that are at most `MAX_EXACT`, else drawn ones with
    (1 + hits)/(1 + draws) (Phipson & Smyth 2010, SAGMB 9(1), 39). Rows share models and items, so
    they are not permuted by themselves. The interval is an expanded percentile interval
    (`intervals.expanded`) of a bootstrap that draws points. With 5 to 12 points it covered true
    correlations of 0 and 0.6 in 97 to 100 % of 150 simulated studies; without correlation, p was
    below 0.05 in 1 to 7 %.

    Undefined, with the reason, for too few points and where a number is the same for all points of
    a row.

    Raises:
        ValueError: shapes that differ, or no row.
    """
    if x.shape != y.shape or x.ndim != 2 or not len(x):
        raise ValueError(f"shapes {x.shape} and {y.shape}")
    k = x.shape[1]
    if k < MIN_POINTS:
        few = Measured(reason=f"too few {unit}: {k}, at least {MIN_POINTS} are needed")
        return Associated(few, few)
    x, y = np.round(x, _DECIMALS), np.round(y, _DECIMALS)
    value = float(_spearman(x[None], y[None])[0])
    if math.isnan(value):
        same = Measured(reason=f"one of the two numbers is the same for all {unit}")
        return Associated(same, same)
    return Associated(
        _interval(value, (x, y), rng, replicates=replicates, confidence=confidence, unit=unit),
        Measured(
            value=_permutation_p(_unit_ranks(x[None])[0], _unit_ranks(y[None])[0], rng),
            interval_reason="a p has none",
        ),
    )


def _unit_ranks(values: Floats) -> Floats:
    """[n, r, k] → centred ranks along the last axis, of length 1; NaN where all are tied."""
    ranks = stats.rankdata(values, axis=-1)
    centred = ranks - ranks.mean(axis=-1, keepdims=True)
    lengths = np.sqrt((centred**2).sum(axis=-1, keepdims=True))
    scaled: Floats = np.full_like(centred, np.nan)
    np.divide(centred, lengths, out=scaled, where=lengths > 0)
    return scaled


def _spearman(x: Floats, y: Floats) -> Floats:
    """[n, r, k] twice → [n], the mean over rows; NaN where a row is tied."""
    found: Floats = (_unit_ranks(x) * _unit_ranks(y)).sum(axis=-1).mean(axis=-1)
    clipped: Floats = np.clip(found, -1.0, 1.0)
    return clipped


def _permutation_p(x: Floats, y: Floats, rng: np.random.Generator) -> float:
    """Unit ranks [r, k]. together[g, h]: what point g of x gives when it stands where h does."""
    together = x.T @ y
    k = len(together)
    places = np.arange(k)
    limit = abs(float(np.trace(together))) * (1 - 1e-12)
    if math.factorial(k) <= MAX_EXACT:
        orders = np.array(list(itertools.permutations(range(k))))
        return float(np.mean(np.abs(together[orders, places].sum(axis=1)) >= limit))
    hits, left = 0, _DRAWS
    while left > 0:
        n = min(_CHUNK, left)
        orders = rng.permuted(np.broadcast_to(places, (n, k)), axis=1)
        hits += int(np.sum(np.abs(together[orders, places].sum(axis=1)) >= limit))
        left -= n
    return (1 + hits) / (1 + _DRAWS)


def _interval(
    value: float,
    rows: tuple[Floats, Floats],
    rng: np.random.Generator,
    *,
    replicates: int,
    confidence: float,
    unit: str,
) -> Measured:
    x, y = rows
    k = x.shape[1]
    if k < MIN_FOR_INTERVAL:
        few = f"too few {unit} for an interval: {k}, at least {MIN_FOR_INTERVAL} are needed"
        return Measured(value=value, interval_reason=few)
    if abs(value) > 1 - 10**-_DECIMALS:
        same = "the orders agree in full, so that drawing points anew always gives the same"
        return Measured(value=value, interval_reason=same)
    parts = []
    for start in range(0, replicates, _CHUNK):
        drawn = rng.integers(0, k, (min(_CHUNK, replicates - start), k))
        parts.append(_spearman(np.moveaxis(x[:, drawn], 0, 1), np.moveaxis(y[:, drawn], 0, 1)))
    found = np.concatenate(parts)
    known = found[~np.isnan(found)]
    left_out = replicates - known.size
    if left_out > MAX_UNDEFINED * replicates:
        return Measured(value=value, interval_reason="undefined in too many replicates")
    z = expanded(float(stats.norm.ppf((1 - confidence) / 2)), k, k)
    tail = float(stats.norm.cdf(z))
    low, high = np.quantile(known, [tail, 1 - tail])
    return Measured(value=value, low=float(low), high=float(high), left_out=left_out)
