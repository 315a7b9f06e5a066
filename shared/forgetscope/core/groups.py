"""Items of a task, the groups they belong to, and the clusters they come from."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Items", "arrange"]


class Items(NamedTuple):
    """What all models of a comparison share: the items and their structure (N items).

    Row 0 of `members` is the task as a whole, row 1 + i is `groups[i]`. An item of several groups
    counts in each of them, and once in the whole.
    """

    groups: tuple[str, ...]
    members: npt.NDArray[np.bool_]
    """[1 + number of groups, N]"""
    cluster: npt.NDArray[np.intp]
    """[N], index of the item's cluster"""
    clusters: int

    def clusters_of(self, row: int, items: npt.NDArray[np.bool_]) -> int:
        """How many clusters the chosen items [N] of one row of `members` come from."""
        return int(np.unique(self.cluster[self.members[row] & items]).size)


def arrange(groups: Sequence[Sequence[str]], clusters: Sequence[str]) -> Items:
    """Groups of each item and cluster of each item → `Items`; groups in alphabetical order.

    Raises:
        ValueError: the two sequences have different lengths.
    """
    if len(groups) != len(clusters):
        raise ValueError(f"{len(groups)} items have groups, {len(clusters)} have a cluster")
    names = sorted({name for item in groups for name in item})
    row = {name: i for i, name in enumerate(names, start=1)}
    members = np.zeros((1 + len(names), len(groups)), dtype=np.bool_)
    members[0] = True
    for i, item in enumerate(groups):
        for name in item:
            members[row[name], i] = True
    kinds, cluster = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    return Items(tuple(names), members, cluster.reshape(-1).astype(np.intp), int(kinds.size))
