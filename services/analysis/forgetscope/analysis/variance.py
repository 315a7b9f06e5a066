"""Order × seed × item: where right and wrong at the end of a pair differ."""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from forgetscope.analysis.outcomes import Design, Floats, TaskOutcomes, plain_pair
from forgetscope.core.inference.variance import decompose
from forgetscope.schema.verdicts import Variance, VarianceComponent, VarianceRow

__all__ = ["variance"]


def variance(design: Design, tasks: Mapping[str, TaskOutcomes]) -> Variance:
    """The decomposition for every (safety, capability) pair in both orders, on both its tasks.

    The outcome is right or wrong at the end of the chain, since both orders then have seen both
    tasks and answer the same items; a seed means the same data order in both.
    """
    if len(design.seeds) < 2:
        return Variance(reason="with one seed, the variation between seeds cannot be seen")
    pairs = [
        chain
        for chain in design.chains
        if plain_pair(chain)
        and tuple(tasks[task].info.kind for task in chain) == ("safety", "capability")
        and (chain[1], chain[0]) in design.chains
    ]
    if not pairs:
        return Variance(reason="no pair of a safety and a capability task was tuned in both orders")
    return Variance(
        rows=tuple(
            row for safety, capability in pairs for row in _rows(design, tasks, safety, capability)
        )
    )


def _rows(
    design: Design, tasks: Mapping[str, TaskOutcomes], safety: str, capability: str
) -> Iterator[VarianceRow]:
    orders = ((safety, capability), (capability, safety))
    for name in (safety, capability):
        task = tasks[name]
        outcomes = np.stack(
            [np.stack([task.cells[chain, seed] for seed in design.seeds]) for chain in orders]
        )
        complete = ~np.isnan(outcomes).any(axis=(0, 1))
        cluster = task.items.cluster[complete]
        units = _means(outcomes[:, :, complete], cluster)
        found = decompose(units)
        yield VarianceRow(
            safety=safety,
            capability=capability,
            task=name,
            unit="cluster" if task.items.clusters < complete.size else "item",
            levels=found.levels,
            left_out=int((~complete).sum()),
            components={
                source: VarianceComponent(variance=part.variance, negative=part.negative)
                for source, part in found.components.items()
            },
        )


def _means(outcomes: Floats, cluster: npt.NDArray[np.intp]) -> Floats:
    """[O, S, N] → [O, S, clusters that have an item]."""
    kinds, index = np.unique(cluster, return_inverse=True)
    sums = np.zeros((kinds.size, *outcomes.shape[:2]))
    np.add.at(sums, index, np.moveaxis(outcomes, -1, 0))
    counts = np.bincount(index, minlength=kinds.size)
    means: Floats = np.moveaxis(sums, 0, -1) / counts
    return means
