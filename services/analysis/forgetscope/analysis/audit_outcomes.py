"""One task under the two models of an audit: what changed, and the replicates of its numbers."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forgetscope.analysis.outcomes import CellKey, Design, Floats, TaskOutcomes
from forgetscope.analysis.rows import Row, rows_of
from forgetscope.core import statistics
from forgetscope.core.audit_needs import Observed
from forgetscope.core.inference.mcnemar import discordance
from forgetscope.core.policy import Asked, asked_rows
from forgetscope.core.statistics import Functionals
from forgetscope.schema.experiment import AnalysisSpec
from forgetscope.schema.policy import Policy, TaskRule

__all__ = ["CANDIDATE", "REFERENCE", "AuditedOutcomes", "outcomes_under"]

REFERENCE: CellKey = (("reference",), 0)
CANDIDATE: CellKey = (("candidate",), 0)


class AuditedOutcomes(NamedTuple):
    """A task with the rule about it, and the replicates of its numbers."""

    rule: TaskRule
    task: TaskOutcomes
    design: Design
    row: Row
    asked: tuple[Asked, ...]

    def place(self, asked: Asked) -> int | None:
        """0 for the task as a whole, 1 + g for a group; None for one that the data do not have."""
        if asked.group is None:
            return 0
        groups = self.task.items.groups
        return 1 + groups.index(asked.group) if asked.group in groups else None

    def small(self, asked: Asked) -> str | None:
        """Why a number is not judged for its size."""
        k = self.place(asked)
        if k is None:
            return "no item of this group is in the evaluation"
        items, clusters = self.row.data.items[k], self.row.data.clusters[k]
        if items >= self.rule.min_items and clusters >= self.rule.min_clusters:
            return None
        return (
            f"too small to judge: {items} items in {clusters} clusters; the policy asks for "
            f"{self.rule.min_items} items and {self.rule.min_clusters} clusters"
        )

    def number(self, functionals: Functionals, asked: Asked, k: int) -> Floats:
        found: Floats = (
            functionals.forgetting[k] if asked.what == "loss" else functionals.biased[k - 1]
        )
        return found

    def too_unscored(self, asked: Asked) -> str | None:
        """Why a number that is large enough is not judged for what is missing from it."""
        k = self.place(asked)
        assert k is not None
        unscored = self.row.data.unscored[k]
        every = unscored + self.row.data.items[k]
        if unscored <= self.rule.max_unscored * every:
            return None
        return (
            f"{unscored} of {every} items are unscored under one of the models, more than "
            f"{100 * self.rule.max_unscored:g} %"
        )

    def observed(self, k: int, *, others: bool = False) -> Observed:
        """The changes of a group (0: of the task); with `others`, of the task's other items."""
        before, after = self.task.cells[REFERENCE], self.task.cells[CANDIDATE]
        members = self.task.items.members[k] ^ others
        chosen: npt.NDArray[np.bool_] = members & ~np.isnan(before) & ~np.isnan(after)
        _, sizes = np.unique(self.task.items.cluster[chosen], return_counts=True)
        lost, gained, _ = discordance(before[chosen], after[chosen])
        return Observed(tuple(map(int, sizes)), lost, gained)


def outcomes_under(
    policy: Policy,
    rule: TaskRule,
    task: TaskOutcomes,
    replicates: int,
    rng: np.random.Generator,
) -> AuditedOutcomes:
    """Bootstrap one task under both models. Its cells are `REFERENCE` and `CANDIDATE`."""
    settings = AnalysisSpec(
        bootstrap_replicates=replicates,
        confidence=policy.confidence,
        min_group_items=rule.min_items,
        min_group_clusters=rule.min_clusters,
    )
    design = Design(chains=(), seeds=(0,), settings=settings)
    before, after = task.cells[REFERENCE], task.cells[CANDIDATE]
    data = statistics.compare(task.items, before[None, None], after[None], initial=0)
    places = [((task.info.id,), 1)]
    (row,) = rows_of(design, task, places, [data], rng=rng, seeds=np.ones((replicates, 1)))
    return AuditedOutcomes(rule, task, design, row, tuple(asked_rows(rule, task.items.groups)))
