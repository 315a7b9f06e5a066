"""Mitigations and what they bring back in words."""

from forgetscope.app.pages import chain_text, interval, level, number, percent, points
from forgetscope.schema.measured import Measured
from forgetscope.schema.recovery import MitigatedChain, RecoveryRow

__all__ = ["line_name", "price_finding", "recovery_finding", "share_of", "tokens"]

_NAMES = {"replay": "replay in a stage of its own", "mix": "replay mixed in", "merge": "merge"}


def line_name(mitigated: MitigatedChain) -> str:
    """What rows that differ by their knob alone have in common."""
    parts = [" + ".join(_NAMES.get(n, n) for n in mitigated.mitigation.split("+"))]
    if mitigated.equal_steps:
        parts.append("equal steps")
    if mitigated.selection not in (None, "uniform"):
        parts.append(f"{mitigated.selection} selection")
    return ", ".join(parts)


def share_of(measured: Measured) -> str:
    """0.5 → "50 %": of the loss."""
    if measured.value is None:
        return "undefined"
    return number(100 * measured.value, 0, sign=False) + "\N{NO-BREAK SPACE}%"


def tokens(count: int) -> str:
    """1234567 → "1,234,567"."""
    return f"{count:,}".replace("-", "\N{MINUS SIGN}")


def recovery_finding(row: RecoveryRow, confidence: float, chance: float | None) -> str:
    """What the plain chain lost: what there is to be brought back."""
    if row.before.value is None or row.plain.value is None:
        return f"What {chain_text(row.mitigated.plain)} forgets of {row.task} is not known."
    guess = "" if chance is None else f" (guessing: {percent(chance)})"
    said = (
        f"Without mitigation, {chain_text(row.mitigated.plain)} goes from "
        f"{percent(row.before.value)} to {percent(row.plain.value)} on {row.task}{guess}: "
        f"{points(row.forgotten.value)} points forgotten, {level(confidence)} interval "
        f"{interval(row.forgotten)}."
    )
    if row.recovery.value is None:
        return f"{said} Recovery is undefined: {row.recovery.reason}."
    return said


def price_finding(row: RecoveryRow) -> str:
    """Each other task with its price in points; positive is lost."""
    return "; ".join(
        f"{price.task} {points(price.price.value)} ({interval(price.simultaneous)})"
        for price in row.prices
    )
