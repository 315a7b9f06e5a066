"""What curvature says over several models: the local bound, correlations, safety and capability."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from forgetscope.core.inference.spread import expanded
from forgetscope.schema.curvature import CurvatureComparison, KindCurvature
from forgetscope.schema.measured import Measured

__all__ = ["Pair", "compare_kinds", "local_bound", "rank_correlation"]

Floats = npt.NDArray[np.float64]

MIN_PAIRS, MIN_BLOCKS = 4, 5
"""Fewest pairs for a correlation, and fewest blocks for its interval [own choice]: with 3 pairs
every order has a correlation of 1 once in 6, and a bootstrap over 4 blocks has 35 outcomes."""
MAX_UNDEFINED = 0.1
_CAUTION = (
    "Curvature of cross-entropy vanishes as the loss does, and these models have unequal losses: "
    "a difference in λ may be no more than that."
)


class Pair(NamedTuple):
    """Two numbers of one pair of tasks; `block` names what it shares with other pairs."""

    block: Hashable
    x: float
    y: float


def local_bound(slope: float, largest: float, length: float) -> float:
    """gᵀd + ½λ_max‖d‖² (Mirzadeh et al. 2020, arXiv 2006.06958, with the gradient term that they
    drop). It bounds the second-order prediction; the true change may be above it."""
    return slope + 0.5 * largest * length**2


def rank_correlation(
    pairs: Sequence[Pair], rng: np.random.Generator, *, replicates: int, confidence: float
) -> Measured:
    """Spearman's correlation with an expanded percentile interval; whole blocks are drawn, since
    pairs that share a first model share its errors. With 6 to 20 blocks of 1 to 5 pairs it covered
    0 in 98 to 100 % of 150 simulated studies without correlation, the plain one in 91 to 98 %.

    Undefined, with the reason, for too few pairs and where one of the numbers is the same
    everywhere."""
    if len(pairs) < MIN_PAIRS:
        return Measured(reason=f"too few pairs: {len(pairs)}, at least {MIN_PAIRS} are needed")
    x, y = np.array([p.x for p in pairs]), np.array([p.y for p in pairs])
    value = _spearman(x, y)
    if value is None:
        return Measured(reason="one of the two numbers is the same for all pairs")
    names = list(dict.fromkeys(p.block for p in pairs))
    if len(names) < MIN_BLOCKS:
        few = f"too few first models: {len(names)}, at least {MIN_BLOCKS} are needed"
        return Measured(value=value, interval_reason=few)
    members = [np.array([i for i, p in enumerate(pairs) if p.block == name]) for name in names]
    drawn = []
    for chosen in rng.integers(0, len(names), (replicates, len(names))):
        rows = np.concatenate([members[i] for i in chosen])
        drawn.append(_spearman(x[rows], y[rows]))
    known = [r for r in drawn if r is not None]
    left_out = replicates - len(known)
    if left_out > MAX_UNDEFINED * replicates:
        return Measured(value=value, interval_reason="undefined in too many replicates")
    z = expanded(float(stats.norm.ppf((1 - confidence) / 2)), len(names), len(names))
    tail = float(stats.norm.cdf(z))
    low, high = np.quantile(known, [tail, 1 - tail])
    return Measured(value=value, low=float(low), high=float(high), left_out=left_out)


def compare_kinds(
    safety: Sequence[tuple[float, float]], capability: Sequence[tuple[float, float]]
) -> CurvatureComparison | None:
    """(|λ|, loss) of models after safety and after capability tasks; None where a kind has none."""
    if not safety or not capability:
        return None
    ours, theirs = _kind(safety), _kind(capability)
    below = theirs.radius[0]
    return CurvatureComparison(
        safety=ours,
        capability=theirs,
        ratio=Measured(
            value=ours.radius[0] / below, interval_reason="losses are not matched, so none is given"
        )
        if below > 0
        else Measured(reason="the curvature after capability tasks is 0"),
        caution=_CAUTION,
    )


def _kind(found: Sequence[tuple[float, float]]) -> KindCurvature:
    radius, loss = np.array(found).T
    return KindCurvature(models=len(found), radius=_spread(radius), loss=_spread(loss))


def _spread(values: Floats) -> tuple[float, float, float]:
    return float(np.median(values)), float(values.min()), float(values.max())


def _spearman(x: Floats, y: Floats) -> float | None:
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    ranks = np.corrcoef(stats.rankdata(x), stats.rankdata(y))
    return float(np.clip(ranks[0, 1], -1.0, 1.0))
