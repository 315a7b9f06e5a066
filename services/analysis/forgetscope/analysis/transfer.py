"""ACC, BWT and FWT of every chain and seed, from the accuracies of its models."""

from collections.abc import Iterator, Mapping

import numpy as np

from forgetscope.analysis.outcomes import CellKey, Chain, Design, TaskOutcomes, trainings
from forgetscope.core.inference.transfer import transfer
from forgetscope.core.steps import task_of
from forgetscope.schema.verdicts import TransferRow

__all__ = ["transfer_rows"]


def transfer_rows(design: Design, tasks: Mapping[str, TaskOutcomes]) -> Iterator[TransferRow]:
    """One row for each chain and seed.

    Accuracies are those of the matrix: each over the items that its own model scored. Stages are
    the trainings: a merge is no stage, and the last row is that of the model at the end.
    """
    for chain in design.chains:
        trained = trainings(chain)
        columns = [tasks[task] for task in trained]
        base = np.array([_accuracy(task, ((), None)) for task in columns])
        known = any(((), None) in task.cells for task in columns)
        for seed in design.seeds:
            matrix = np.array(
                [[_accuracy(task, (model, seed)) for task in columns] for model in _models(chain)]
            )
            found = transfer(trained, matrix, base if known else None)
            yield TransferRow(chain=chain, seed=seed, acc=found.acc, bwt=found.bwt, fwt=found.fwt)


def _models(chain: Chain) -> list[Chain]:
    after = [chain[:i] for i, e in enumerate(chain, start=1) if task_of(e) is not None]
    return [*after[:-1], chain]


def _accuracy(task: TaskOutcomes, model: CellKey) -> float:
    """NaN where the model was not evaluated on the task, or nothing was scored."""
    outcomes = task.cells.get(model)
    if outcomes is None or np.isnan(outcomes).all():
        return float("nan")
    return float(np.nanmean(outcomes))
