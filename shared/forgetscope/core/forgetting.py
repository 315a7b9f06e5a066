"""The forms of forgetting, as arithmetic on accuracies.

Accuracies and forgetting are fractions; positive forgetting = forgot. Every function is elementwise
over arrays, so that one code path serves the measured numbers and their bootstrap replicates.
Inside these arrays NaN marks "undefined"; `forgetscope.core.statistics.measured` turns it into a
value with a reason before anything leaves the core.

Which model is "initial": each (task, position) of a chain with position < length is one row. The
initial model is the one right after that position, the last model is the end of the chain. A task
that comes twice (A → B → A) therefore has a row for its first training (how much of it the whole
rest of the chain, its own repetition included, took away) and one for its second training only if
the chain goes on after it. A chain of length 1 has no row.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from forgetscope.core.steps import task_of

__all__ = [
    "accuracy",
    "best_minus_last",
    "biased",
    "chance_corrected",
    "forgetting_rows",
    "initial_minus_last",
    "macro_mean",
    "order_effect",
    "relative",
]

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[Any]


def _ratio(top: Floats, bottom: Floats) -> Floats:
    """top / bottom, NaN where bottom ≤ 0."""
    top, bottom = np.broadcast_arrays(top, bottom)
    out = np.full(top.shape, np.nan)
    np.divide(top, bottom, out=out, where=bottom > 0)
    return out


def accuracy(correct: Numbers, scored: Numbers) -> Floats:
    """Share of right answers among scored items; undefined where nothing was scored."""
    return _ratio(np.asarray(correct, np.float64), np.asarray(scored, np.float64))


def initial_minus_last(initial: Floats, last: Floats) -> Floats:
    """`Acc_A(θ_A) − Acc_A(θ_AB)`: the primary form; minus the BWT of one task.

    Lopez-Paz & Ranzato 2017 (arXiv 1706.08840, BWT), with the sign of forgetting.
    """
    return initial - last


def best_minus_last(differences: Floats) -> Floats:
    """max over earlier models l of (Acc_l − Acc_last); `differences` has l on axis 0.

    Chaudhry et al. 2018 (arXiv 1801.10112, section 3): l runs over every stage of the chain before
    the last, the ones before the task's own training included. For a chain of two stages there is
    one such model, so the form equals initial − last. Each difference is taken over the items that
    both of its models scored.
    """
    best: Floats = np.max(differences, axis=0)
    return best


def relative(forgetting: Floats, initial: Floats) -> Floats:
    """`F / Acc_A(θ_A)`; undefined where the accuracy is 0."""
    return _ratio(forgetting, initial)


def chance_corrected(forgetting: Floats, initial: Floats, chance: float) -> Floats:
    """`F / (Acc_A(θ_A) − chance)`; undefined where the model was not above chance."""
    return _ratio(forgetting, initial - chance)


def biased(group: Floats, reference: Floats) -> Floats:
    """`BF^g = F^g − F`: positive = the group forgets more than the reference.

    The reference is the task as a whole (pooled, the primary form of arXiv 2412.16469 here) or the
    mean over groups (`macro_mean`). For disjoint groups that cover the task, Σ_g n_g·BF^g = 0 in
    the pooled form.
    """
    return group - reference


def macro_mean(groups: Floats) -> Floats:
    """Mean over groups (axis 0); undefined with fewer than two groups or one undefined group."""
    if groups.shape[0] < 2:
        return np.full(groups.shape[1:], np.nan)
    mean: Floats = np.mean(groups, axis=0)
    return mean


def order_effect(safety_first: Floats, capability_first: Floats) -> Floats:
    """`F(safety → capability) − F(capability → safety)`: each term is about the first task."""
    return safety_first - capability_first


def forgetting_rows(chain: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """(task, position from 1) of each training that something follows."""
    trained = ((task_of(element), i) for i, element in enumerate(chain, start=1))
    return tuple((task, i) for task, i in trained if task is not None and i < len(chain))
