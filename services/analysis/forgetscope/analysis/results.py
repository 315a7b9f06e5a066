"""Outcomes of every model on every task → the results document. Pure."""

import copy
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from forgetscope.analysis.bbq import bbq_results
from forgetscope.analysis.cautions import cautions
from forgetscope.analysis.consistency import agreements
from forgetscope.analysis.forgetting import chain_forgetting, order_effects
from forgetscope.analysis.outcomes import CellKey, Design, Floats, TaskOutcomes
from forgetscope.analysis.recovery import recovery_rows
from forgetscope.analysis.rows import Row, make_rows
from forgetscope.analysis.transfer import transfer_rows
from forgetscope.analysis.variance import variance
from forgetscope.core import statistics
from forgetscope.schema.base import JsonObject
from forgetscope.schema.results import Accuracy, Cell, Results

__all__ = ["build"]


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
    *streams, shuffles, transfers = rng.spawn(len(tasks) + 2)
    drawn = {t.info.id: copy.deepcopy(stream) for t, stream in zip(tasks, streams, strict=True)}
    rows: dict[str, list[Row]] = {}
    for done, (task, stream) in enumerate(zip(tasks, streams, strict=True)):
        progress(done, len(tasks))
        rows[task.info.id] = make_rows(design, task, stream, seeds)
    progress(len(tasks), len(tasks))

    by_task = {t.info.id: t for t in tasks}
    ordered = sorted(
        ((task, row) for task in tasks for row in rows[task.info.id]),
        key=lambda entry: (design.chains.index(entry[1].chain), entry[1].position),
    )
    reports = tuple(chain_forgetting(design, task, row) for task, row in ordered)
    return Results(
        tasks=tuple(t.info for t in tasks),
        chains=design.chains,
        seeds=design.seeds,
        settings=design.settings,
        matrix=tuple(_matrix(design, tasks)),
        forgetting=reports,
        order_effects=order_effects(design, by_task, rows),
        transfer=tuple(transfer_rows(design, by_task, transfers, seeds)),
        recovery=recovery_rows(design, by_task, drawn, seeds),
        consistency=tuple(
            agreements([(row, task.items.groups) for task, row in ordered], shuffles)
        ),
        variance=variance(design, by_task),
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
