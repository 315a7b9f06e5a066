"""Two models and a policy → a row for every number that is judged, with its verdict."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal, NamedTuple

import numpy as np

from forgetscope.analysis.audit_outcomes import AuditedOutcomes
from forgetscope.analysis.audit_shares import Share, shares_of
from forgetscope.analysis.outcomes import Floats
from forgetscope.analysis.rows import UNPAIRED, measure
from forgetscope.core.audit_needs import need_of
from forgetscope.core.inference.mcnemar import mcnemar
from forgetscope.core.inference.power_needs import Question
from forgetscope.core.inference.verdicts import judge
from forgetscope.core.policy import Asked, Margin, waiver_of
from forgetscope.core.policy_words import waived_line
from forgetscope.core.statistics import Functionals
from forgetscope.schema.audit import AuditRow, PowerNeed
from forgetscope.schema.measured import Measured
from forgetscope.schema.policy import Policy
from forgetscope.schema.verdicts import McNemarTest, VerdictWord

__all__ = ["audit_rows"]


class _Terms(NamedTuple):
    """What all rows are judged by."""

    policy: Policy
    floors: Mapping[str, float]
    judged_on: date


def audit_rows(
    policy: Policy,
    tasks: Sequence[AuditedOutcomes],
    floors: Mapping[str, float],
    *,
    judged_on: date,
) -> tuple[AuditRow, ...]:
    """Every row that the policy asks for, in its order.

    Args:
        policy: what is judged.
        tasks: in the order of the audit.
        floors: task → noise floor; tasks not measured are absent.
        judged_on: the day that waivers are held against.
    """
    shares = shares_of(tasks, policy.confidence)
    terms = _Terms(policy, floors, judged_on)
    return tuple(_row(terms, one, asked, shares[asked]) for one in tasks for asked in one.asked)


def _row(terms: _Terms, one: AuditedOutcomes, asked: Asked, share: Share) -> AuditRow:
    k, data, floor = one.place(asked), one.row.data, terms.floors.get(asked.task)
    reference = _accuracy(one, k, "before")
    margin = Margin.of(asked.margin, one.rule.relative, reference.value, one.task.info.chance)
    verdict, reason = _verdict(one, asked, share.estimate, margin, floor)
    waiver, _ = waiver_of(terms.policy, asked.task, asked.group, terms.judged_on)
    return AuditRow(
        task=asked.task,
        group=asked.group,
        what=asked.what,
        tier=asked.tier,
        items=0 if k is None else data.items[k],
        clusters=0 if k is None else data.clusters[k],
        unscored=0 if k is None else data.unscored[k],
        reference=reference,
        candidate=_accuracy(one, k, "after"),
        estimate=share.estimate,
        mcnemar=None if k is None or asked.what == "biased" else _mcnemar(one, k),
        margin=margin.value,
        guarded=margin.guarded,
        noise_floor=floor,
        verdict=verdict,
        reason=reason,
        need=_need(terms, one, asked, share.tail, margin.value)
        if verdict == "underpowered"
        else None,
        waived=waived_line(waiver) if verdict == "breach" and waiver is not None else None,
    )


def _verdict(
    one: AuditedOutcomes, asked: Asked, estimate: Measured, margin: Margin, floor: float | None
) -> tuple[VerdictWord, str]:
    if (small := one.small(asked)) is not None:
        return "underpowered", small
    if (unscored := one.too_unscored(asked)) is not None:
        return "underpowered", unscored
    if margin.value is None:
        return "underpowered", (
            "the reference is not above chance on it, so the relative guard leaves no margin"
        )
    if floor is not None and margin.value < floor:
        return "underpowered", (
            f"the margin {margin.value:.4g} lies below the noise floor {floor:.4g}"
        )
    found = judge(estimate, margin.value, test="non-inferiority", noise_floor=floor)
    return found.verdict, found.reason


def _need(
    terms: _Terms, one: AuditedOutcomes, asked: Asked, tail: float, margin: float | None
) -> PowerNeed:
    reason, floor = None, terms.floors.get(asked.task)
    if margin is None:
        reason = "no size would decide it without a margin"
    elif floor is not None and margin < floor:
        reason = "no size would decide it: the margin must lie above the noise floor"
    elif one.small(asked) is None:
        reason = one.too_unscored(asked)
    k = one.place(asked)
    if reason is not None or k is None or margin is None:
        return PowerNeed(items=None, clusters=None, reason=reason or "nothing is known of it")
    replicates = one.row.replicates.forgetting[k]
    known = replicates[~np.isnan(replicates)]
    return need_of(
        one.observed(k),
        one.observed(k, others=True) if asked.what == "biased" else None,
        drawn=one.row.drawn,
        error=float(known.std(ddof=1)) if known.size > 1 else None,
        question=Question(
            margin,
            "non-inferiority",
            target_power=terms.policy.target_power,
            noise_floor=floor,
            min_items=one.rule.min_items,
            min_clusters=one.rule.min_clusters,
        ),
        tail=tail,
    )


def _accuracy(one: AuditedOutcomes, k: int | None, side: Literal["before", "after"]) -> Measured:
    if k is None:
        return Measured(reason="no item of this group is in the evaluation")
    place = k

    def pick(functionals: Functionals) -> Floats:
        found: Floats = getattr(functionals, side)[place]
        return found

    return measure(one.design, one.row, k, pick, UNPAIRED, bounds=(0, 1))


def _mcnemar(one: AuditedOutcomes, k: int) -> McNemarTest:
    found = one.observed(k)
    test = mcnemar(found.lost, found.gained, found.items, clusters=len(found.sizes))
    return McNemarTest(lost=test.b, gained=test.c, items=test.n, p=test.p, caution=test.caution)
