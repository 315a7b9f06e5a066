"""The report's section on why groups and pairs differ."""

from typing import NamedTuple

from forgetscope.analysis.figures import Drawing
from forgetscope.analysis.outcomes import unmitigated
from forgetscope.analysis.report_mechanisms_figures import Sketch, group_sketches, pair_sketch
from forgetscope.schema.mechanisms import Association, DriftRow, GroupMechanisms, PairSimilarity
from forgetscope.schema.results import Results

__all__ = ["MechanismsPart", "mechanisms_part"]


class _Row(NamedTuple):
    """The groups of one row of the forgetting table."""

    chain: tuple[str, ...]
    task: str
    position: int
    groups: tuple[GroupMechanisms, ...]
    associations: tuple[Association, ...]


class MechanismsPart(NamedTuple):
    """What the section shows."""

    rows: tuple[_Row, ...]
    drift: tuple[DriftRow, ...]
    pooled: tuple[Association, ...]
    pairs: tuple[PairSimilarity, ...]
    over_pairs: tuple[Association, ...]
    sketches: tuple[Sketch, ...]
    pair_sketch: Sketch | None
    caution: str

    @property
    def figures(self) -> tuple[Drawing, ...]:
        own = (self.pair_sketch,) if self.pair_sketch is not None else ()
        return tuple(sketch.figure for sketch in (*self.sketches, *own))


def mechanisms_part(results: Results) -> MechanismsPart | None:
    """None where the experiment has not asked for mechanisms."""
    found = results.mechanisms
    if found is None:
        return None
    places = dict.fromkeys((g.chain, g.task, g.position) for g in found.groups)
    used = {(row.chain, row.position) for row in unmitigated(results)}
    return MechanismsPart(
        rows=tuple(
            _Row(
                *place,
                tuple(g for g in found.groups if (g.chain, g.task, g.position) == place),
                tuple(a for a in found.associations if (a.chain, a.task, a.position) == place),
            )
            for place in places
        ),
        drift=found.drift,
        pooled=tuple(a for a in found.associations if a.task is not None and a.chain is None),
        pairs=found.pairs,
        over_pairs=tuple(a for a in found.associations if a.task is None),
        sketches=tuple(group_sketches(found, used)),
        pair_sketch=pair_sketch(found, {task.id: task.kind for task in results.tasks}),
        caution=found.caution,
    )
