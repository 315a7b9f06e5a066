"""What mitigations bring back of a forgotten task, for whom, and what they cost. Pure."""

import copy
from collections.abc import Iterator, Mapping

import numpy as np

from forgetscope.analysis.fronts import with_fronts
from forgetscope.analysis.outcomes import Design, Floats, TaskOutcomes, trainings
from forgetscope.analysis.recovery_numbers import (
    Level,
    Number,
    Pair,
    compare_models,
    measure,
    ratio,
    regained,
)
from forgetscope.analysis.rows import APART, BIASED, too_small
from forgetscope.core import forgetting as forms
from forgetscope.schema.measured import Measured
from forgetscope.schema.recovery import (
    GroupRecovery,
    MitigatedChain,
    Price,
    RecoveryRow,
    Simultaneous,
)

__all__ = ["recovery_rows"]


def recovery_rows(
    design: Design,
    tasks: Mapping[str, TaskOutcomes],
    streams: Mapping[str, np.random.Generator],
    seeds: Floats,
) -> tuple[RecoveryRow, ...]:
    """A row for each mitigated chain and each training of its plain chain that something follows.

    Args:
        design: with the mitigated chains.
        tasks: with cells of every prefix of the mitigated and the plain chains.
        streams: of each task, in the state in which its rows were drawn; left as they are.
        seeds: weights [R, S], those of the other rows.
    """
    found = []
    for mitigated in design.mitigated:
        prices = tuple(_prices(design, tasks, streams, seeds, mitigated))
        for name, position in forms.forgetting_rows(mitigated.plain):
            task = tasks[name]
            models = (mitigated.plain[:position], mitigated.plain, mitigated.chain)
            pair = compare_models(design, task, models, copy.deepcopy(streams[name]), seeds)
            others = tuple(price for price in prices if price.task != name)
            found.append(_row(design, task, pair, mitigated, position, prices=others))
    return with_fronts(found)


def _prices(
    design: Design,
    tasks: Mapping[str, TaskOutcomes],
    streams: Mapping[str, np.random.Generator],
    seeds: Floats,
    mitigated: MitigatedChain,
) -> Iterator[Price]:
    """On every task of the plain chain; a row takes all but its own, and these hold together."""
    trained = dict.fromkeys(trainings(mitigated.plain))
    alone = Level(design, design.settings.confidence)
    joint = alone._replace(confidence=_together(design, len(trained) - 1))
    right = alone._replace(bounds=(0, 1))
    for name in trained:
        models = (mitigated.plain, mitigated.chain)
        pair = compare_models(design, tasks[name], models, copy.deepcopy(streams[name]), seeds)
        yield Price(
            task=name,
            items=pair.lost.data.items[0],
            clusters=pair.lost.data.clusters[0],
            plain=measure(right, pair, lambda both, _: both.before[0]),
            mitigated=measure(right, pair, lambda both, _: both.after[0]),
            price=measure(alone._replace(bounds=APART), pair, lambda both, _: both.forgetting[0]),
            simultaneous=measure(
                joint._replace(bounds=APART), pair, lambda both, _: both.forgetting[0]
            ),
        )


def _together(design: Design, numbers: int) -> float:
    """The confidence of each of several intervals that hold together (Bonferroni)."""
    return 1 - (1 - design.settings.confidence) / max(1, numbers)


def _row(
    design: Design,
    task: TaskOutcomes,
    pair: Pair,
    mitigated: MitigatedChain,
    position: int,
    *,
    prices: tuple[Price, ...],
) -> RecoveryRow:
    level = Level(design, design.settings.confidence)
    right, apart = level._replace(bounds=(0, 1)), level._replace(bounds=APART)
    data = pair.lost.data
    groups, plain_biased = _groups(design, task, pair)
    judged = [group for group in groups if not group.too_small]
    worst = max(
        (g for g in judged if g.biased.value is not None),
        key=lambda g: g.biased.value or 0.0,
        default=None,
    )
    none = Measured(reason="the task has no groups" if not groups else "no group is large enough")
    return RecoveryRow(
        mitigated=mitigated,
        task=task.info.id,
        position=position,
        items=data.items[0],
        clusters=data.clusters[0],
        unscored=data.unscored[0],
        before=measure(right, pair, lambda lost, _: lost.before[0]),
        plain=measure(right, pair, lambda lost, _: lost.after[0]),
        after=measure(right, pair, lambda _, kept: kept.after[0]),
        forgotten=measure(apart, pair, lambda lost, _: lost.forgetting[0]),
        regained=measure(apart, pair, regained(0)),
        recovery=ratio(level, pair),
        remaining=measure(apart, pair, lambda _, kept: kept.forgetting[0]),
        groups=groups,
        worst_group=None if worst is None else worst.group,
        worst_biased=none if worst is None else worst.biased,
        plain_worst_biased=max(
            (m for m in plain_biased if m.value is not None),
            key=lambda m: m.value or 0.0,
            default=none,
        ),
        prices=prices,
    )


def _groups(
    design: Design, task: TaskOutcomes, pair: Pair
) -> tuple[tuple[GroupRecovery, ...], list[Measured]]:
    """Every group, and the judged groups' biased forgetting at the end of the plain chain."""
    small = too_small(design, pair.lost.data)
    together = _together(design, len(small) - sum(small))
    groups, plain_biased = [], []
    for g, name in enumerate(task.items.groups):
        alone = Level(design, design.settings.confidence, k=1 + g)
        joint = alone._replace(confidence=together)
        groups.append(_group(pair, name, alone, joint, too_small=small[g]))
        if not small[g]:
            biased = joint._replace(biased=True, bounds=BIASED)
            plain_biased.append(measure(biased, pair, _biased_before(g)))
    return tuple(groups), plain_biased


def _biased_before(g: int) -> Number:
    return lambda lost, _: lost.biased[g]


def _group(pair: Pair, name: str, alone: Level, joint: Level, *, too_small: bool) -> GroupRecovery:
    k, data = alone.k, pair.lost.data
    recovery = ratio(alone, pair)
    one, all_ = alone._replace(bounds=APART), joint._replace(bounds=APART)

    def simultaneous(measured: Measured) -> Measured:
        if not too_small or measured.value is None:
            return measured
        why = f"too small to judge: {data.items[k]} items in {data.clusters[k]} clusters"
        return Measured(value=measured.value, interval_reason=why)

    def joint_ratio() -> Measured:
        """Defined where it is by itself; without an interval where that asks for too much."""
        found = recovery if recovery.value is None or too_small else ratio(joint, pair)
        if found.value is None and recovery.value is not None:
            return Measured(value=recovery.value, interval_reason=found.reason)
        return found

    return GroupRecovery(
        group=name,
        items=data.items[k],
        clusters=data.clusters[k],
        too_small=too_small,
        forgotten=measure(one, pair, lambda lost, _: lost.forgetting[k]),
        regained=measure(one, pair, regained(k)),
        recovery=recovery,
        remaining=measure(one, pair, lambda _, kept: kept.forgetting[k]),
        biased=simultaneous(
            measure(
                joint._replace(biased=True, bounds=BIASED),
                pair,
                lambda _, kept: kept.biased[k - 1],
            )
        ),
        simultaneous=Simultaneous(
            forgotten=simultaneous(measure(all_, pair, lambda lost, _: lost.forgetting[k])),
            remaining=simultaneous(measure(all_, pair, lambda _, kept: kept.forgetting[k])),
            recovery=simultaneous(joint_ratio()),
        ),
    )
