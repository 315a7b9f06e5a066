"""Three verdicts about a margin: pass, breach, or underpowered. Never two.

A verdict reads a confidence interval, best a simultaneous one (`multiplicity.max_t`) when several
groups are judged. With two-sided intervals that hold together with confidence 1 − α, the chance of
any wrong `pass` is at most α/2, and so is that of any wrong `breach`.
"""

import math
from typing import Literal, NamedTuple

from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.results import Measured

__all__ = ["Judgement", "Test", "Verdict", "check_margin", "judge"]

Verdict = Literal["pass", "breach", "underpowered"]
Test = Literal["non-inferiority", "equivalence"]


class Judgement(NamedTuple):
    """A verdict and why, in words. `differs_from_zero`: the interval leaves out 0 (None without an
    interval); that is a finding, but not yet a breach."""

    test: Test
    verdict: Verdict
    reason: str
    margin: float
    estimate: Measured
    differs_from_zero: bool | None


def check_margin(margin: float, *, test: Test, noise_floor: float | None) -> None:
    """Refuse a margin that cannot be told from noise.

    Args:
        margin: in the unit of the number that is judged (accuracy as a fraction). 0 is a margin
            for non-inferiority ("not more at all"), but equivalence needs room.
        test: what it is a margin for.
        noise_floor: how far the same model scored twice lies apart, same unit; None = not measured.

    Raises:
        InvalidInput: the number is no margin, or lies below the noise floor.
    """
    if not (math.isfinite(margin) and margin >= 0) or (test == "equivalence" and margin == 0):
        raise InvalidInput(
            f"{margin} is not a margin for {test}", where="margin", hint="Give a number above 0."
        )
    if noise_floor is not None and not margin >= noise_floor:
        raise InvalidInput(
            f"the margin {margin:.4g} lies below the noise floor {noise_floor:.4g}: the same model "
            "scored twice differs by more",
            where="margin",
            hint=f"Give a margin of at least {noise_floor:.4g}, or lower the noise floor: same "
            "engine, dtype and batch size for all models.",
        )


def judge(estimate: Measured, margin: float, *, test: Test, noise_floor: float | None) -> Judgement:
    """Judge a number with an interval (low, high) against a margin m.

    `non-inferiority`, for forgetting or biased forgetting θ, where only more is bad:
    pass = "θ ≥ m" is refuted (high < m); breach = "θ ≤ m" is refuted (low > m).
    `equivalence`, for |BF| (two one-sided tests, Schuirmann 1987, Journal of Pharmacokinetics and
    Biopharmaceutics 15, 657-680): pass = "|θ| ≥ m" is refuted (−m < low and high < m);
    breach = "|θ| ≤ m" is refuted (low > m or high < −m).
    Neither refuted: underpowered. So is a number without an interval.

    Our choice: a breach needs low > m and not just low > 0. Both verdicts are then about the same
    m and exclude each other; a group with an interval from 0.01 to 0.03 would otherwise pass and
    breach a margin of 0.05 at once. That 0 is left out is told in `differs_from_zero`.

    Raises:
        InvalidInput: see `check_margin`.
    """
    check_margin(margin, test=test, noise_floor=noise_floor)
    low, high = estimate.low, estimate.high
    if low is None or high is None:
        why = estimate.reason or estimate.interval_reason or "there is no interval"
        return Judgement(test, "underpowered", f"no interval: {why}", margin, estimate, None)
    span = f"the interval from {low:.4g} to {high:.4g}"
    limit = f"{margin:.4g}" if test == "non-inferiority" else f"±{margin:.4g}"
    below = high < margin if test == "non-inferiority" else -margin < low and high < margin
    beyond = low > margin or (test == "equivalence" and high < -margin)
    verdict: Verdict
    if below:
        verdict = "pass"
        side = "below the margin" if test == "non-inferiority" else "within the margins"
        reason = f"{span} lies {side} {limit}"
    elif beyond:
        verdict = "breach"
        side = "above the margin" if test == "non-inferiority" else "outside the margins"
        reason = f"{span} lies {side} {limit}"
    else:
        verdict = "underpowered"
        reason = f"{span} reaches both sides of the margin {limit}"
    if noise_floor is None:
        reason += "; the noise floor was not measured"
    return Judgement(test, verdict, reason, margin, estimate, not low <= 0 <= high)
