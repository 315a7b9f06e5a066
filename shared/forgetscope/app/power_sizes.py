"""How many items and clusters stand behind each group: counted in the data, or as stated."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from forgetscope.app.platform import Platform
from forgetscope.app.prepare import build_examples
from forgetscope.app.tasks import resolve
from forgetscope.core.inference.power_model import Expected, Plan, Sample
from forgetscope.schema.errors import NotEnoughExamples
from forgetscope.schema.experiment import TaskUse
from forgetscope.schema.power import TaskSizes
from forgetscope.tasks.catalogue import find

__all__ = ["Counted", "Groups", "counted", "stated"]

Groups = tuple[str, ...]


class Counted(NamedTuple):
    """A task, as items of each (groups, cluster). `absent`: groups that are trained on and have
    no item in evaluation."""

    task: str
    cells: Mapping[tuple[Groups, str], int]
    absent: Groups

    @property
    def groups(self) -> Groups:
        return tuple(sorted({group for groups, _ in self.cells for group in groups}))

    @property
    def overlapping(self) -> bool:
        return any(len(groups) > 1 for groups, _ in self.cells)

    def plan(
        self, group: str | None, expected_of: Callable[[Groups], Expected], *, biased: bool
    ) -> Plan:
        """A group, for biased forgetting beside the other items of the task; None is the task as a
        whole, with the name "". There is no rest where the group is the whole task."""
        inside = [cell for cell in self.cells if group is None or group in cell[0]]
        expected = self._expected(inside, expected_of) if group is None else expected_of((group,))
        plan = Plan(group or "", self._sample(inside), expected)
        outside = [cell for cell in self.cells if biased and group not in cell[0]]
        if not outside:
            return plan
        return plan._replace(rest=(self._sample(outside), self._expected(outside, expected_of)))

    def _sample(self, cells: Iterable[tuple[Groups, str]]) -> Sample:
        sizes: Counter[str] = Counter()
        for cell in cells:
            sizes[cell[1]] += self.cells[cell]
        return Sample(tuple(sizes.values()))

    def _expected(
        self, cells: Iterable[tuple[Groups, str]], expected_of: Callable[[Groups], Expected]
    ) -> Expected:
        """Mean over the items."""
        items: Counter[Groups] = Counter()
        for cell in cells:
            items[cell[0]] += self.cells[cell]
        shares = {groups: expected_of(groups) for groups in items}
        if len({*shares.values()}) == 1:  # exactly, without rounding errors
            return next(iter(shares.values()))
        return Expected(
            sum(items[groups] * e.lost for groups, e in shares.items()) / items.total(),
            sum(items[groups] * e.gained for groups, e in shares.items()) / items.total(),
        )


def counted(platform: Platform, use: TaskUse, *, where: str) -> Counted:
    """Count a task's evaluation examples, as an experiment would sample them.

    The training split is read, too: a group that only stands there would go unnoticed. Raises
    UnknownName, InvalidSpec, BadRow, NotEnoughExamples.
    """
    whole = resolve(use, platform.library, where=where)
    task, params = find(whole.name, whole.params, where=where)
    try:
        examples = build_examples(
            task,
            params,
            "evaluation",
            use.evaluation_examples,
            seed=0,
            rows=platform.rows,
            by_groups=use.balance == "groups",
        )
    except NotEnoughExamples as error:
        pointer = f"{where}/evaluation_examples"
        raise NotEnoughExamples(error.detail, where=pointer, hint=error.hint) from None
    training = build_examples(task, params, "train", None, seed=0, rows=platform.rows)
    cells = Counter((example.groups, example.cluster) for example in examples)
    here = {group for groups, _ in cells for group in groups}
    absent = {group for example in training for group in example.groups} - here
    return Counted(use.id, cells, tuple(sorted(absent)))


def stated(task: TaskSizes) -> Counted:
    """A task by the sizes that were given."""
    parts: list[tuple[Groups, tuple[int, ...]]] = [((g.group,), g.each) for g in task.groups]
    if task.others is not None:
        parts.append(((), task.others.each))
    cells = {
        (groups, f"{part}/{cluster}"): size
        for part, (groups, sizes) in enumerate(parts)
        for cluster, size in enumerate(sizes)
    }
    return Counted(task.id, cells, ())
