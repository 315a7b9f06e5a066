"""One row of the forgetting table: its numbers, their replicates, and how they get an interval."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from forgetscope.analysis.outcomes import Chain, Design, Floats, TaskOutcomes
from forgetscope.core import forgetting as forms
from forgetscope.core import statistics
from forgetscope.core.inference import intervals
from forgetscope.core.statistics import Comparison, Functionals
from forgetscope.schema.results import Measured

__all__ = ["UNPAIRED", "Pick", "Row", "difference", "make_rows", "measure", "too_small"]

Pick = Callable[[Functionals], Floats]
"""One number of all functionals; the last axis is the replicate."""

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
    jackknives: tuple[Functionals, ...]
    """one cluster left out at a time; then one seed, with two or more; empty unless for BCa"""

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
            drawn,
            _jackknives(design, d, task.info.chance, large),
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


def _jackknives(
    design: Design, data: Comparison, chance: float | None, judged: tuple[int, ...]
) -> tuple[Functionals, ...]:
    if design.settings.interval != "bca":
        return ()
    level = np.nan if chance is None else chance
    found = (
        intervals.jackknife_clusters(data, chance=level, judged=judged),
        intervals.jackknife_seeds(data, chance=level, judged=judged),
    )
    return tuple(part for part in found if part is not None)


def too_small(design: Design, data: Comparison) -> list[bool]:
    """For each group: too few items or clusters to be judged."""
    return [
        items < design.settings.min_group_items or clusters < design.settings.min_group_clusters
        for items, clusters in zip(data.items[1:], data.clusters[1:], strict=True)
    ]


def measure(design: Design, row: Row, k: int, pick: Pick, undefined: str) -> Measured:
    """A number with its interval.

    Args:
        design: its settings name the interval.
        row: the row that the number belongs to.
        k: 0 for the task as a whole, 1 + g for group g: whose clusters the number rests on.
        pick: the number.
        undefined: the reason to give when the number is undefined.
    """
    return intervals.interval(
        pick(row.point),
        pick(row.replicates),
        method=design.settings.interval,
        clusters=row.data.clusters[k],
        drawn=row.drawn,
        jackknives=[pick(part) for part in row.jackknives],
        confidence=design.settings.confidence,
        undefined=undefined,
        no_interval=_no_interval(row.data.clusters[k]),
    )


def difference(design: Design, one: Row, other: Row, pick: Pick, undefined: str) -> Measured:
    """`pick` of one row minus that of another, about the tasks as a whole.

    The rows are of different tasks, whose clusters are drawn apart, and of the same seeds. The
    expansion for few clusters is that of the row that has fewer.
    """
    fewer = min(one, other, key=lambda row: row.data.clusters[0])
    jackknives: list[Floats] = []
    if one.jackknives:
        jackknives = [
            pick(one.jackknives[0]) - pick(other.point),
            pick(one.point) - pick(other.jackknives[0]),
            *(
                pick(a) - pick(b)
                for a, b in zip(one.jackknives[1:], other.jackknives[1:], strict=True)
            ),
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
    )


def _no_interval(clusters: int) -> str | None:
    if clusters == 0:
        return "no item was scored under both models in every seed"
    return "all items are from a single cluster" if clusters == 1 else None
