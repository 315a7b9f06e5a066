"""The noise floor from what one model said about the same items under several conditions. Pure."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy import stats

from forgetscope.core.identity import digest_of
from forgetscope.core.predictions import Prediction
from forgetscope.schema.noise import EndpointCondition, NoiseCondition, NoiseFloor, NoisePair

__all__ = ["CONFIDENCE", "changed_bound", "noise_floor"]

CONFIDENCE = 0.95

Answers = Sequence[Prediction]


def noise_floor(
    answers: Sequence[tuple[NoiseCondition | EndpointCondition, Answers]],
    *,
    dtype: str | None,
    device: str | None,
) -> NoiseFloor:
    """Compare what was said under every condition (at least two), all on the same items in the
    same order; `dtype` and `device` are None where a server does not tell them. Raises ValueError
    where the items are others."""
    _same_items([rows for _, rows in answers])
    conditions = tuple(condition for condition, _ in answers)
    scored = [
        i
        for i, rows in enumerate(zip(*(rows for _, rows in answers), strict=True))
        if any(row.unscored is None for row in rows)
    ]
    total = len(answers[0][1])
    changed = sum(len({_outcome(rows[i]) for _, rows in answers}) > 1 for i in scored)
    facts = {
        "conditions": [condition.model_dump(mode="json") for condition in conditions],
        "dtype": dtype,
        "device": device,
    }
    return NoiseFloor.model_validate(
        {
            "items": len(scored),
            "left_out": total - len(scored),
            "changed": changed,
            "floor": changed / len(scored) if scored else None,
            "bound": changed_bound(changed, len(scored)) if scored else None,
            "reason": None if scored else "no item was scored under any condition",
            "confidence": CONFIDENCE,
            "dtype": dtype,
            "device": device,
            "conditions": conditions,
            "conditions_digest": digest_of(facts),
            "pairs": tuple(
                _pair(a.name, [one[i] for i in scored], b.name, [two[i] for i in scored])
                for (a, one), (b, two) in combinations(answers, 2)
            ),
        }
    )


def changed_bound(changed: int, items: int, confidence: float = CONFIDENCE) -> float:
    """Exact upper bound of a share of which `changed` of `items` were seen (one-sided Clopper-
    Pearson); 1 − (1 − confidence)^(1/items) where none were."""
    if changed == items:
        return 1.0
    return float(stats.beta.ppf(confidence, changed + 1, items - changed))


def _same_items(answers: Sequence[Answers]) -> None:
    if len(answers) < 2:
        raise ValueError("noise needs two conditions")
    first, *others = ([(row.id, row.form) for row in rows] for rows in answers)
    if any(other != first for other in others):
        raise ValueError("the conditions do not have the same items in the same order")


def _outcome(row: Prediction) -> tuple[int | None, bool | None]:
    """What an accuracy or a bias score rests on; (None, None) for an unscored item."""
    return row.choice, row.correct


def _pair(first: str, one: Answers, second: str, two: Answers) -> NoisePair:
    rows = [*zip(one, two, strict=True)]
    choices = [(a, b) for a, b in rows if a.form == "choice"]
    texts = [(a, b) for a, b in rows if a.form == "generate"]
    differences = [
        np.abs(np.subtract(a.scores, b.scores))
        for a, b in choices
        if a.scores is not None and b.scores is not None
    ]
    every = np.concatenate(differences) if differences else None
    return NoisePair(
        first=first,
        second=second,
        largest=None if every is None else float(every.max()),
        high_99=None if every is None else float(np.quantile(every, 0.99)),
        reason="no item with options was scored under both" if every is None else None,
        choices=len(choices),
        changed_choices=sum(_outcome(a) != _outcome(b) for a, b in choices),
        texts=len(texts),
        changed_texts=sum(a.text != b.text for a, b in texts),
        changed_verdicts=sum(_outcome(a) != _outcome(b) for a, b in texts),
    )
