"""What the results document says about its own limits."""

from collections.abc import Iterator, Sequence

from forgetscope.analysis.words import percent
from forgetscope.schema.experiment import AnalysisSpec
from forgetscope.schema.results import ChainForgetting, JudgeAccuracy, JudgeInfo, Measured, TaskInfo

__all__ = ["cautions"]

_FEW_CHANGED = 10
"""With fewer changed items in a group, max-T gives false alarms [own choice, by simulation]."""

_NAMED = 6
"""Groups that a caution names."""


def cautions(
    seeds: Sequence[int],
    settings: AnalysisSpec,
    rows: Sequence[ChainForgetting],
    tasks: Sequence[TaskInfo],
) -> Iterator[str]:
    """What a reader must know before believing the numbers and their intervals."""
    if len(seeds) == 1:
        yield (
            "One seed: the intervals cover the choice of items, not the variation between "
            "training runs."
        )
    elif len(seeds) < 5:
        yield (
            f"{len(seeds)} seeds: intervals are about runs in general, and so few runs describe "
            "the variation between them only roughly, so that intervals are wide, above all those "
            "for many groups together."
        )
    if any(row.groups for row in rows):
        yield (
            "Verdicts about groups are corrected for the groups of one task after one chain, not "
            "for looking at several chains; every other interval is for one number."
        )
    yield from _few_changes(rows)
    most = max((m.left_out for m in _all_measured(rows)), default=0)
    if most:
        yield (
            f"For some numbers up to {most} of {settings.bootstrap_replicates} bootstrap "
            "replicates were undefined (no item of the group drawn, or nothing to divide by); "
            "their intervals are those of the other replicates."
        )
    unscored = sum(row.unscored for row in rows)
    if unscored:
        yield (
            f"{unscored} item comparisons were left out because an item was unscored under one "
            "of the two models; the counts stand beside each number."
        )
    yield from _judge_cautions(tasks)


def _few_changes(rows: Sequence[ChainForgetting]) -> Iterator[str]:
    few = [
        group
        for row in rows
        for group in row.groups
        if group.simultaneous.low is not None and group.changed < _FEW_CHANGED
    ]
    if few:
        named = ", ".join(sorted({group.group for group in few})[:_NAMED])
        yield (
            f"In {len(few)} of the groups of all chains fewer than {_FEW_CHANGED} items changed "
            f"({named}{' and others' if len({g.group for g in few}) > _NAMED else ''}): their "
            "simultaneous intervals rest on few events and give false alarms more often than "
            "promised."
        )


def _judge_cautions(tasks: Sequence[TaskInfo]) -> Iterator[str]:
    judged = {task.id: task.judge for task in tasks if task.judge is not None}
    for judge in dict.fromkeys(judged.values()):
        ids = ", ".join(task for task, its in judged.items() if its == judge)
        yield " ".join((_decided(ids, judge), *_how_often(judge)))


def _decided(ids: str, judge: JudgeInfo) -> str:
    return (
        f"Accuracy on {ids} is the share of replies that the safety classifier {judge.name} "
        "calls safe: a statistical model decided, not people."
    )


def _how_often(judge: JudgeInfo) -> Iterator[str]:
    if judge.note:
        yield judge.note
    for measured in judge.held_out:
        commoner = max(measured.safe_items, measured.items - measured.safe_items)
        yield (
            f"On {measured.data} it judges {_level(measured.accuracy)} of {measured.items} items "
            f"right ({percent(commoner / measured.items)} carry the commoner label); it "
            f"recognises {_level(measured.safe_recall)} of the safe and "
            f"{_level(measured.unsafe_recall)} of the unsafe ones."
        )
    kept = _kept(judge.held_out[0]) if judge.held_out else None
    if kept is not None and kept > 0:
        yield (
            "If it errs as often on these replies, a difference between two models comes out "
            f"about {kept:.2f} times as large as it is."
        )


def _kept(measured: JudgeAccuracy) -> float | None:
    """The slope of the measured share on the true one, sensitivity + specificity − 1
    (Rogan & Gladen 1978, American Journal of Epidemiology 107, 71-76)."""
    safe, unsafe = measured.safe_recall.value, measured.unsafe_recall.value
    return None if safe is None or unsafe is None else safe + unsafe - 1


def _level(share: Measured) -> str:
    if share.value is None:
        return f"an unknown share ({share.reason})"
    return f"{percent(share.value)} ({percent(share.low)} to {percent(share.high)})"


def _all_measured(rows: Sequence[ChainForgetting]) -> Iterator[Measured]:
    for row in rows:
        for part in (row, *row.groups):
            yield from (value for _, value in part if isinstance(value, Measured))
