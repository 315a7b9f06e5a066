"""The curvature of two experiments, side by side. Pure."""

import math
from collections.abc import Iterator, Sequence

from forgetscope.core.convergence import Unsettled, by_reason, explained_spectrum
from forgetscope.core.steps import task_of
from forgetscope.schema.compare import ComparedCurvature, ComparedIterated
from forgetscope.schema.curvature import CurvatureRow, Iterated, SpectrumResult
from forgetscope.schema.measured import Measured

__all__ = ["compare_curvature", "compared_unsettled", "curvature_left"]

Place = tuple[tuple[str, ...], int, int]
"""Chain, seed, and number of the set of examples, from 1."""


def compare_curvature(
    one: Sequence[CurvatureRow], other: Sequence[CurvatureRow], tasks: set[str]
) -> Iterator[ComparedCurvature]:
    """Spectra of models that both have; `tasks` are those that are the same in both."""
    theirs = _by_place(other)
    for place, (row, spectrum) in _by_place(one).items():
        if place in theirs and _shared(row, tasks):
            twin_row, twin = theirs[place]
            same_examples = spectrum.digest == twin.digest
            same_parameters = _parameters(row) == _parameters(twin_row)
            reason = _reason(spectrum, twin, examples=same_examples, parameters=same_parameters)
            yield ComparedCurvature(
                chain=row.chain,
                task=row.task,
                seed=row.seed,
                set=place[2],
                same_examples=same_examples,
                same_parameters=same_parameters,
                one_loss=spectrum.loss,
                other_loss=twin.loss,
                radius=_compared(spectrum.radius, twin.radius, reason),
                largest=_compared(spectrum.largest[0], twin.largest[0], reason),
                lowest=_compared(spectrum.lowest, twin.lowest, reason),
                trace=_compared(spectrum.trace, twin.trace, reason, random=True),
            )


def curvature_left(
    mine: Sequence[CurvatureRow], theirs: Sequence[CurvatureRow], tasks: set[str]
) -> tuple[str, ...]:
    """Models whose curvature only the first of the two has."""
    known = _by_place(theirs)
    return tuple(
        f"{' → '.join(chain)}, seed {seed}, set {number}"
        for (chain, seed, number), (row, _) in _by_place(mine).items()
        if (chain, seed, number) not in known or not _shared(row, tasks)
    )


def compared_unsettled(rows: Sequence[ComparedCurvature]) -> tuple[Unsettled, ...]:
    """What has not converged in either, by its reason: "trace of a, seed 0, set 1, first"."""
    return by_reason(
        (f"{name} of {' → '.join(row.chain)}, seed {row.seed}, set {row.set}, {side}", one)
        for row in rows
        for name, number in (
            ("radius λ", row.radius),
            ("largest λ", row.largest),
            ("lowest λ", row.lowest),
            ("trace", row.trace),
        )
        for side, one in (("first", number.one), ("second", number.other))
    )


def _shared(row: CurvatureRow, tasks: set[str]) -> bool:
    """Whether every task of the chain is one that both have."""
    return {task for task in map(task_of, row.chain) if task is not None} <= tasks


def _by_place(rows: Sequence[CurvatureRow]) -> dict[Place, tuple[CurvatureRow, SpectrumResult]]:
    """Results of older versions do not say why a number has not converged: it is said here."""
    return {
        (row.chain, row.seed, i): (row, explained_spectrum(s, row.parameters.parameters))
        for row in rows
        for i, s in enumerate(row.spectra, start=1)
    }


def _parameters(row: CurvatureRow) -> tuple[str, int]:
    return row.parameters.name, row.parameters.parameters


def _reason(
    one: SpectrumResult, other: SpectrumResult, *, examples: bool, parameters: bool
) -> str | None:
    """Why no number of the two spectra may be subtracted."""
    if not examples:
        return "computed on different examples"
    if not parameters:
        return "computed for different parameters"
    if one.dtype != other.dtype:
        return f"computed in {one.dtype} and in {other.dtype}"
    return None


def _compared(
    one: Iterated, other: Iterated, reason: str | None, *, random: bool = False
) -> ComparedIterated:
    """`random`: residuals are standard errors, which add in squares."""
    return ComparedIterated(
        one=one, other=other, difference=_difference(one, other, reason, random=random)
    )


def _difference(one: Iterated, other: Iterated, reason: str | None, *, random: bool) -> Measured:
    sides = (("first", one), ("second", other))
    if one.value is None or other.value is None:
        word, found = next(side for side in sides if side[1].value is None)
        return Measured(reason=f"undefined in the {word}: {found.reason}")
    if reason is not None:
        return Measured(reason=reason)
    open_ = [word for word, found in sides if found.verdict != "converged"]
    if open_:
        return Measured(reason=f"not converged in the {' and the '.join(open_)}")
    errors = (one.residual or 0.0, other.residual or 0.0)
    error = math.hypot(*errors) if random else sum(errors)
    kind = "standard error" if random else "residuals together"
    return Measured(value=other.value - one.value, interval_reason=f"{kind} {error:.2g}")
