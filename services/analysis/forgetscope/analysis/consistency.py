"""Do groups rank alike over the pairs? Over all pairs, and over those of each first task."""

from collections.abc import Iterator, Sequence

import numpy as np

from forgetscope.analysis.outcomes import plain_pair
from forgetscope.analysis.rows import Row
from forgetscope.core.inference.consistency import consistency
from forgetscope.core.inference.permutations import PermutationTest
from forgetscope.schema.verdicts import Agreement, Permuted

__all__ = ["Pair", "agreements"]

_DRAWS = 9999
"""Permutations that are drawn when they are too many to try all [own choice: p down to 0.0001]."""

Pair = tuple[Row, tuple[str, ...]]
"""A row, and the names of all its groups."""


def agreements(pairs: Sequence[Pair], rng: np.random.Generator) -> Iterator[Agreement]:
    """Agreement about the order of groups by pooled biased forgetting, averaged over the seeds.

    A pair is a chain of two plain stages; rows of other chains, and rows without groups, are passed
    over. The same pair trained in other ways is no independent evidence.
    Pairs with the same first task share the model after it, so they are shuffled together in
    `by_first_stage`. With a single first task the entry for all pairs says everything.

    Args:
        pairs: rows of the forgetting table.
        rng: draws the permutations when there are too many to try all.
    """
    used = [(row, groups) for row, groups in pairs if plain_pair(row.chain) and groups]
    firsts = list(dict.fromkeys(row.chain[0] for row, _ in used))
    yield _agreement(None, used, rng)
    if len(firsts) > 1:
        for task in firsts:
            yield _agreement(task, [pair for pair in used if pair[0].chain[0] == task], rng)


def _agreement(task: str | None, pairs: Sequence[Pair], rng: np.random.Generator) -> Agreement:
    names = sorted({name for _, groups in pairs for name in groups})
    values = np.full((len(pairs), len(names)), np.nan)
    for i, (row, groups) in enumerate(pairs):
        for g in row.judged:
            values[i, names.index(groups[g])] = row.point.biased[g].item()
    found = consistency(values, names, [row.chain[0] for row, _ in pairs], rng, draws=_DRAWS)
    return Agreement(
        task=task,
        pairs=tuple(row.chain for row, _ in pairs),
        groups=found.groups,
        left_out=found.left_out,
        kendall_w=found.kendall_w,
        friedman=found.friedman,
        friedman_degrees=found.friedman_degrees,
        friedman_p=found.friedman_p,
        spearman=found.spearman,
        by_pair=_permuted(found.permutation),
        by_first_stage=_permuted(found.block_permutation),
    )


def _permuted(test: PermutationTest) -> Permuted:
    return Permuted(p=test.p, exact=test.exact, permutations=test.permutations)
