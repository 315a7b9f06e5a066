"""Numbers of three models on the same items, with their intervals. Pure.

A after a task's own stage, AB at the end of the plain chain, M at the end of the mitigated one.
Items that one of them left unscored, in any seed, are left out, so that every number is about the
same items.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from forgetscope.analysis.outcomes import CellKey, Chain, Design, Floats, TaskOutcomes
from forgetscope.analysis.rows import Row, rows_of
from forgetscope.core import statistics
from forgetscope.core.inference import intervals, spread
from forgetscope.core.inference.ratios import FARTHEST, ratio_ends
from forgetscope.core.statistics import Functionals
from forgetscope.schema.measured import Measured

__all__ = ["Level", "Number", "Pair", "compare_models", "measure", "ratio", "regained"]

_ALL_EQUAL = "all bootstrap replicates are equal, which says nothing about the uncertainty"

_ROUNDING = 1e-12
"""Differences of accuracies that are smaller than this are rounding errors."""

Number = Callable[[Functionals, Functionals], Floats]
"""A number of both comparisons, A with AB and A with M; the last axis is the replicate."""


class Pair(NamedTuple):
    """Two comparisons of the same items under the same draws."""

    lost: Row
    """A with AB; for a price twice the same, AB with M"""
    kept: Row
    """A with M"""


class Level(NamedTuple):
    """How an interval is made. `k`: the whole (0) or group k − 1, as in `rows.measure`."""

    design: Design
    confidence: float
    k: int = 0
    biased: bool = False
    bounds: tuple[float, float] | None = None


def compare_models(
    design: Design,
    task: TaskOutcomes,
    models: Sequence[Chain],
    rng: np.random.Generator,
    seeds: Floats,
) -> Pair:
    """Compare the first of two or three models with each other one, on the items that all scored.

    Args:
        models: A, AB, M; for a price AB, M.
        rng: the task's draws.
        seeds: weights [R, S].
    """
    keys: list[list[CellKey]] = [[(model, seed) for seed in design.seeds] for model in models]
    answers = np.stack([np.stack([task.cells[key] for key in row]) for row in keys])  # [M, S, N]
    answers[:, :, np.isnan(answers).any(axis=(0, 1))] = np.nan
    data = [
        statistics.compare(task.items, answers[None, 0], last, initial=0) for last in answers[1:]
    ]
    places = [(model, len(models[0])) for model in models[1:]]
    rows = rows_of(design, task, places, data, rng=rng, seeds=seeds)
    return Pair(rows[0], rows[-1])


def measure(level: Level, pair: Pair, number: Number) -> Measured:
    """A number of the pair, with its interval."""
    design, clusters = level.design, pair.lost.data.clusters[level.k]
    replicates = number(pair.lost.replicates, pair.kept.replicates)
    runs = None
    if pair.lost.without_seed is not None and pair.kept.without_seed is not None:
        runs = spread.of_runs(
            replicates,
            number(pair.lost.with_seeds, pair.kept.with_seeds),
            number(pair.lost.without_seed, pair.kept.without_seed),
            clusters=max(2, clusters),
            drawn=max(2, pair.lost.drawn),
            biased=level.biased,
        )
    jackknives = []
    if pair.lost.jackknife is not None and pair.kept.jackknife is not None:
        jackknives = [number(pair.lost.jackknife, pair.kept.jackknife)]
    return intervals.interval(
        number(pair.lost.point, pair.kept.point),
        replicates,
        method=design.settings.interval,
        clusters=clusters,
        drawn=pair.lost.drawn,
        jackknives=jackknives,
        confidence=level.confidence,
        undefined="no item was scored under all models in every seed",
        no_interval="all items are from a single cluster" if clusters == 1 else None,
        runs=runs,
        biased=level.biased,
        bounds=level.bounds,
    )


def ratio(level: Level, pair: Pair) -> Measured:
    """Regained / forgotten, undefined where no forgetting is shown. With BCa, the interval is that
    of the expanded differences: BCa has no ends for some of them."""
    k = level.k
    forgotten = measure(level, pair, lambda lost, _: lost.forgetting[k])
    if forgotten.value is None:
        return Measured(reason=forgotten.reason)
    if forgotten.value <= 0:
        return Measured(reason="nothing was forgotten that could be brought back")
    if forgotten.low is None or forgotten.high is None:
        return Measured(
            reason=f"it is not known whether anything was forgotten: {forgotten.interval_reason}"
        )
    if forgotten.low <= 0:
        return Measured(
            reason="no forgetting is shown that could be brought back: its interval from "
            f"{100 * forgotten.low:.1f} to {100 * forgotten.high:.1f} points includes 0"
        )
    value = float(regained(k)(pair.lost.point, pair.kept.point).item()) / forgotten.value
    if forgotten.high - forgotten.low <= _ROUNDING:
        return Measured(value=value, interval_reason=_ALL_EQUAL)
    settings = level.design.settings
    if settings.interval == "bca":
        settings = settings.model_copy(update={"interval": "expanded"})
        level = level._replace(design=level.design._replace(settings=settings))

    def ends(rho: float) -> tuple[float, float]:
        def distance(lost: Functionals, kept: Functionals) -> Floats:
            number: Floats = regained(k)(lost, kept) - rho * lost.forgetting[k]
            return number

        found = measure(level, pair, distance)
        if found.low is None or found.high is None:
            return -np.inf, np.inf
        return found.low, found.high

    between = ratio_ends(ends, value)
    if between is None:
        return Measured(
            value=value,
            interval_reason=f"the loss is so uncertain that an end lies beyond ±{FARTHEST:g}",
        )
    return Measured(value=value, low=between[0], high=between[1], left_out=forgotten.left_out)


def regained(k: int) -> Number:
    """Acc_M − Acc_AB of row k."""
    return lambda lost, kept: kept.after[k] - lost.after[k]
