"""The statistical model of the planner: standard error, degrees of freedom, power.

Items under the earlier and the later model are paired. The difference of an item is 1 (lost: right
before, wrong after), −1 (gained) or 0, with mean f = lost − gained (forgetting) and variance
`σ² = lost + gained − f²` (Miettinen 1968, Biometrics 24, 339-352, for McNemar's design). Two items
of a cluster correlate with `icc`, two runs of an item with `seed_correlation`, and the product of
both where both differ. With S seeds and clusters of m_c items (n in all) the mean then has variance

    σ²·(r + (1 − r)/S)·(1 + (Σ m_c²/n − 1)·icc)/n  +  seed_sd²/S,

the second factor being the design effect for clusters of unequal size (Kish 1965, Survey Sampling;
Eldridge, Ashby & Kerry 2006, International Journal of Epidemiology 35, 1292-1300).
The last term counts from two seeds on: a single run speaks about itself only.

An interval adds up what items and what runs leave open (`spread`): the bootstrap over clusters
takes `σ²·(r + (1 − r)/S)·(…)/n`, and the variance between the runs, with S − 1 degrees of freedom,
is `σ²·((1 − r)/S)·(…)/n + seed_sd²/S` on average. Power is the chance that an interval which is
made from two such estimates lies on the right side of the margin.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from forgetscope.core.inference.power_shape import cumulants
from forgetscope.core.inference.spread import RunVariance, half_width
from forgetscope.core.inference.verdicts import Test

__all__ = [
    "Error",
    "Expected",
    "Plan",
    "Runs",
    "Sample",
    "claim_power",
    "effect_of",
    "effective_clusters",
    "error_of",
]


Floats = npt.NDArray[np.float64]

_CHANCES: Floats = (np.arange(64) + 0.5) / 64
"""Points of the quadrature over each variance that is estimated [own choice: power to 0.1 %]."""

_MOST_LEAN = 0.95
"""Bounds a correlation that is computed from moments."""


class Expected(NamedTuple):
    """Shares of items that change, e.g. from a pilot run."""

    lost: float
    """right before, wrong after (p10)"""
    gained: float
    """wrong before, right after (p01)"""

    @property
    def forgetting(self) -> float:
        return self.lost - self.gained

    @property
    def variance(self) -> float:
        """Variance of the difference of one item."""
        return self.lost + self.gained - self.forgetting**2


class Sample(NamedTuple):
    """Items by cluster. `copies` multiplies the clusters (1.5 = half as many again, with the same
    mix of sizes), `stretch` the items of each."""

    cluster_sizes: tuple[int, ...]
    copies: float = 1.0
    stretch: float = 1.0

    @property
    def items(self) -> float:
        return round(sum(self.cluster_sizes) * self.copies * self.stretch, 6)

    @property
    def clusters(self) -> float:
        return round(len(self.cluster_sizes) * self.copies, 6)


class Plan(NamedTuple):
    """A group. With `rest` (the other items of the task and what is expected of them) the number is
    its biased forgetting, without it its forgetting.

    Group and rest are taken as independent; clusters that they share make this careful, since what
    both have in common cancels in the difference.
    """

    name: str
    sample: Sample
    expected: Expected
    rest: tuple[Sample, Expected] | None = None

    @property
    def scale(self) -> float:
        """`BF^g = F^g − F = (1 − n_g/N)·(F^g − F^rest)`: the factor; 1 for forgetting.

        The share of the group stays that of the task as it is, whatever `copies` and `stretch`.
        """
        if self.rest is None:
            return 1.0
        others = sum(self.rest[0].cluster_sizes)
        return others / (others + sum(self.sample.cluster_sizes))


class Runs(NamedTuple):
    """Training runs and how alike they are."""

    seeds: int
    icc: float
    """correlation of the differences of two items of a cluster, 0 to 1"""
    seed_correlation: float
    """correlation of the differences of one item under two seeds, 0 to 1; at 1, more seeds tell
    nothing new about the items"""
    seed_sd: float
    """standard deviation of the number itself from seed to seed, as a fraction"""


class Error(NamedTuple):
    """Standard error of a number, and what an interval makes of it."""

    standard_error: float
    degrees: float
    """degrees of freedom of the interval's quantile for the items"""
    varies: float | None = None
    """degrees of freedom with which the variance that items leave open is estimated; None: the
    same"""
    lean: float = 0.0
    """correlation of the number with the estimate of its standard error"""
    items: float | None = None
    """the standard error that the items leave open, in these runs; None: all of it"""
    runs: RunVariance | None = None
    """what the runs say on average; None with a single one"""


def effect_of(plan: Plan) -> float:
    """The forgetting, or biased forgetting, that is expected of the group."""
    rest = 0.0 if plan.rest is None else plan.rest[1].forgetting
    return plan.scale * (plan.expected.forgetting - rest)


def effective_clusters(sample: Sample, icc: float) -> float:
    """`(Σ v_c)²/Σ v_c²` with v_c = m_c·(1 + (m_c − 1)·icc): C for equal sizes, less otherwise.

    One more than the degrees of freedom that Satterthwaite's rule gives to a variance estimated
    from the totals of the clusters; compare Carter, Schnepel & Steigerwald 2017 (Review of
    Economics and Statistics 99, 698-709).
    """
    _, total, squares = _sums(sample, icc)
    return round(total**2 / squares, 9) * sample.copies  # exactly C for equal sizes


