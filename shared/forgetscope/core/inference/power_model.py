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

The bootstrap of `core.statistics` draws clusters and seeds. On average it takes for that variance

    σ²·(r + (3 − 2/S)·(1 − r)/S)·(…)/n  +  (1 − 1/S)·seed_sd²/S:

what is of one cluster in one run counts up to three times (Owen 2007, Annals of Applied Statistics
1(2), 386-411; with S small as worked out here), what differs between runs is a little understated.
Its intervals are as wide as that, so power is computed with both.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import stats

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
    """degrees of freedom of the interval's estimate of it"""
    inflation: float = 1.0
    """what the bootstrap takes for the standard error on average, over the standard error"""
    quantile_degrees: float | None = None
    """degrees of freedom of the interval's quantile; None: `degrees`"""


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
    """Standard error and what the bootstrap takes for it (see the module).

    Degrees of freedom: those of the clusters of the group (`effective_clusters` − 1; also for
    biased forgetting, as in `multiplicity.max_t`) and of the seeds (S − 1), joined by Satterthwaite
    1946 (Biometrics Bulletin 2, 110-114): `(Σ V)²/Σ (V²/df)`. The quantile of an interval is that
    for the clusters alone (`intervals.expanded`).
    """
    one_run = _variance(plan.sample, plan.expected, runs.icc)
    if plan.rest is not None:
        one_run += _variance(*plan.rest, runs.icc)
    one_run *= plan.scale**2
    degrees = effective_clusters(plan.sample, runs.icc) - 1
    if runs.seeds == 1:
        return Error(float(np.sqrt(one_run)), degrees)
    n, own = runs.seeds, 1 - runs.seed_correlation
    between = runs.seed_sd**2 / n
    true = one_run * (runs.seed_correlation + own / n) + between
    items = one_run * (runs.seed_correlation + (3 - 2 / n) * own / n)
    between *= 1 - 1 / n
    joined = (items + between) ** 2 / (items**2 / degrees + between**2 / (n - 1))
    inflation = float(np.sqrt((items + between) / true))
    return Error(float(np.sqrt(true)), joined, inflation, degrees)


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

    The verdict needs the interval, `effect ± t·se` with t the quantile for `tail`, to lie on the
    right side of the margin: `P(T > t)` for T noncentral t with noncentrality
    |effect − margin|/se (e.g. Julious 2004, Statistics in Medicine 23, 1921-1986; for clusters
    Donner & Klar 2000). For equivalence both sides must hold: the sum of both chances
    less 1, which is exact when the standard error is known. 0 at the margin itself, where no
    verdict is right. Totals of clusters are taken as normal: with about 10 clusters or fewer the
    true power was up to 3 points higher in simulations with Dirichlet-multinomial clusters, and 4
    lower with 6 clusters and 13 groups (docs/validation.md).
    """
    degrees = error.degrees if error.quantile_degrees is None else error.quantile_degrees
    critical = error.inflation * float(stats.t.isf(tail, degrees))

    def chance(distance: float) -> float:
        return float(stats.nct.sf(critical, error.degrees, distance / error.standard_error))

    if test == "non-inferiority":
        return chance(abs(effect - margin)) if effect != margin else 0.0
    if abs(effect) < margin:
        return max(0.0, chance(margin - effect) + chance(margin + effect) - 1)
    return chance(abs(effect) - margin) if abs(effect) > margin else 0.0
