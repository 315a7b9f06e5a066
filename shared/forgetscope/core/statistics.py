"""Paired cluster bootstrap for everything that is said about forgetting.

The items under the earlier and the later model are the same items, so a replicate draws one set of
items for both. Items of a cluster (a template, a document) are not independent, so whole clusters
are drawn. Seeds (training runs) and items are crossed (every run answers every item), so a
replicate uses one draw of clusters for all its runs. It is evaluated twice: with every run counted
once, which is what intervals are made of, and with runs drawn as well, the "pigeonhole" bootstrap
of Owen 2007 (Annals of Applied Statistics 1(2), 386-411). The second alone would be too wide where
runs do not differ and too narrow where few of them do; `inference.spread` takes from it what runs
and items do together.

Everything is a function of sums per cluster, and the measured numbers are the replicate in which
every cluster and every seed has weight 1: `evaluate` is the only code path. Intervals here are
percentile intervals (Efron & Tibshirani 1993, chapter 13); `inference.intervals` has the others.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from forgetscope.core import forgetting as forms
from forgetscope.core.draws import cluster_weights, seed_weights
from forgetscope.core.groups import Items
from forgetscope.schema.results import Measured

__all__ = [
    "MAX_LEFT_OUT",
    "Comparison",
    "Functionals",
    "Resampled",
    "bootstrap",
    "cluster_weights",
    "compare",
    "evaluate",
    "measured",
    "seed_weights",
]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MAX_LEFT_OUT = 0.1
"""Largest share of undefined replicates with which an interval is still given [own choice]: a group
of m clusters is absent from about exp(−m) of the replicates, so three clusters pass and two do
not."""

_CHUNK_NUMBERS = 4_000_000
"""Bounds the memory of a chunk of replicates (8 bytes a number)."""


class Comparison(NamedTuple):
    """The models of one chain on one task, reduced to sums per cluster.

    S seeds, K rows (the task as a whole, then its groups), C clusters, P pairs (an earlier model,
    the last model).
    """

    sums: Any
    """scipy CSR matrix [3·P·S·K, C]: pairs, right before, right after"""
    shape: tuple[int, int, int]
    """(P, S, K)"""
    initial: int
    """index of the pair whose earlier model is the one right after the task's own training"""
    items: tuple[int, ...]
    """[K] items scored under the initial and the last model in every seed"""
    clusters: tuple[int, ...]
    """[K] clusters of those items"""
    unscored: tuple[int, ...]
    """[K] the other items"""


class Functionals(NamedTuple):
    """Every number of one comparison; the last axis of each array is the replicate (R)."""

    before: Floats
    """[K, R] accuracy of the initial model"""
    after: Floats
    """[K, R] accuracy of the last model"""
    forgetting: Floats
    """[K, R]"""
    best_minus_last: Floats
    """[R]"""
    relative: Floats
    """[R]"""
    chance_corrected: Floats
    """[R]"""
    biased: Floats
    """[K − 1, R], against the task as a whole"""
    biased_macro: Floats
    """[K − 1, R], against the mean over the judged groups"""
    per_seed: Floats
    """[S, R] forgetting of each seed"""


class Resampled(NamedTuple):
    """Replicates of one comparison; replicate r of both is the same draw of clusters."""

    items: Functionals
    """every run counts once"""
    both: Functionals
    """runs are drawn as well; with a single run the same as `items`"""


def compare(items: Items, earlier: Floats, last: Floats, *, initial: int) -> Comparison:
    """Reduce outcomes to sums per cluster.

    Args:
        items: the N items with their groups and clusters.
        earlier: outcomes of the P earlier models, [P, S, N]: 1 right, 0 wrong, NaN unscored.
        last: outcomes of the model at the end of the chain, [S, N].
        initial: which of the P is the model right after the task's own training.

    An item that is unscored under either model of a pair leaves that pair, in that seed.
    """
    pairs, seeds, n = earlier.shape
    rows, clusters = items.members.shape[0], items.clusters
    both = ~np.isnan(earlier) & ~np.isnan(last)[None]
    values = np.stack(
        [both, np.where(both, earlier, 0.0), np.where(both, last[None], 0.0)]
    ).reshape(3 * pairs * seeds, n)

    # Each (row, item) membership adds the item's value to the entry (block, row) × cluster.
    row, item = np.nonzero(items.members)
    block, member = np.nonzero(values[:, item])
    sums = sparse.coo_array(
        (values[block, item[member]], (block * rows + row[member], items.cluster[item[member]])),
        shape=(3 * pairs * seeds * rows, clusters),
    ).tocsr()

    complete: Bools = both[initial].all(axis=0)
    scored = tuple(int(np.sum(m & complete)) for m in items.members)
    return Comparison(
        sums=sums,
        shape=(pairs, seeds, rows),
        initial=initial,
        items=scored,
        clusters=tuple(items.clusters_of(k, complete) for k in range(rows)),
        unscored=tuple(int(m.sum()) - s for m, s in zip(items.members, scored, strict=True)),
    )


