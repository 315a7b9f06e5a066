"""ACC, BWT and FWT of every chain, from the accuracies of its models, with intervals."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy import sparse

from forgetscope.analysis.outcomes import CellKey, Chain, Design, Floats, TaskOutcomes, trainings
from forgetscope.core import forgetting as forms
from forgetscope.core import statistics
from forgetscope.core.inference import intervals, spread
from forgetscope.core.inference.transfer import Transfer, average_accuracy, backward, forward
from forgetscope.core.inference.transfer import transfer as of_matrix
from forgetscope.core.steps import task_of
from forgetscope.schema.measured import Measured
from forgetscope.schema.verdicts import TransferRow

__all__ = ["transfer_rows"]

Cells = Mapping[CellKey, Floats]
"""Accuracies [1 + R] of each model on one task: the measured one, then its replicates."""

_CHUNK_NUMBERS = 4_000_000
"""Bounds the memory of a chunk of replicates (8 bytes a number)."""


def transfer_rows(
    design: Design,
    tasks: Mapping[str, TaskOutcomes],
    rng: np.random.Generator,
    seeds: Floats,
) -> Iterator[TransferRow]:
    """One row for each chain and seed; with several seeds, one for their mean, too.

    Accuracies are those of the matrix: each over the items that its own model scored. Stages are
    the trainings: a merge is no stage, and the last row is that of the model at the end.

    Args:
        rng: draws the clusters of each task.
        seeds: weights [R, S], shared with the other numbers (`statistics.seed_weights`).
    """
    replicates = design.settings.bootstrap_replicates
    drawn = {
        task.info.id: _accuracies(task, stream, replicates)
        for task, stream in zip(tasks.values(), rng.spawn(len(tasks)), strict=True)
    }
    for chain in design.chains:
        trained = trainings(chain)
        columns = [drawn[task] for task in trained]
        fewest = min((tasks[task].items.clusters for task in trained), default=0)
        base = np.stack([_known(cells, ((), None), replicates) for cells in columns])
        known = any(((), None) in cells for cells in columns)
        runs = [
            _numbers(
                trained,
                np.array(
                    [
                        [_known(cells, (model, seed), replicates) for cells in columns]
                        for model in _models(chain)
                    ]
                ),
                base if known else None,
            )
            for seed in design.seeds
        ]
        for seed, (found, values) in zip(design.seeds, runs, strict=True):
            yield _row(design, chain, seed, (found, values[:, None]), seeds=seeds, clusters=fewest)
        if len(runs) > 1:
            undefined = next((f for f, values in runs if np.isnan(values[:, 0]).any()), runs[0][0])
            together = np.stack([values for _, values in runs], axis=1)
            yield _row(design, chain, None, (undefined, together), seeds=seeds, clusters=fewest)


def _models(chain: Chain) -> list[Chain]:
    after = [chain[:i] for i, e in enumerate(chain, start=1) if task_of(e) is not None]
    return [*after[:-1], chain]


def _accuracies(task: TaskOutcomes, rng: np.random.Generator, replicates: int) -> Cells:
    """Every model under the same draws of clusters. NaN where nothing was scored."""
    answers = np.stack(list(task.cells.values()))  # [M, N]
    n, clusters = answers.shape[1], task.items.clusters
    into = sparse.csr_array((np.ones(n), (np.arange(n), task.items.cluster)), shape=(n, clusters))
    both = np.concatenate([~np.isnan(answers), np.nan_to_num(answers)]).astype(np.float64) @ into
    parts = [both.sum(axis=1, keepdims=True)]
    size = max(1, _CHUNK_NUMBERS // max(1, clusters, len(both)))
    for start in range(0, replicates, size):
        weights = statistics.cluster_weights(rng, clusters, min(size, replicates - start))
        parts.append(both @ weights.T)
    scored, right = np.split(np.concatenate(parts, axis=1), 2)
    return dict(zip(task.cells, forms.accuracy(right, scored), strict=True))


def _known(cells: Cells, model: CellKey, replicates: int) -> Floats:
    """NaN where the model was not evaluated on the task."""
    return cells[model] if model in cells else np.full(1 + replicates, np.nan)


def _numbers(chain: Sequence[str], matrix: Floats, base: Floats | None) -> tuple[Transfer, Floats]:
    """What is measured, or why it is undefined; and ACC, BWT, FWT [3, 1 + R], NaN = undefined.

    Args:
        matrix: [T, T, 1 + R].
        base: [T, 1 + R].
    """
    found = of_matrix(chain, matrix[..., 0], None if base is None else base[:, 0])
    values = np.full((3, matrix.shape[-1]), np.nan)
    if found.acc.value is not None:
        values[0] = average_accuracy(
            matrix[:, [chain.index(task) for task in dict.fromkeys(chain)]]
        )
    if found.bwt.value is not None:
        values[1] = backward(matrix)
    if found.fwt.value is not None and base is not None:
        values[2] = forward(matrix, base)
    return found, values


def _row(
    design: Design,
    chain: Chain,
    seed: int | None,
    numbers: tuple[Transfer, Floats],
    *,
    seeds: Floats,
    clusters: int,
) -> TransferRow:
    """`numbers`: why something is undefined, and values [3, S, 1 + R] of one seed or of all.

    Tasks are drawn apart; the expansion for few clusters is that of the task that has fewest. BCa
    would need leave-one-out values, and takes expanded instead.
    """

    found, values = numbers

    def measured(k: int, reason: str | None, bounds: tuple[float, float]) -> Measured:
        number = values[k]  # [S, 1 + R]
        items = number[:, 1:].mean(axis=0)
        runs = None
        if len(number) > 1 and clusters > 1:
            both = (seeds.T * number[:, 1:]).sum(axis=0) / seeds.sum(axis=1)
            point = number[:, 0]
            left_out = (point.sum() - point) / (len(point) - 1)
            runs = spread.of_runs(items, both, left_out, clusters=clusters, drawn=clusters)
        return intervals.interval(
            number[:, 0].mean(),
            items,
            method="percentile" if design.settings.interval == "percentile" else "expanded",
            clusters=clusters,
            drawn=clusters,
            jackknives=(),
            confidence=design.settings.confidence,
            undefined=reason or "",
            no_interval="all items of a task are from a single cluster" if clusters < 2 else None,
            runs=runs,
            bounds=bounds,
        )

    return TransferRow(
        chain=chain,
        seed=seed,
        acc=measured(0, found.acc.reason, (0, 1)),
        bwt=measured(1, found.bwt.reason, (-1, 1)),
        fwt=measured(2, found.fwt.reason, (-1, 1)),
    )
