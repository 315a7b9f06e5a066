"""The Pareto front of mitigations: what is forgotten, by whom, at what price and cost. Pure."""

from collections.abc import Sequence

from forgetscope.core.pareto import on_front
from forgetscope.schema.recovery import RecoveryRow

__all__ = ["largest_price", "with_fronts"]

Numbers = tuple[float | None, ...]


def with_fronts(rows: Sequence[RecoveryRow]) -> tuple[RecoveryRow, ...]:
    """The rows with `front`, judged among those of the same task, position and plain chain.

    The numbers are remaining forgetting, worst biased forgetting, largest price and extra tokens.
    The plain chain takes part: a mitigation that is nowhere better than none is off the front. A
    number that no row has (a task without groups, no other task) does not count.
    """
    families: dict[tuple[object, ...], list[int]] = {}
    for i, row in enumerate(rows):
        families.setdefault((row.task, row.position, row.mitigated.plain), []).append(i)
    found = list(rows)
    for members in families.values():
        numbers = [_numbers(rows[i]) for i in members]
        counted = [
            column
            for column in range(len(numbers[0]))
            if any(point[column] is not None for point in numbers)
        ]
        points = [
            [point[column] for column in counted] for point in [*numbers, _plain(rows[members[0]])]
        ]
        whole = [[v for v in point if v is not None] for point in points]
        known = [i for i, point in enumerate(whole) if len(point) == len(counted)]
        on = dict(zip(known, on_front([whole[i] for i in known]), strict=True))
        for place, i in enumerate(members):
            front = None if place not in on else "on" if on[place] else "off"
            found[i] = rows[i].model_copy(update={"front": front})
    return tuple(found)


def largest_price(row: RecoveryRow) -> float | None:
    """None where there is no other task, or a price is undefined."""
    prices = [price.price.value for price in row.prices]
    known = [price for price in prices if price is not None]
    return max(known) if known and len(known) == len(prices) else None


def _numbers(row: RecoveryRow) -> Numbers:
    extra = row.mitigated.tokens - row.mitigated.plain_tokens
    return row.remaining.value, row.worst_biased.value, largest_price(row), float(extra)


def _plain(row: RecoveryRow) -> Numbers:
    """Of no mitigation."""
    price = 0.0 if row.prices else None
    return row.forgotten.value, row.plain_worst_biased.value, price, 0.0