def evaluate(
    data: Comparison,
    clusters: Floats,
    seeds: Floats,
    *,
    chance: float | None,
    judged: Sequence[int],
) -> Functionals:
    """All functionals under given weights; the one code path for values and replicates.

    Accuracies are taken per seed and then averaged over the seeds with their weights.

    Args:
        data: sums of one comparison.
        clusters: weights [R, C].
        seeds: weights [R, S], each row with a positive sum.
        chance: accuracy of guessing; None where guessing means nothing.
        judged: groups (0 = first group) that the macro mean runs over.
    """
    per_run = _per_run(data, clusters)
    return _over_runs(data, per_run, seeds, chance=chance, judged=judged)


def _per_run(data: Comparison, clusters: Floats) -> tuple[Floats, Floats]:
    """Accuracies of the earlier models and of the last one on their items, each [P, S, K, R]."""
    pairs, runs, rows = data.shape
    sums = (data.sums @ clusters.T).reshape(3, pairs, runs, rows, clusters.shape[0])
    return forms.accuracy(sums[1], sums[0]), forms.accuracy(sums[2], sums[0])


def _over_runs(
    data: Comparison,
    per_run: tuple[Floats, Floats],
    seeds: Floats,
    *,
    chance: float | None,
    judged: Sequence[int],
) -> Functionals:
    before_run, after_run = per_run
    before = _mean_over_seeds(before_run, seeds)  # [P, K, R]
    after = _mean_over_seeds(after_run, seeds)
    difference = forms.initial_minus_last(before, after)
    i = data.initial
    whole, groups = difference[i, 0], difference[i, 1:]
    macro = forms.macro_mean(groups[list(judged)])
    return Functionals(
        before=before[i],
        after=after[i],
        forgetting=difference[i],
        best_minus_last=forms.best_minus_last(difference[:, 0]),
        relative=forms.relative(whole, before[i, 0]),
        chance_corrected=forms.chance_corrected(
            whole, before[i, 0], np.nan if chance is None else chance
        ),
        biased=forms.biased(groups, whole),
        biased_macro=forms.biased(groups, macro),
        per_seed=forms.initial_minus_last(before_run[i, :, 0], after_run[i, :, 0]),
    )


def _mean_over_seeds(per_run: Floats, weights: Floats) -> Floats:
    """[P, S, K, R] → [P, K, R]. A run of weight 0 does not count, even where it is undefined."""
    w = weights.T[None, :, None, :]
    total = np.where(w > 0, w * per_run, 0.0).sum(axis=1)
    mean: Floats = total / weights.sum(axis=1)
    return mean


def bootstrap(
    comparisons: Sequence[Comparison],
    rng: np.random.Generator,
    seeds: Floats,
    *,
    chance: float | None,
    judged: Sequence[Sequence[int]],
) -> list[Resampled]:
    """Replicates [.., R] of several comparisons on the same items.

    All of them see the same draws of clusters from `rng` and of seeds ([R, S], `seed_weights`), so
    that their replicates may be subtracted from one another. Memory is bounded by working through
    the replicates in chunks; the draws do not depend on the chunks' size.
    """
    if not comparisons:
        return []
    clusters = comparisons[0].sums.shape[1]
    width = max(clusters, *(c.sums.shape[0] for c in comparisons))
    parts: list[list[Resampled]] = [[] for _ in comparisons]
    for chunk in _chunks(seeds.shape[0], max(1, _CHUNK_NUMBERS // max(1, width))):
        drawn = seeds[chunk]
        weights = cluster_weights(rng, clusters, drawn.shape[0])
        for part, data, large in zip(parts, comparisons, judged, strict=True):
            per_run = _per_run(data, weights)
            once = _over_runs(data, per_run, np.ones_like(drawn), chance=chance, judged=large)
            part.append(
                Resampled(once, once)
                if drawn.shape[1] < 2
                else Resampled(once, _over_runs(data, per_run, drawn, chance=chance, judged=large))
            )
    return [
        Resampled(_joined([p.items for p in part]), _joined([p.both for p in part]))
        for part in parts
    ]


def _joined(parts: Sequence[Functionals]) -> Functionals:
    return Functionals(*(np.concatenate(arrays, axis=-1) for arrays in zip(*parts, strict=True)))


def _chunks(total: int, size: int) -> Iterator[slice]:
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))


def measured(
    value: Floats,
    replicates: Floats,
    *,
    confidence: float,
    undefined: str,
    no_interval: str | None = None,
) -> Measured:
    """A number (array of size 1, NaN = undefined) and its replicates [R] → value with interval.

    Replicates in which the number is undefined are left out and counted; above `MAX_LEFT_OUT` of
    them there is no interval.

    Args:
        value: the measured number.
        replicates: its bootstrap replicates.
        confidence: e.g. 0.95 for the 2.5 % and 97.5 % quantiles.
        undefined: the reason to give when the number is undefined.
        no_interval: the reason why no interval can be given, if that is known beforehand.
    """
    number = float(value.item())
    if np.isnan(number):
        return Measured(reason=undefined)
    if no_interval is not None:
        return Measured(value=number, interval_reason=no_interval)
    defined = replicates[~np.isnan(replicates)]
    left_out = int(replicates.size - defined.size)
    if left_out > MAX_LEFT_OUT * replicates.size:
        share = 100 * left_out / replicates.size
        return Measured(
            value=number,
            interval_reason=f"undefined in {share:.0f} % of the bootstrap replicates",
            left_out=left_out,
        )
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Measured(value=number, low=float(low), high=float(high), left_out=left_out)
