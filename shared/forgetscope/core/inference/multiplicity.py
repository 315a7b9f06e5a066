"""Several groups at once: Holm for p values, max-T for bootstrap replicates."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from forgetscope.core.inference.spread import RunVariance, expanded, half_width, z_of
from forgetscope.core.statistics import MAX_LEFT_OUT
from forgetscope.schema.results import Measured

__all__ = ["GroupStatistic", "Holm", "Simultaneous", "SimultaneousGroup", "holm", "max_t"]

Floats = npt.NDArray[np.float64]

_ROUNDING = 1e-12
"""Differences of accuracies that are smaller than this are rounding errors."""

_FEW_CLUSTERS = 10
"""With fewer clusters the replicates do not tell how groups correlate [own choice, by simulation:
6 groups on the same 5 clusters gave a false alarm in 9 % of the tasks where 5 % were promised]."""


class Holm(NamedTuple):
    """Adjusted p values of the `family`; `left_out` tells why the others have none."""

    adjusted: dict[str, float]
    left_out: dict[str, str]


class GroupStatistic(NamedTuple):
    """What is known of one group, e.g. its biased forgetting."""

    name: str
    value: Measured
    """value and reasons; an interval in it is ignored"""
    replicates: Floats
    """[R] bootstrap replicates, NaN = undefined; replicate r of all groups is the same draw"""
    clusters: int
    """clusters that the group's items come from"""
    runs: RunVariance | None = None
    """variance between training runs; None with a single one"""
    biased: bool = True
    """it is a difference between the group and the task as a whole"""


class SimultaneousGroup(NamedTuple):
    """One group of a family; p values are two-sided against 0."""

    interval: Measured
    """all intervals of the family hold together with the stated confidence"""
    p_single_step: float
    p_step_down: float


class Simultaneous(NamedTuple):
    """A family of groups. `left_out`: group → why it has no interval and is not in the family."""

    groups: dict[str, SimultaneousGroup]
    left_out: dict[str, str]
    critical: Measured
    """quantile of the largest |t|, on the scale of the normal distribution"""


def holm(p: Mapping[str, Measured]) -> Holm:
    """Holm's step-down adjustment (Holm 1979, Scandinavian Journal of Statistics 6, 65-70).

    With p_(1) ≤ … ≤ p_(k): `p̃_(i) = max_{j ≤ i} min(1, (k − j + 1)·p_(j))`. Bounds the chance of
    any false rejection under any dependence. An undefined p is not in the family.
    """
    values = {name: m.value for name, m in p.items() if m.value is not None}
    adjusted: dict[str, float] = {}
    largest = 0.0
    for i, name in enumerate(sorted(values, key=lambda name: values[name])):
        largest = max(largest, min(1.0, (len(values) - i) * values[name]))
        adjusted[name] = largest
    return Holm(
        adjusted={name: adjusted[name] for name in values},
        left_out={name: m.reason for name, m in p.items() if m.reason is not None},
    )


