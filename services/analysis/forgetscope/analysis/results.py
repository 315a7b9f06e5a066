"""Outcomes of every model on every task → the results document. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from forgetscope.analysis.bbq import bbq_results
from forgetscope.analysis.cautions import cautions
from forgetscope.analysis.outcomes import CellKey, Chain, Design, Floats, TaskOutcomes
from forgetscope.core import forgetting as forms
from forgetscope.core import statistics
from forgetscope.core.statistics import Comparison, Functionals
from forgetscope.schema.base import JsonObject
from forgetscope.schema.results import (
    Accuracy,
    Cell,
    ChainForgetting,
    GroupForgetting,
    Measured,
    OrderEffect,
    Results,
)

__all__ = ["build"]


class _Row(NamedTuple):
    """One training that something follows: measured numbers and their replicates."""

    chain: Chain
    position: int
    data: Comparison
    judged: tuple[int, ...]
    point: Functionals
    replicates: Functionals


def build(
    design: Design,
    tasks: Sequence[TaskOutcomes],
    rng: np.random.Generator,
    *,
    provenance: JsonObject,
    progress: Callable[[int, int], None],
) -> Results:
    """Compute every number of the results document.

    Args:
        design: chains, seeds and settings.
        tasks: every task, with a cell for each prefix of each chain and each seed.
        rng: the only source of randomness.
        provenance: copied into the document.
        progress: called with (tasks done, all tasks).

    Raises:
        KeyError: a model that a chain needs was not evaluated.
    """
    seeds = statistics.seed_weights(rng, len(design.seeds), design.settings.bootstrap_replicates)
    # Children of one generator: the draws of a task do not depend on the tasks before it.
    streams = rng.spawn(len(tasks))
    rows: dict[str, list[_Row]] = {}
    for done, (task, stream) in enumerate(zip(tasks, streams, strict=True)):
        progress(done, len(tasks))
        rows[task.info.id] = _rows(design, task, stream, seeds)
    progress(len(tasks), len(tasks))

    by_task = {t.info.id: t for t in tasks}
    forgetting = sorted(
        (
            (design.chains.index(row.chain), row.position, _forgetting(design, by_task[task], row))
            for task, found in rows.items()
            for row in found
        ),
        key=lambda entry: entry[:2],
    )
    reports = tuple(entry[2] for entry in forgetting)
    return Results(
        tasks=tuple(t.info for t in tasks),
        chains=design.chains,
        seeds=design.seeds,
        settings=design.settings,
        matrix=tuple(_matrix(design, tasks)),
        forgetting=reports,
        order_effects=tuple(_order_effects(design, by_task, rows)),
        bbq=tuple(
            bbq_results(
                task.info.id,
                task.items,
                task.bbq,
                chains=design.chains,
                seeds=design.seeds,
                settings=design.settings,
                rng=stream,
                seed_weights=seeds,
            )
            for task, stream in zip(tasks, streams, strict=True)
            if task.bbq is not None
        ),
        notes=tuple(cautions(design.seeds, design.settings, reports, [t.info for t in tasks])),
        provenance=provenance,
    )


def _rows(
    design: Design, task: TaskOutcomes, rng: np.random.Generator, seeds: Floats
) -> list[_Row]:
    """Every row of one task; all of them share the task's draws of clusters."""
    places = [
        (chain, position)
        for chain in design.chains
        for name, position in forms.forgetting_rows(chain)
        if name == task.info.id
    ]
    data = [_compare(design, task, chain, position) for chain, position in places]
    judged = [tuple(g for g, small in enumerate(_too_small(design, d)) if not small) for d in data]
    replicates = statistics.bootstrap(data, rng, seeds, chance=task.info.chance, judged=judged)
    ones = np.ones((1, task.items.clusters)), np.ones((1, len(design.seeds)))
    return [
        _Row(
            chain,
            position,
            d,
            large,
            statistics.evaluate(d, *ones, chance=task.info.chance, judged=large),
            drawn,
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


def _too_small(design: Design, data: Comparison) -> list[bool]:
    """For each group: too few items or clusters to be judged."""
    return [
        items < design.settings.min_group_items or clusters < design.settings.min_group_clusters
        for items, clusters in zip(data.items[1:], data.clusters[1:], strict=True)
    ]


def _no_interval(clusters: int) -> str | None:
    if clusters == 0:
        return "no item was scored under both models in every seed"
    return "all items are from a single cluster" if clusters == 1 else None


def _no_chance(chance: float | None, unpaired: bool) -> str:
    if chance is None:
        return "this task has no chance level"
    return _UNPAIRED if unpaired else "not above chance after its own stage"


_UNPAIRED = "no item was scored under both models in at least one seed"


def _measure(design: Design, clusters: int) -> Callable[..., Measured]:
    return partial(
        statistics.measured,
        confidence=design.settings.confidence,
        no_interval=_no_interval(clusters),
    )


def _forgetting(design: Design, task: TaskOutcomes, row: _Row) -> ChainForgetting:
    data, point, drawn = row.data, row.point, row.replicates
    measure = _measure(design, data.clusters[0])
    unpaired = bool(np.isnan(point.forgetting[0]).item())
    per_seed = [None if np.isnan(f) else float(f) for f in point.per_seed[:, 0]]
    return ChainForgetting(
        chain=row.chain,
        task=task.info.id,
        position=row.position,
        items=data.items[0],
        clusters=data.clusters[0],
        unscored=data.unscored[0],
        before=measure(point.before[0], drawn.before[0], undefined=_UNPAIRED),
        after=measure(point.after[0], drawn.after[0], undefined=_UNPAIRED),
        forgetting=measure(point.forgetting[0], drawn.forgetting[0], undefined=_UNPAIRED),
        best_minus_last=measure(
            point.best_minus_last,
            drawn.best_minus_last,
            undefined="no item was scored under both an earlier model and the last one",
        ),
        relative=measure(
            point.relative,
            drawn.relative,
            undefined=_UNPAIRED if unpaired else "the accuracy after its own stage is 0",
        ),
        chance_corrected=measure(
            point.chance_corrected,
            drawn.chance_corrected,
            undefined=_no_chance(task.info.chance, unpaired),
        ),
        per_seed={str(s): f for s, f in zip(design.seeds, per_seed, strict=True)},
        groups=tuple(_groups(design, task, row)),
    )


def _groups(design: Design, task: TaskOutcomes, row: _Row) -> Iterator[GroupForgetting]:
    data, point, drawn = row.data, row.point, row.replicates
    few = "fewer than two groups are large enough for a mean over groups"
    for g, (name, small) in enumerate(
        zip(task.items.groups, _too_small(design, data), strict=True)
    ):
        k = g + 1
        measure = _measure(design, data.clusters[k])
        unpaired = bool(np.isnan(point.forgetting[k]).item())
        yield GroupForgetting(
            group=name,
            items=data.items[k],
            clusters=data.clusters[k],
            unscored=data.unscored[k],
            too_small=small,
            before=measure(point.before[k], drawn.before[k], undefined=_UNPAIRED),
            after=measure(point.after[k], drawn.after[k], undefined=_UNPAIRED),
            forgetting=measure(point.forgetting[k], drawn.forgetting[k], undefined=_UNPAIRED),
            biased=measure(point.biased[g], drawn.biased[g], undefined=_UNPAIRED),
            biased_macro=measure(
                point.biased_macro[g],
                drawn.biased_macro[g],
                undefined=_UNPAIRED if unpaired else few,
            ),
        )


def _order_effects(
    design: Design, tasks: Mapping[str, TaskOutcomes], rows: Mapping[str, Sequence[_Row]]
) -> Iterator[OrderEffect]:
    """One for each (safety, capability) pair whose two-stage chains exist in both orders."""
    first = {row.chain: row for found in rows.values() for row in found if len(row.chain) == 2}
    for chain, row in first.items():
        safety, capability = chain
        other = first.get((capability, safety))
        kinds = (tasks[safety].info.kind, tasks[capability].info.kind)
        if kinds != ("safety", "capability") or other is None:
            continue
        ours, theirs = row.data.clusters[0], other.data.clusters[0]
        effect = [
            forms.order_effect(a.forgetting[0], b.forgetting[0])
            for a, b in ((row.point, other.point), (row.replicates, other.replicates))
        ]
        yield OrderEffect(
            safety=safety,
            capability=capability,
            safety_first=_measure(design, ours)(
                row.point.forgetting[0], row.replicates.forgetting[0], undefined=_UNPAIRED
            ),
            capability_first=_measure(design, theirs)(
                other.point.forgetting[0], other.replicates.forgetting[0], undefined=_UNPAIRED
            ),
            effect=_measure(design, min(ours, theirs))(*effect, undefined=_UNPAIRED),
        )


def _matrix(design: Design, tasks: Sequence[TaskOutcomes]) -> Iterator[Cell]:
    prefixes = dict.fromkeys(
        chain[:stage] for chain in design.chains for stage in range(1, len(chain) + 1)
    )
    models: list[CellKey] = [((), None)]
    models += [(prefix, seed) for prefix in prefixes for seed in design.seeds]
    for chain, seed in models:
        for task in tasks:
            outcomes = task.cells.get((chain, seed))
            if outcomes is not None:
                overall, *groups = (_accuracy(outcomes[rows]) for rows in task.items.members)
                yield Cell(
                    chain=chain,
                    seed=seed,
                    task=task.info.id,
                    overall=overall,
                    groups=dict(zip(task.items.groups, groups, strict=True)),
                )


def _accuracy(outcomes: Floats) -> Accuracy:
    scored = int(np.sum(~np.isnan(outcomes)))
    correct = int(np.nansum(outcomes))
    return Accuracy(
        value=correct / scored if scored else None,
        reason=None if scored else "no item was scored",
        scored=scored,
        correct=correct,
        unscored=int(outcomes.size) - scored,
    )
