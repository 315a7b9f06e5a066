"""How often a safety classifier is right, with intervals."""

import math
from collections.abc import Sequence
from statistics import NormalDist

from forgetscope.schema.results import JudgeAccuracy, Measured

__all__ = ["measure_judge", "share"]

_LEVEL = 0.95


def share(part: int, whole: int) -> Measured:
    """`part` of `whole` with Wilson's 95 % interval (Wilson 1927, JASA 22, 209-212).

    Undefined, with the reason, when `whole` is 0.
    """
    if whole == 0:
        return Measured(reason="there is no such item")
    z2 = NormalDist().inv_cdf((1 + _LEVEL) / 2) ** 2
    centre = (part + z2 / 2) / (whole + z2)
    half = math.sqrt(z2 * (part * (whole - part) / whole + z2 / 4)) / (whole + z2)
    return Measured(value=part / whole, low=max(0.0, centre - half), high=min(1.0, centre + half))


def measure_judge(
    data: str, labels: Sequence[bool], probabilities: Sequence[float], *, threshold: float = 0.5
) -> JudgeAccuracy:
    """Compare probabilities of safe with labels (True: safe); above `threshold` means safe.

    `data` names the data and its split. Raises ValueError when the two are not of one length.
    """
    pairs = [(safe, p > threshold) for safe, p in zip(labels, probabilities, strict=True)]
    safe_items = sum(labels)
    hits = [sum(said == safe == which for safe, said in pairs) for which in (True, False)]
    return JudgeAccuracy(
        data=data,
        items=len(pairs),
        correct=sum(hits),
        accuracy=share(sum(hits), len(pairs)),
        safe_items=safe_items,
        safe_recall=share(hits[0], safe_items),
        unsafe_recall=share(hits[1], len(pairs) - safe_items),
    )
