"""Rows of numbers → what the document says about tasks, groups and orders."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from forgetscope.analysis.outcomes import Design, Floats, TaskOutcomes, plain_pair
from forgetscope.analysis.rows import (
    APART,
    BIASED,
    UNPAIRED,
    Pick,
    Row,
    difference,
    difference_of_runs,
    measure,
    too_small,
)
from forgetscope.analysis.verdicts import (
    GroupVerdict,
    chain_verdict,
    changed,
    group_verdicts,
    mcnemar_rows,
    p_of_zero,
)
from forgetscope.core.inference.multiplicity import holm
from forgetscope.core.statistics import Functionals
from forgetscope.schema.results import ChainForgetting, GroupForgetting, Measured, OrderEffect

__all__ = ["chain_forgetting", "order_effects"]


def chain_forgetting(design: Design, task: TaskOutcomes, row: Row) -> ChainForgetting:
    """One row of the forgetting table, with its groups."""
    data, point = row.data, row.point
    unpaired = bool(np.isnan(point.forgetting[0]).item())
    per_seed = [None if np.isnan(f) else float(f) for f in point.per_seed[:, 0]]

    def measured(
        pick: Pick, undefined: str = UNPAIRED, *, bounds: tuple[float, float] | None = None
    ) -> Measured:
        return measure(design, row, 0, pick, undefined, bounds=bounds)

    forgetting = measured(_forgetting, UNPAIRED, bounds=APART)
    return ChainForgetting(
        chain=row.chain,
        task=task.info.id,
        position=row.position,
        items=data.items[0],
        clusters=data.clusters[0],
        unscored=data.unscored[0],
        before=measured(lambda f: f.before[0], bounds=(0, 1)),
        after=measured(lambda f: f.after[0], bounds=(0, 1)),
        forgetting=forgetting,
        best_minus_last=measured(
            lambda f: f.best_minus_last,
            "no item was scored under both an earlier model and the last one",
            bounds=APART,
        ),
        relative=measured(
            lambda f: f.relative,
            UNPAIRED if unpaired else "the accuracy after its own stage is 0",
        ),
        chance_corrected=measured(
            lambda f: f.chance_corrected, _no_chance(task.info.chance, unpaired)
        ),
        per_seed={str(s): f for s, f in zip(design.seeds, per_seed, strict=True)},
        mcnemar=mcnemar_rows(design, task, row),
        verdict=chain_verdict(design, task.info.id, forgetting),
        groups=tuple(_groups(design, task, row)),
    )


def _forgetting(functionals: Functionals) -> Floats:
    whole: Floats = functionals.forgetting[0]
    return whole


def _no_chance(chance: float | None, unpaired: bool) -> str:
    if chance is None:
        return "this task has no chance level"
    return UNPAIRED if unpaired else "not above chance after its own stage"


def _groups(design: Design, task: TaskOutcomes, row: Row) -> Iterator[GroupForgetting]:
    small, moved = too_small(design, row.data), changed(design, task, row)
    for g, judged in enumerate(group_verdicts(design, task, row)):
        yield _group(design, task, row, g, too_small=small[g], changed=moved[g], judged=judged)


def _group(
    design: Design,
    task: TaskOutcomes,
    row: Row,
    g: int,
    *,
    too_small: bool,
    changed: int,
    judged: GroupVerdict,
) -> GroupForgetting:
    k = 1 + g
    unpaired = bool(np.isnan(row.point.forgetting[k]).item())
    few = "fewer than two groups are large enough for a mean over groups"

    def measured(
        pick: Pick,
        undefined: str = UNPAIRED,
        *,
        biased: bool = False,
        bounds: tuple[float, float] | None = None,
    ) -> Measured:
        return measure(design, row, k, pick, undefined, biased=biased, bounds=bounds)

    return GroupForgetting(
        group=task.items.groups[g],
        items=row.data.items[k],
        clusters=row.data.clusters[k],
        unscored=row.data.unscored[k],
        too_small=too_small,
        before=measured(lambda f: f.before[k], bounds=(0, 1)),
        after=measured(lambda f: f.after[k], bounds=(0, 1)),
        forgetting=measured(lambda f: f.forgetting[k], bounds=APART),
        biased=measured(lambda f: f.biased[g], biased=True, bounds=BIASED),
        biased_macro=measured(
            lambda f: f.biased_macro[g], UNPAIRED if unpaired else few, bounds=BIASED
        ),
        changed=changed,
        simultaneous=judged.simultaneous,
        p_adjusted=judged.p_adjusted,
        verdict=judged.verdict,
        equivalence=judged.equivalence,
    )


def order_effects(
    design: Design, tasks: Mapping[str, TaskOutcomes], rows: Mapping[str, Sequence[Row]]
) -> tuple[OrderEffect, ...]:
    """One for each (safety, capability) pair whose plain two-stage chains exist in both orders; p
    is adjusted over these pairs. Chains with steps are not: they differ by more than the order."""
    found = [_order_effect(design, row, other) for row, other in _both_orders(tasks, rows)]
    names = {str(i): effect.p for i, effect in enumerate(found)}
    adjusted = holm(names)
    return tuple(
        effect.model_copy(
            update={
                "p_adjusted": Measured(value=adjusted.adjusted[name])
                if name in adjusted.adjusted
                else Measured(reason=adjusted.left_out[name])
            }
        )
        for name, effect in zip(names, found, strict=True)
    )


def _both_orders(
    tasks: Mapping[str, TaskOutcomes], rows: Mapping[str, Sequence[Row]]
) -> Iterator[tuple[Row, Row]]:
    first = {row.chain: row for found in rows.values() for row in found if plain_pair(row.chain)}
    for chain, row in first.items():
        other = first.get((chain[1], chain[0]))
        kinds = tuple(tasks[task].info.kind for task in chain)
        if kinds == ("safety", "capability") and other is not None:
            yield row, other


def _order_effect(design: Design, row: Row, other: Row) -> OrderEffect:
    effect = difference(design, row, other, _forgetting, UNPAIRED)
    fewer = min(row, other, key=lambda each: each.data.clusters[0])
    p = p_of_zero(
        effect,
        _forgetting(row.replicates) - _forgetting(other.replicates),
        difference_of_runs(row, other, _forgetting),
        clusters=fewer.data.clusters[0],
        drawn=fewer.drawn,
    )
    return OrderEffect(
        safety=row.chain[0],
        capability=row.chain[1],
        safety_first=measure(design, row, 0, _forgetting, UNPAIRED),
        capability_first=measure(design, other, 0, _forgetting, UNPAIRED),
        effect=effect,
        p=p,
        p_adjusted=p,
    )
