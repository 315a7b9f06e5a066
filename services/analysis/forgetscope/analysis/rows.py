"""One row of the forgetting table: its numbers, their replicates, and how they get an interval."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from forgetscope.analysis.outcomes import Chain, Design, Floats, TaskOutcomes
from forgetscope.core import forgetting as forms
from forgetscope.core import statistics
from forgetscope.core.inference import intervals, spread
from forgetscope.core.inference.spread import RunVariance
from forgetscope.core.statistics import Comparison, Functionals
from forgetscope.schema.results import Measured

__all__ = [
    "APART",
    "BIASED",
    "UNPAIRED",
    "Pick",
    "Row",
    "difference",
    "difference_of_runs",
    "make_rows",
    "measure",
    "of_runs",
    "rows_of",
    "too_small",
]

Pick = Callable[[Functionals], Floats]
"""One number of all functionals; the last axis is the replicate."""

APART = (-1.0, 1.0)
"""Two accuracies lie no farther apart."""

BIASED = (-2.0, 2.0)
"""Nor two differences of accuracies."""

UNPAIRED = "no item was scored under both models in at least one seed"


class Row(NamedTuple):
    """One training that something follows: measured numbers and their replicates."""

    chain: Chain
    position: int
    data: Comparison
    judged: tuple[int, ...]
    """groups that are large enough (0 = first group)"""
    point: Functionals
    replicates: Functionals
    """clusters drawn, seeds as they are"""
    with_seeds: Functionals
    """the same clusters, and seeds drawn"""
    without_seed: Functionals | None
    """one seed left out at a time; None with one"""
    jackknife: Functionals | None
    """one cluster left out at a time; None unless for BCa"""

    @property
    def drawn(self) -> int:
        """Clusters that the bootstrap draws from."""
        return int(self.data.sums.shape[1])


def make_rows(
    design: Design, task: TaskOutcomes, rng: np.random.Generator, seeds: Floats
) -> list[Row]:
    """Every row of one task; all of them share the task's draws of clusters."""
    places = [
        (chain, position)
        for chain in design.chains
        for name, position in forms.forgetting_rows(chain)
        if name == task.info.id
    ]
    data = [_compare(design, task, chain, position) for chain, position in places]
    return rows_of(design, task, places, data, rng=rng, seeds=seeds)


def rows_of(
    design: Design,
    task: TaskOutcomes,
    places: Sequence[tuple[Chain, int]],
    data: Sequence[Comparison],
    *,
    rng: np.random.Generator,
    seeds: Floats,
) -> list[Row]:
    """A row for each comparison, under the same draws; `places` name their chains and positions."""
    judged = [tuple(g for g, small in enumerate(too_small(design, d)) if not small) for d in data]
    replicates = statistics.bootstrap(data, rng, seeds, chance=task.info.chance, judged=judged)
    ones = np.ones((1, task.items.clusters)), np.ones((1, len(design.seeds)))
    return [
        Row(
            chain,
            position,
            d,
            large,
            statistics.evaluate(d, *ones, chance=task.info.chance, judged=large),
            drawn.items,
            drawn.both,
            intervals.jackknife_seeds(d, chance=_level(task), judged=large),
            intervals.jackknife_clusters(d, chance=_level(task), judged=large)
            if design.settings.interval == "bca"
            else None,
        )
        for (chain, position), d, large, drawn in zip(places, data, judged, replicates, strict=True)
    ]


def _compare(design: Design, task: TaskOutcomes, chain: Chain, position: int) -> Comparison:
    stages = np.stack(
        [
            np.stack([task.cells[chain[:stage], seed] for seed in design.seeds])
            for stage in range(1, len(chain) + 1)
        ]
    )
    return statistics.compare(task.items, stages[:-1], stages[-1], initial=position - 1)


def _level(task: TaskOutcomes) -> float:
    return np.nan if task.info.chance is None else task.info.chance


def too_small(design: Design, data: Comparison) -> list[bool]:
    """For each group: too few items or clusters to be judged."""
    return [
        items < design.settings.min_group_items or clusters < design.settings.min_group_clusters
        for items, clusters in zip(data.items[1:], data.clusters[1:], strict=True)
    ]


def of_runs(row: Row, k: int, pick: Pick, *, biased: bool = False) -> RunVariance | None:
    """What the seeds say about a number of row k (see `measure`); None with one seed."""
    if row.without_seed is None:
        return None
    return spread.of_runs(
        pick(row.replicates),
        pick(row.with_seeds),
        pick(row.without_seed),
        clusters=max(2, row.data.clusters[k]),
        drawn=max(2, row.drawn),
        biased=biased,
    )


def measure(
    design: Design,
    row: Row,
    k: int,
    pick: Pick,
    undefined: str,
    *,
    biased: bool = False,
    bounds: tuple[float, float] | None = None,
) -> Measured:
    """A number with its interval.

    Args:
        design: its settings name the interval.
        row: the row that the number belongs to.
        k: 0 for the task as a whole, 1 + g for group g: whose clusters the number rests on.
        pick: the number.
        undefined: the reason to give when the number is undefined.
        biased: it is a difference between the group and the task as a whole.
        bounds: what it cannot lie outside of.
    """
    return intervals.interval(
        pick(row.point),
        pick(row.replicates),
        method=design.settings.interval,
        clusters=row.data.clusters[k],
        drawn=row.drawn,
        jackknives=[] if row.jackknife is None else [pick(row.jackknife)],
        confidence=design.settings.confidence,
        undefined=undefined,
        no_interval=_no_interval(row.data.clusters[k]),
        runs=of_runs(row, k, pick, biased=biased),
        biased=biased,
        bounds=bounds,
    )


def difference_of_runs(one: Row, other: Row, pick: Pick) -> RunVariance | None:
    """`of_runs` for the difference of two rows, about the tasks as a whole."""
    if one.without_seed is None or other.without_seed is None:
        return None
    fewer = min(one, other, key=lambda row: row.data.clusters[0])
    return spread.of_runs(
        pick(one.replicates) - pick(other.replicates),
        pick(one.with_seeds) - pick(other.with_seeds),
        pick(one.without_seed) - pick(other.without_seed),
        clusters=max(2, fewer.data.clusters[0]),
        drawn=max(2, fewer.drawn),
    )


def difference(design: Design, one: Row, other: Row, pick: Pick, undefined: str) -> Measured:
    """`pick` of one row minus that of another, about the tasks as a whole.

    The rows are of different tasks, whose clusters are drawn apart, and of the same seeds. The
    expansion for few clusters is that of the row that has fewer.
    """
    fewer = min(one, other, key=lambda row: row.data.clusters[0])
    jackknives: list[Floats] = []
    if one.jackknife is not None and other.jackknife is not None:
        jackknives = [
            pick(one.jackknife) - pick(other.point),
            pick(one.point) - pick(other.jackknife),
        ]
    return intervals.interval(
        pick(one.point) - pick(other.point),
        pick(one.replicates) - pick(other.replicates),
        method=design.settings.interval,
        clusters=fewer.data.clusters[0],
        drawn=fewer.drawn,
        jackknives=jackknives,
        confidence=design.settings.confidence,
        undefined=undefined,
        no_interval=_no_interval(fewer.data.clusters[0]),
        runs=difference_of_runs(one, other, pick),
    )


def _no_interval(clusters: int) -> str | None:
    if clusters == 0:
        return "no item was scored under both models in every seed"
    return "all items are from a single cluster" if clusters == 1 else None
