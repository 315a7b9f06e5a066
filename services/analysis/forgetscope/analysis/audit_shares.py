"""Simultaneous intervals of all numbers that an audit judges.

All judged rows of a tier are one family. Its error rate is shared out evenly over the tasks that
have rows in it (Bonferroni); within a task the rows, that of the task included, take max-T over the
task's common draws of clusters (`core.inference.multiplicity`). Rows whose replicates are all
equal, e.g. as no item changed, have an interval of their own (`core.inference.constant`) at their
even share of the task's error rate. Rows that are too small to be judged take no share.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from forgetscope.analysis.audit_outcomes import AuditedOutcomes
from forgetscope.analysis.rows import UNPAIRED
from forgetscope.core import statistics
from forgetscope.core.inference.constant import half_width
from forgetscope.core.inference.multiplicity import GroupStatistic, max_t
from forgetscope.core.policy import Asked
from forgetscope.schema.measured import Measured

__all__ = ["Share", "shares_of"]

_ROUNDING = 1e-12
"""Differences of accuracies that are smaller than this are rounding errors."""


class Share(NamedTuple):
    """What a number gets of its family's error rate, and its interval at that."""

    tail: float
    """of one side"""
    estimate: Measured


def shares_of(tasks: Sequence[AuditedOutcomes], confidence: float) -> dict[Asked, Share]:
    """Every number that the policy asks for; those of a tier hold together with `confidence`."""
    shares: dict[Asked, Share] = {}
    for tier in dict.fromkeys(asked.tier for one in tasks for asked in one.asked):
        families = [
            (one, [a for a in one.asked if a.tier == tier and one.small(a) is None])
            for one in tasks
        ]
        used = [family for _, family in families if family]
        for one, family in families:
            alpha = (1 - confidence) / (len(used) + (not family))
            shares |= _family(one, family, alpha)
            for asked in one.asked:
                if asked.tier == tier and asked not in shares:
                    shares[asked] = _outside(one, asked, alpha / (len(family) + 1))
    return shares


def _family(
    one: AuditedOutcomes, family: Sequence[Asked], alpha: float
) -> Iterator[tuple[Asked, Share]]:
    """Simultaneous intervals of the rows of one task, at an error rate of alpha together."""
    each = alpha / max(1, len(family))
    moving, places = [], {}
    for asked in family:
        k = one.place(asked)
        assert k is not None
        places[asked] = k
        if _constant(one, asked, k):
            yield asked, Share(each / 2, _without_spread(one, asked, k, each / 2))
        else:
            moving.append(asked)
    if not moving:
        return
    found = max_t(
        [
            GroupStatistic(
                str(i),
                statistics.measured(
                    one.number(one.row.point, asked, places[asked]),
                    one.number(one.row.replicates, asked, places[asked]),
                    confidence=1 - each,
                    undefined=UNPAIRED,
                ),
                one.number(one.row.replicates, asked, places[asked]),
                one.row.data.clusters[places[asked]],
                biased=asked.what == "biased",
            )
            for i, asked in enumerate(moving)
        ],
        drawn=one.row.drawn,
        confidence=1 - each * len(moving),
    )
    for i, asked in enumerate(moving):
        if str(i) in found.groups:
            yield asked, Share(each / 2, found.groups[str(i)].interval)
        else:
            yield asked, _outside(one, asked, each, found.left_out[str(i)])


def _outside(one: AuditedOutcomes, asked: Asked, alpha: float, reason: str | None = None) -> Share:
    """A number without an interval; alpha is what it would get if it had one."""
    k, why = one.place(asked), reason or one.small(asked)
    value = np.nan if k is None else float(one.number(one.row.point, asked, k).item())
    if np.isnan(value):
        return Share(alpha / 2, Measured(reason=why if k is None else UNPAIRED))
    return Share(alpha / 2, Measured(value=value, interval_reason=why))


def _constant(one: AuditedOutcomes, asked: Asked, k: int) -> bool:
    """Whether all replicates are equal, as where no item changed."""
    replicates = one.number(one.row.replicates, asked, k)
    known = replicates[~np.isnan(replicates)]
    return bool(known.size) and float(np.ptp(known)) <= _ROUNDING


def _without_spread(one: AuditedOutcomes, asked: Asked, k: int, tail: float) -> Measured:
    def half(place: int, tail: float) -> float:
        data, found = one.row.data, one.observed(place)
        return half_width(
            found.items,
            data.clusters[place],
            one.row.drawn,
            tail,
            lost=found.lost / found.items,
            gained=found.gained / found.items,
        )

    value = float(one.number(one.row.point, asked, k).item())
    biased = asked.what == "biased"
    width = half(k, tail / 2) + half(0, tail / 2) if biased else half(k, tail)
    return Measured(value=value, low=max(-1.0, value - width), high=min(1.0, value + width))
