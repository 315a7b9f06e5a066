"""Verdicts about tasks and groups: margins, simultaneous intervals, tests."""

from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from forgetscope.analysis.outcomes import Design, Floats, TaskOutcomes
from forgetscope.analysis.rows import BIASED, UNPAIRED, Row, of_runs, too_small
from forgetscope.core import statistics
from forgetscope.core.inference.mcnemar import discordance, mcnemar
from forgetscope.core.inference.multiplicity import GroupStatistic, max_t
from forgetscope.core.inference.spread import RunVariance, z_of
from forgetscope.core.inference.verdicts import judge
from forgetscope.core.statistics import Functionals
from forgetscope.schema.results import Measured
from forgetscope.schema.verdicts import Judged, McNemarRow

__all__ = [
    "GroupVerdict",
    "chain_verdict",
    "changed",
    "group_verdicts",
    "mcnemar_rows",
    "p_of_zero",
]

Test = Literal["non-inferiority", "equivalence"]

_TESTS: tuple[Test, Test] = ("non-inferiority", "equivalence")

_ALL_EQUAL = "all bootstrap replicates are equal, which says nothing about the uncertainty"

_ROUNDING = 1e-12
"""Differences of accuracies that are smaller than this are rounding errors."""


class GroupVerdict(NamedTuple):
    """What is said about one group of a row."""

    simultaneous: Measured
    p_adjusted: Measured
    verdict: Judged
    equivalence: Judged


def chain_verdict(design: Design, task: str, forgetting: Measured) -> Judged:
    """Is the forgetting of a task, with its own interval, below the margin?

    An interval without width comes from replicates that are all equal (no item changed). They say
    nothing about the uncertainty, as for groups (`multiplicity.max_t`), so it is no interval here.
    """
    low, high = forgetting.low, forgetting.high
    if low is not None and high is not None and high - low <= _ROUNDING:
        forgetting = Measured(value=forgetting.value, interval_reason=_ALL_EQUAL)
    return _judged(design, task, forgetting, design.settings.forgetting_margin, "non-inferiority")


def group_verdicts(design: Design, task: TaskOutcomes, row: Row) -> tuple[GroupVerdict, ...]:
    """A verdict for every group of a row, in their order; the judged ones are one family."""
    names, settings = task.items.groups, design.settings
    values = [
        statistics.measured(
            row.point.biased[g],
            row.replicates.biased[g],
            confidence=settings.confidence,
            undefined=UNPAIRED,
        )
        for g in range(len(names))
    ]
    found = max_t(
        [
            GroupStatistic(
                names[g],
                values[g],
                row.replicates.biased[g],
                row.data.clusters[1 + g],
                of_runs(row, 1 + g, partial(_biased, g), biased=True),
            )
            for g in row.judged
        ],
        drawn=row.drawn,
        confidence=settings.confidence,
        joint=settings.correction == "max_t",
    )
    verdicts = []
    for g, (name, small) in enumerate(zip(names, too_small(design, row.data), strict=True)):
        if name in found.groups:
            group = found.groups[name]
            simultaneous, p = _within(group.interval, BIASED), Measured(value=group.p_step_down)
        else:
            reason = _small(design, row, g) if small else found.left_out[name]
            p = Measured(reason=reason)
            simultaneous = Measured(
                value=values[g].value,
                reason=values[g].reason,
                interval_reason=None if values[g].value is None else reason,
            )
        verdicts.append(
            GroupVerdict(
                simultaneous,
                p,
                *(
                    _judged(design, task.info.id, simultaneous, settings.biased_margin, test)
                    for test in _TESTS
                ),
            )
        )
    return tuple(verdicts)


def _within(found: Measured, bounds: tuple[float, float]) -> Measured:
    if found.low is None or found.high is None:
        return found
    ends = {"low": max(found.low, bounds[0]), "high": min(found.high, bounds[1])}
    return found.model_copy(update=ends)


def _biased(g: int, functionals: Functionals) -> Floats:
    found: Floats = functionals.biased[g]
    return found


def _small(design: Design, row: Row, g: int) -> str:
    items, clusters, needed = row.data.items[1 + g], row.data.clusters[1 + g], design.settings
    return (
        f"too small to judge: {items} items in {clusters} clusters; "
        f"{needed.min_group_items} items and {needed.min_group_clusters} clusters are needed"
    )


def _judged(design: Design, task: str, estimate: Measured, margin: float, test: Test) -> Judged:
    """`verdicts.judge`; a margin below the noise floor cannot be judged."""
    floor = design.noise_floor.get(task)
    if floor is not None and margin < floor:
        return Judged(
            test=test,
            verdict="underpowered",
            reason=f"the margin {margin:.4g} lies below the noise floor {floor:.4g}",
            margin=margin,
            differs_from_zero=None,
        )
    found = judge(estimate, margin, test=test, noise_floor=floor)
    return Judged(
        test=test,
        verdict=found.verdict,
        reason=found.reason,
        margin=margin,
        differs_from_zero=found.differs_from_zero,
    )


def changed(design: Design, task: TaskOutcomes, row: Row) -> tuple[int, ...]:
    """For each group: items whose outcome is another at the end of the chain, in at least one
    seed."""
    moved = np.zeros(task.items.members.shape[1], dtype=np.bool_)
    for before, after in _sides(design, task, row):
        moved |= ~np.isnan(before) & ~np.isnan(after) & (before != after)
    return tuple(int((members & moved).sum()) for members in task.items.members[1:])


def mcnemar_rows(design: Design, task: TaskOutcomes, row: Row) -> tuple[McNemarRow, ...]:
    """The exact McNemar test of each seed."""
    rows = []
    for seed, (before, after) in zip(design.seeds, _sides(design, task, row), strict=True):
        both: npt.NDArray[np.bool_] = ~np.isnan(before) & ~np.isnan(after)
        found = mcnemar(*discordance(before, after), clusters=task.items.clusters_of(0, both))
        rows.append(
            McNemarRow(
                seed=seed,
                lost=found.b,
                gained=found.c,
                items=found.n,
                p=found.p,
                caution=found.caution,
            )
        )
    return tuple(rows)


def _sides(design: Design, task: TaskOutcomes, row: Row) -> Sequence[tuple[Floats, Floats]]:
    return [
        (task.cells[row.chain[: row.position], seed], task.cells[row.chain, seed])
        for seed in design.seeds
    ]


def p_of_zero(
    estimate: Measured,
    replicates: Floats,
    runs: RunVariance | None,
    *,
    clusters: int,
    drawn: int,
) -> Measured:
    """Two-sided p against 0 of a number with an interval, on the scale of `multiplicity.max_t`.

    `p = 2·(1 − Φ(z))` with z the quantile at which a symmetric interval, made of the standard
    deviation of the replicates and what runs add, would end at 0 (`spread.z_of`).
    """
    if estimate.value is None or estimate.low is None:
        return Measured(reason=estimate.reason or estimate.interval_reason)
    error = float(np.nanstd(replicates, ddof=1))
    if error <= _ROUNDING:
        return Measured(reason=_ALL_EQUAL)
    z = z_of(abs(estimate.value), error, runs, clusters=clusters, drawn=drawn)
    return Measured(value=min(1.0, 2 * float(norm.sf(z))))
