"""Which verdicts of two experiments differ. Pure.

A verdict is a threshold on an interval: two different ones are no test of a difference between the
experiments. What else may have moved it (the margin, the items) is said beside it.
"""

from collections.abc import Iterator, Sequence

from forgetscope.schema.compare import (
    ChangedVerdict,
    ComparedGroup,
    ComparedOrder,
    ComparedRow,
    ComparedVerdict,
    OrderWord,
)
from forgetscope.schema.results import OrderEffect
from forgetscope.schema.verdicts import Judged

__all__ = ["changed_verdicts", "compared_verdict", "count_verdicts", "order_word"]

_OTHER_ITEMS = "judged on different items"


def compared_verdict(one: Judged, other: Judged, *, paired: bool) -> ComparedVerdict:
    """Both verdicts, and what else than the models may make them differ."""
    cautions = [] if paired else [_OTHER_ITEMS]
    if one.margin != other.margin:
        cautions.append(
            f"about different margins: {100 * one.margin:.4g} and {100 * other.margin:.4g} points"
        )
    return ComparedVerdict(
        one=one,
        other=other,
        changed=one.verdict != other.verdict,
        caution="; ".join(cautions) or None,
    )


def order_word(effect: OrderEffect, confidence: float) -> OrderWord:
    """What is shown of an order effect, by its p after Holm's correction."""
    value, p = effect.effect.value, effect.p_adjusted.value
    # 1 − 0.95 is a little more than 0.05 in floating point: p is not compared to that many digits.
    if value is None or p is None or p >= round(1 - confidence, 12):
        return "not shown"
    return "safety first forgets more" if value > 0 else "capability first forgets more"


def changed_verdicts(
    rows: Sequence[ComparedRow], orders: Sequence[ComparedOrder], *, same_items: set[str]
) -> tuple[ChangedVerdict, ...]:
    """What differs, tasks first, then their groups, then orders.

    Args:
        same_items: tasks that both scored on the same items.
    """
    return (
        *(changed for row in rows if (changed := _of_row(row)) is not None),
        *(changed for row in rows for group in row.groups for changed in _of_group(row, group)),
        *(
            ChangedVerdict(
                about="order effect",
                chain=(order.safety, order.capability),
                task=None,
                position=None,
                group=None,
                one=order.one_shown,
                other=order.other_shown,
                caution=None if {order.safety, order.capability} <= same_items else _OTHER_ITEMS,
            )
            for order in orders
            if order.one_shown != order.other_shown
        ),
    )


def count_verdicts(rows: Sequence[ComparedRow], orders: Sequence[ComparedOrder]) -> int:
    """How many verdicts stand side by side; each group has two."""
    return sum(1 + 2 * len(row.groups) for row in rows) + len(orders)


def _of_row(row: ComparedRow) -> ChangedVerdict | None:
    if not row.verdict.changed:
        return None
    return ChangedVerdict(
        about="forgetting",
        chain=row.chain,
        task=row.task,
        position=row.position,
        group=None,
        one=row.verdict.one.verdict,
        other=row.verdict.other.verdict,
        caution=row.verdict.caution,
    )


def _of_group(row: ComparedRow, group: ComparedGroup) -> Iterator[ChangedVerdict]:
    if group.verdict.changed:
        yield ChangedVerdict(
            about="biased forgetting",
            chain=row.chain,
            task=row.task,
            position=row.position,
            group=group.group,
            one=group.verdict.one.verdict,
            other=group.verdict.other.verdict,
            caution=group.verdict.caution,
        )
    if group.equivalence.changed:
        yield ChangedVerdict(
            about="equivalence of a group",
            chain=row.chain,
            task=row.task,
            position=row.position,
            group=group.group,
            one=group.equivalence.one.verdict,
            other=group.equivalence.other.verdict,
            caution=group.equivalence.caution,
        )
