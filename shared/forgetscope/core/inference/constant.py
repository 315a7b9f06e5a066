"""An interval for a loss that is the same in every cluster, e.g. 0 because no item changed.

All bootstrap replicates are equal then, and say nothing about the uncertainty.
"""

import math

import numpy as np
from scipy import stats

from forgetscope.core.inference.spread import expanded

__all__ = ["half_width", "largest_share"]


def largest_share(items: float, tail: float) -> float:
    """Upper bound on the share of lost items where none of n is lost: `1 − tail^(1/n)`, with
    confidence 1 − tail (Clopper & Pearson 1934, Biometrika 26, 404-413, for 0 of n)."""
    return 1.0 if items <= 0 else float(-np.expm1(math.log(tail) / items))


def half_width(
    items: float, clusters: int, drawn: int, tail: float, *, lost: float = 0.0, gained: float = 0.0
) -> float:
    """Half of the width of the interval around the loss.

    Taken as independent, items give the standard error `√((lost + gained − (lost − gained)²)/n)`
    (Miettinen 1968, Biometrics 24, 339-352), and `largest_share` where that is less: where no item
    changed, or all did. Both are expanded for few clusters (`spread.expanded`). How alike the items
    of a cluster change cannot be seen where clusters do not differ; independence is our own choice,
    and the smallest number of clusters is the guard against it. Without a change it is never
    narrower than the interval that a single changed item would give: its standard error is about
    1/n, and `z/n ≤ 1 − tail^(1/n)` for usual tails.

    Args:
        items: n, scored under both models.
        clusters: ≥ 2, that these come from.
        drawn: the clusters of the task as a whole.
        tail: error rate of one side, below 0.25.
        lost, gained: shares of the items.
    """
    z = float(stats.norm.isf(tail))
    error = math.sqrt(max(0.0, lost + gained - (lost - gained) ** 2) / items)
    alone = max(z * error, largest_share(items, tail))
    return min(1.0, alone * expanded(z, clusters, drawn) / z)