def error_of(plan: Plan, runs: Runs) -> Error:
    """Standard error and the variances that the interval estimates (see the module).

    The quantile has as many degrees of freedom as the group has clusters, less 1 (also for biased
    forgetting, as in `multiplicity.max_t`), that for runs S − 1. The estimate of a variance
    `V = Σ_c y_c²/n²` has relative variance `2/ν = Σ (2·var(y_c)² + κ4(y_c))/(Σ var(y_c))²`, where
    clusters of one size and normal totals would give 2/C, and covariance `Σ κ3(y_c)/n³` with the
    mean (`power_shape`). With several runs κ3 and κ4 count by `seed_correlation`, as only what runs
    share adds up to them.
    """
    parts = [(plan.sample, plan.expected, 1.0)]
    if plan.rest is not None:
        parts.append((*plan.rest, -1.0))
    one_run = squares = third = fourth = 0.0
    for sample, expected, sign in parts:
        variance = _variance(sample, expected, runs.icc)
        shape = cumulants(
            sample.cluster_sizes,
            sample.stretch,
            lost=expected.lost,
            gained=expected.gained,
            icc=runs.icc,
        )
        n = sum(sample.cluster_sizes) * sample.stretch * sample.copies
        one_run += variance
        squares += variance**2 / max(1e-9, effective_clusters(sample, runs.icc) - 1)
        third += sign * sample.copies * shape.third / n**3
        fourth += sample.copies * shape.fourth / n**4
    s, shared = runs.seeds, 1.0 if runs.seeds == 1 else runs.seed_correlation
    relative = (2 * squares + shared * fourth) / one_run**2 if one_run > 0 else 0.0
    lean = shared * third / (one_run**1.5 * np.sqrt(relative)) if relative > 0 else 0.0
    found = Error(
        float(np.sqrt(one_run)) * plan.scale,
        plan.sample.clusters - 1,
        2 / relative if relative > 0 else None,
        float(np.clip(lean, -_MOST_LEAN, _MOST_LEAN)),
    )
    if s == 1:
        return found
    one_run *= plan.scale**2
    own = one_run * (1 - runs.seed_correlation) / s
    items = one_run * runs.seed_correlation + own
    between = runs.seed_sd**2 / s
    return found._replace(
        standard_error=float(np.sqrt(items + between)),
        items=float(np.sqrt(items)),
        runs=RunVariance(between + own, own, s - 1),
    )


def _variance(sample: Sample, expected: Expected, icc: float) -> float:
    """Of the mean of a sample in one run."""
    items, total, _ = _sums(sample, icc)
    return expected.variance * total / items**2 / sample.copies


def _sums(sample: Sample, icc: float) -> tuple[float, float, float]:
    """(Σ m, Σ v, Σ v²) over the clusters, with v = m·(1 + (m − 1)·icc)."""
    m, m2, m3, m4 = _moments(sample.cluster_sizes)
    s, own = sample.stretch, 1 - icc
    total = s * own * m + s**2 * icc * m2
    squares = s**2 * own**2 * m2 + 2 * s**3 * own * icc * m3 + s**4 * icc**2 * m4
    return s * m, total, squares


@lru_cache(maxsize=1024)
def _moments(sizes: tuple[int, ...]) -> tuple[float, float, float, float]:
    """(Σ m, Σ m², Σ m³, Σ m⁴); a search for what is needed asks for them hundreds of times."""
    m = np.array(sizes, dtype=np.float64)
    return float(m.sum()), float((m**2).sum()), float((m**3).sum()), float((m**4).sum())


def claim_power(effect: float, error: Error, *, margin: float, tail: float, test: Test) -> float:
    """Chance of the right verdict (`verdicts.judge`) if the true number is `effect`.

    The verdict needs the interval to lie on the right side of the margin: the mean of
    `Φ((|effect − margin| − half-width)/se)` over the variances that are estimated, each a multiple
    of χ². With one run and normal totals this is the power of the t test (noncentral t, e.g.
    Julious 2004, Statistics in Medicine 23, 1921-1986; for clusters Donner & Klar 2000); where
    totals are not normal, the number goes along with its standard error (`Error.lean`). For
    equivalence both sides must hold: the sum of both chances less 1, which is exact when the
    standard error is known. 0 at the margin itself, where no verdict is right.
    """
    half, along = _half_widths(error, tail)
    rest = np.sqrt(1 - error.lean**2)

    def chance(distance: float, side: int) -> float:
        z = (distance - half) / error.standard_error + side * error.lean * along
        return float(stats.norm.cdf(z / rest).mean())

    if test == "non-inferiority":
        side = 1 if effect > margin else -1
        return chance(abs(effect - margin), side) if effect != margin else 0.0
    if abs(effect) < margin:
        return max(0.0, chance(margin - effect, -1) + chance(margin + effect, 1) - 1)
    side = 1 if effect > 0 else -1
    return chance(abs(effect) - margin, side) if abs(effect) > margin else 0.0


def _half_widths(error: Error, tail: float) -> tuple[Floats, Floats]:
    """Half-widths of equal chance, [P] or [P, P], as the variances are estimated; and for each the
    normal quantile of the estimate that is due to the items [P]."""
    degrees = error.degrees if error.varies is None else error.varies
    items = error.standard_error if error.items is None else error.items
    half: Floats = stats.t.isf(tail, error.degrees) * items * np.sqrt(_variances(degrees))
    along: Floats = stats.norm.ppf(_CHANCES)
    if error.runs is None:
        return half, along
    estimates = error.runs.between * _variances(error.runs.degrees)[:, None]
    z = float(stats.norm.isf(tail))
    return np.asarray(half_width(half, z, error.runs._replace(between=estimates))), along


@lru_cache(maxsize=1024)
def _variances(degrees: float) -> Floats:
    """Estimates of a variance of 1 with so many degrees of freedom, of equal chance [P]."""
    found: Floats = stats.chi2.ppf(_CHANCES, degrees) / degrees
    return found
