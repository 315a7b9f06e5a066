"""Curvature in words: what was found, and what the local bound is not."""

from forgetscope.app.pages import chain_text, significant
from forgetscope.schema.curvature import (
    Correlation,
    CurvatureComparison,
    DisplacementRow,
    Iterated,
)
from forgetscope.schema.mechanisms import Association

__all__ = [
    "bound_finding",
    "comparison_finding",
    "correlation_finding",
    "displacement_finding",
    "iterated_note",
    "prediction_note",
    "significant",
]


def iterated_note(found: Iterated) -> str:
    """How far an eigenvalue or a trace can be trusted: residual, products, verdict."""
    residual = "no error known" if found.residual is None else f"± {significant(found.residual)}"
    return f"{residual}, {found.iterations} products, {found.verdict}"


def prediction_note(found: Iterated) -> str:
    """How far a prediction was from the measured change."""
    near = f"{100 * (found.tolerance or 0):g}\N{NO-BREAK SPACE}%"
    said = "within" if found.verdict == "converged" else "not within"
    return f"off by {significant(found.residual)}, {said} {near}"


def comparison_finding(found: CurvatureComparison) -> str:
    """Safety beside capability, with the losses that have to be known with it."""
    ours, theirs = found.safety, found.capability
    return (
        f"After safety tasks the median |λ| is {significant(ours.radius[0])} at a loss of "
        f"{significant(ours.loss[0])} ({_models(ours.models)}); after capability tasks it is "
        f"{significant(theirs.radius[0])} at a loss of {significant(theirs.loss[0])} "
        f"({_models(theirs.models)}). {found.caution}"
    )


def _models(count: int) -> str:
    return "1 model" if count == 1 else f"{count} models"


def bound_finding(rows: tuple[DisplacementRow, ...]) -> str:
    """What the local bound is, and how often the truth was above it."""
    said = (
        "The local bound gᵀd + ½λ_max‖d‖² bounds the second-order prediction made at the model "
        "after the task’s own stage. Where the curvature changes on the way, the true change of "
        "the loss can lie above it; and it says nothing about accuracy."
    )
    known = [row for row in rows if row.exceeded is not None]
    if not known:
        return f"{said} Here it could not be computed."
    above = sum(row.exceeded is True for row in known)
    if not above:
        return f"{said} Here it was violated in none of {len(known)} cases."
    return f"{said} Here it was violated in {above} of {len(known)} cases."


def displacement_finding(row: DisplacementRow) -> str:
    """One sentence about the loss of one task at the end of one chain."""
    found = row.result
    told = (
        f"After {chain_text(row.chain)} (seed {row.seed}) the loss on {row.task} moved from "
        f"{significant(found.loss)} to {significant(found.loss_after)}; predicted was a change of "
        f"{significant(found.prediction.value)}, measured {significant(found.change)}"
    )
    if row.local_bound.value is None:
        return f"{told}; no local bound: {row.local_bound.reason}."
    where = "above" if row.exceeded else "below"
    return f"{told}, which is {where} the local bound of {significant(row.local_bound.value)}."


def correlation_finding(found: Correlation | Association) -> str:
    """One line: the correlation with its interval, or why there is none."""
    measured = found.spearman
    if measured.value is None:
        return f"undefined: {measured.reason}"
    said = f"{measured.value:+.2f}".replace("-", "\N{MINUS SIGN}")
    if measured.low is None or measured.high is None:
        return f"{said} (no interval: {measured.interval_reason})"
    ends = f"{measured.low:+.2f} to {measured.high:+.2f}".replace("-", "\N{MINUS SIGN}")
    shown = "" if measured.low > 0 or measured.high < 0 else "; the interval includes 0"
    return f"{said} ({ends}{shown})"