def max_t(
    statistics: Sequence[GroupStatistic], *, drawn: int, confidence: float, joint: bool = True
) -> Simultaneous:
    """Simultaneous intervals and adjusted p values from common bootstrap replicates.

    With se_g the standard deviation of the replicates, `t*_gr = (θ*_gr − θ_g)/se_g` are the
    replicates centred at the value, so that they stand for "no effect". Single step: the quantile
    c of `max_g |t*_g|` gives the intervals `θ_g ± c_g·se_g`, and
    `p_g = (1 + #{r: max_h |t*_hr| ≥ |t_g|})/(R + 1)`. Step-down: groups in order of |t|, the
    maximum runs over the groups not yet passed, and p never falls along the order (Westfall & Young
    1993, Resampling-Based Multiple Testing; for the bootstrap Romano & Wolf 2005, Econometrica 73,
    1237-1282). The 1 + in p: Phipson & Smyth 2010, SAGMB 9(1), 39.

    Our departures. c is expanded group by group for few clusters and for what differs between runs
    (`spread`), and t_g is shrunk by the inverse, so that an interval excludes 0 when its
    single-step p says so. No c and no p is larger than that of Bonferroni (single step) or Holm
    (step-down) at normal quantiles: replicates of few clusters have heavy tails, which the
    expansion has already paid for. If any group has fewer than `_FEW_CLUSTERS`, or there are
    several runs, it is these that are used: the replicates, in which runs are not drawn, do not
    tell how groups correlate from run to run. A group that is undefined in a replicate does not
    take part in the maximum there.

    Left out, with the reason: undefined values, groups with a reason for having no interval, one
    cluster, more than `MAX_LEFT_OUT` undefined replicates, replicates that are all equal.

    Args:
        statistics: the groups, or other numbers of one task.
        drawn: clusters that the bootstrap draws from, those of the task as a whole.
        confidence: that all intervals hold, e.g. 0.95.
        joint: False takes Bonferroni and Holm as with few clusters, and no correlation of groups.

    Raises:
        ValueError: numbers of replicates that differ, or a name that comes twice.
    """
    if len({s.replicates.shape for s in statistics}) > 1:
        raise ValueError("groups have different numbers of replicates")
    if len({s.name for s in statistics}) < len(statistics):
        raise ValueError("a group comes twice")
    reasons = {s.name: _why_not(s) for s in statistics}
    left_out = {name: reason for name, reason in reasons.items() if reason is not None}
    family = [s for s in statistics if s.name not in left_out]
    if not family:
        return Simultaneous({}, left_out, Measured(reason="no group has an interval"))

    replicates = np.stack([s.replicates for s in family])  # [G, R]
    replicates = replicates[:, ~np.isnan(replicates).all(axis=0)]
    point = np.array([s.value.value for s in family], dtype=np.float64)
    error = np.nanstd(replicates, axis=1, ddof=1)
    centred = np.nan_to_num(np.abs(replicates - point[:, None]) / error[:, None], nan=-np.inf)
    observed = np.array(
        [
            z_of(abs(v), e, s.runs, clusters=s.clusters, drawn=drawn, biased=s.biased)
            for v, e, s in zip(point, error, family, strict=True)
        ]
    )
    few = (
        not joint
        or min(s.clusters for s in family) < _FEW_CLUSTERS
        or any(s.runs is not None for s in family)
    )
    critical = float(norm.isf((1 - confidence) / (2 * len(family))))
    if not few:
        largest = np.quantile(centred.max(axis=0), confidence, method="higher")
        critical = min(critical, float(largest))
    single, down = _p_values(observed, centred, few=few)
    groups = {}
    for g, s in enumerate(family):
        alone = expanded(critical, s.clusters, drawn, biased=s.biased) * float(error[g])
        half = float(half_width(alone, critical, s.runs))
        value = float(point[g])
        interval = Measured(
            value=value,
            low=value - half,
            high=value + half,
            left_out=int(np.isnan(s.replicates).sum()),
        )
        groups[s.name] = SimultaneousGroup(interval, float(single[g]), float(down[g]))
    return Simultaneous(groups, left_out, Measured(value=critical))


def _why_not(statistic: GroupStatistic) -> str | None:
    value, replicates = statistic.value, statistic.replicates
    if value.value is None or value.interval_reason is not None:
        return value.reason or value.interval_reason
    if statistic.clusters < 2:
        return "all items are from a single cluster"
    if statistic.runs is not None and np.isnan(statistic.runs.between):
        return "undefined when one seed is left out"
    missing = np.isnan(replicates)
    if missing.sum() > MAX_LEFT_OUT * replicates.size:
        return f"undefined in {100 * missing.mean():.0f} % of the bootstrap replicates"
    if np.ptp(replicates[~missing]) <= _ROUNDING:
        return "all bootstrap replicates are equal, which says nothing about the uncertainty"
    return None


def _p_values(observed: Floats, centred: Floats, *, few: bool) -> tuple[Floats, Floats]:
    """(single-step, step-down) for |t| [G] and replicates [G, R], both of the normal scale."""
    groups, replicates = centred.shape
    order = np.argsort(-observed, kind="stable")
    alone = np.minimum(1.0, 2 * norm.sf(observed))
    single = np.minimum(1.0, groups * alone)
    stepped = np.minimum(1.0, np.arange(groups, 0, -1) * alone[order])
    if not few:
        # Row i: the maximum over the groups from place i of the order on.
        maxima = np.maximum.accumulate(centred[order][::-1], axis=0)[::-1]
        hits = 1 + (maxima[0] >= observed[:, None]).sum(axis=1)
        single = np.minimum(single, hits / (replicates + 1))
        hits = 1 + (maxima >= observed[order][:, None]).sum(axis=1)
        stepped = np.minimum(stepped, hits / (replicates + 1))
    down = np.empty_like(single)
    down[order] = np.maximum.accumulate(stepped)
    return single, down
