"""Why a number of curvature has not converged, and what to do about it. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from forgetscope.core.curvature_plan import lanczos_steps
from forgetscope.schema.curvature import (
    CurvatureRow,
    DisplacementResult,
    DisplacementRow,
    Iterated,
    SpectrumResult,
)

__all__ = ["Unsettled", "by_reason", "explained_spectrum", "explained_way", "unsettled"]


class Unsettled(NamedTuple):
    """Why numbers of curvature have not converged, and which ones: "radius λ of a, seed 0"."""

    why: str
    numbers: tuple[str, ...]


def explained_spectrum(spectrum: SpectrumResult, parameters: int) -> SpectrumResult:
    """The same numbers, with a reason where one has not converged.

    An eigenvalue converges when its residual is at most the tolerance times its magnitude, and when
    the space is large enough that hardly an outer one was missed (Kuczyński & Woźniakowski 1992;
    the solver's rule is that of `lanczos_steps`). A trace converges when its standard error is
    small.

    Args:
        parameters: of which the Hessian is, for the size that the space needs.
    """
    density = spectrum.density
    return spectrum.model_copy(
        update={
            "radius": _eigenvalue(spectrum.radius, spectrum, parameters),
            "largest": tuple(_eigenvalue(e, spectrum, parameters) for e in spectrum.largest),
            "lowest": _eigenvalue(spectrum.lowest, spectrum, parameters),
            "trace": _trace(spectrum.trace, "raise curvature.trace_products"),
            "density": density
            and density.model_copy(
                update={"trace": _trace(density.trace, "ask for curvature.trace")}
            ),
        }
    )


def explained_way(way: DisplacementResult) -> DisplacementResult:
    """The same numbers, with a reason where a prediction is not near what was measured."""
    nodes = way.path.iterations
    return way.model_copy(
        update={
            "prediction": _with(
                way.prediction,
                f"{_off(way.prediction)}: the curvature changes on the way, or the change is too "
                "small to be told; curvature.path_nodes asks for the exact path form",
            ),
            "path": _with(
                way.path,
                f"{_off(way.path)} with {nodes} nodes: raise curvature.path_nodes above {nodes}",
            ),
        }
    )


def unsettled(
    rows: Sequence[CurvatureRow], ways: Sequence[DisplacementRow]
) -> tuple[Unsettled, ...]:
    """What has not converged, by its reason; the prediction, which is no iteration, is left out."""
    return by_reason((*_of_rows(rows), *_of_ways(ways)))


def by_reason(numbers: Iterable[tuple[str, Iterated]]) -> tuple[Unsettled, ...]:
    """Numbers with their names, those that have not converged put together by the reason."""
    found: dict[str, list[str]] = {}
    for name, number in numbers:
        if number.why is not None:
            found.setdefault(number.why, []).append(name)
    return tuple(Unsettled(why, tuple(names)) for why, names in found.items())


def _of_rows(rows: Sequence[CurvatureRow]) -> Iterator[tuple[str, Iterated]]:
    for row in rows:
        for i, s in enumerate(row.spectra, start=1):
            place = f"{' → '.join(row.chain)}, seed {row.seed}"
            place += f", set {i}" if len(row.spectra) > 1 else ""
            yield f"radius λ of {place}", s.radius
            for n, one in enumerate(s.largest, start=1):
                yield f"largest λ{f' no. {n}' if n > 1 else ''} of {place}", one
            yield f"lowest λ of {place}", s.lowest
            yield f"trace of {place}", s.trace


def _of_ways(ways: Sequence[DisplacementRow]) -> Iterator[tuple[str, Iterated]]:
    for way in ways:
        if way.group is None:
            yield (
                f"path form of {way.task} after {' → '.join(way.chain)}, seed {way.seed}",
                way.result.path,
            )


def _eigenvalue(found: Iterated, spectrum: SpectrumResult, parameters: int) -> Iterated:
    if found.value is None or found.residual is None or found.tolerance is None:
        return found
    products, needed = found.iterations, lanczos_steps(parameters)
    limit = found.tolerance * abs(found.value)
    few = spectrum.gap > 0 and products < needed
    if found.residual > limit:
        said = (
            f"the residual {found.residual:.2g} is above the tolerance, {100 * found.tolerance:g} "
            f"% of |λ| or {limit:.2g}, after {products} products"
        )
        if spectrum.dtype == "bfloat16":
            said += "; rounding in bfloat16 may be the cause: ask for float32, or else"
        elif products >= parameters:
            return _with(found, f"{said}, which are all there can be: the rest is rounding")
        else:
            said += ":"
        above = f"to {needed} or more" if few else f"above {products}"
        return _with(found, f"{said} raise curvature.max_iterations {above}")
    if few:
        return _with(
            found,
            f"the residual is small enough; only the random-start bound is missing, since after "
            f"{products} products an eigenvalue further out may have been missed: raise "
            f"curvature.max_iterations to {needed} or more",
        )
    return _with(
        found,
        f"this eigenvalue is good enough, but not all {len(spectrum.largest)} that were asked for "
        f"are: raise curvature.max_iterations above {products}, or lower curvature.top",
    )


def _trace(found: Iterated, remedy: str) -> Iterated:
    return _with(
        found,
        f"the standard error is above {100 * (found.tolerance or 0):g} % of the trace after "
        f"{found.iterations} products: {remedy}, or read the trace with its error",
    )


def _off(found: Iterated) -> str:
    return f"off by more than {100 * (found.tolerance or 0):g} % of the measured change"


def _with(found: Iterated, why: str) -> Iterated:
    return found.model_copy(update={"why": why}) if found.verdict == "not converged" else found
