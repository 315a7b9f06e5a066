"""Eigenvalues at the ends of a spectrum, by Lanczos with full reorthogonalisation.

A small residual says that *an* eigenvalue is near, not that it is the outermost: with two close
ones an iteration can rest on the second. So a value also needs enough steps for the random-start
bound of Kuczyński and Woźniakowski (1992, SIAM J. Matrix Anal. Appl. 13): after k products the
largest Ritz value of a positive semidefinite n×n matrix misses λ_max by more than the share ε with
probability at most 1.648·√n·exp(−√ε·(2k−1)). Shifted by λ_min it holds for any symmetric matrix,
with ε a share of λ_max − λ_min, and mirrored for λ_min.
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from forgetscope.modeling.curvature.krylov import Krylov
from forgetscope.modeling.curvature.operators import Operator, Verdict, add_scaled, norm, size
from forgetscope.schema.errors import InvalidInput

__all__ = ["Eigenvalues", "End", "Progress", "find_eigenvalues", "random_start_gap"]

End = Literal["largest", "smallest", "magnitude"]
Progress = Callable[[int, float | None], None]
"""Called after each product with the number of products so far and, where there is one, the
present estimate. It may raise to stop the run; the state is whole then, and can be saved."""
_RISK = 1e-3


class Eigenvalues(NamedTuple):
    """`values[i]` with the true residual ‖Hv − λv‖ (‖v‖ = 1): an eigenvalue lies that near.

    `end` "magnitude" is the spectral radius, with its sign. `gap`: share of λ_max − λ_min by which
    the outermost value may still be missed, with a chance of one in a thousand; for further values
    it only says that the space is large enough, and a value that occurs twice may come once.
    `iterations` counts the steps of the space, `products` those and the residuals' own.
    """

    end: End
    values: tuple[float, ...]
    residuals: tuple[float, ...]
    iterations: int
    products: int
    tolerance: float
    gap: float
    max_gap: float
    verdict: Verdict
    method: str
    dtype: str
    tokens: int
    parameters: int


def find_eigenvalues(
    operator: Operator,
    space: Krylov,
    end: End,
    *,
    count: int = 1,
    tolerance: float = 1e-2,
    max_gap: float = 0.1,
    max_iterations: int = 200,
    progress: Progress | None = None,
) -> Eigenvalues:
    """The `count` outermost eigenvalues at one end; `space` grows until they are good enough.

    The same space serves several ends one after the other. Good enough: each true residual at
    most `tolerance` times its value (or lost in rounding beside the largest value), and the
    random-start gap at most `max_gap`; 1.0 asks for residuals alone. The tolerance is relative
    only: on a flat loss a random vector already has a small absolute residual.

    Raises InvalidInput when `count` exceeds the parameters.
    """
    if not 1 <= count <= size(space.like):
        raise InvalidInput(
            f"{count} eigenvalues of {size(space.like)} parameters", where="/curvature/eigenvalues"
        )
    while True:
        k = space.iterations
        ends = _ends(space, end, count) if k >= count and (k <= 64 or k % 8 == 0) else None
        if ends is not None and _settled(operator, space, ends, tolerance, max_gap):
            break
        if space.complete or k >= max_iterations:
            break
        space.extend(operator)
        if progress is not None:
            progress(space.iterations, ends.values[0] if ends is not None else None)
    ends = _ends(space, end, count)
    values: list[float] = []
    residuals: list[float] = []
    for value, column in zip(ends.values, ends.coordinates, strict=True):
        vector = space.vector(column)
        image = operator.product(vector)
        add_scaled(image, -value, vector)
        values.append(value)
        residuals.append(norm(image))
        if progress is not None:
            progress(space.iterations + len(values), value)
    gap = _gap(space)
    good = len(values) == count and gap <= max_gap and _small(operator, ends, residuals, tolerance)
    return Eigenvalues(
        end=end,
        values=tuple(values),
        residuals=tuple(residuals),
        iterations=space.iterations,
        products=space.iterations + len(values),
        tolerance=tolerance,
        gap=gap,
        max_gap=max_gap,
        verdict="converged" if good else "not converged",
        method=operator.method,
        dtype=operator.dtype,
        tokens=operator.tokens,
        parameters=operator.parameters,
    )


def random_start_gap(iterations: int, parameters: int, risk: float = _RISK) -> float:
    """The share ε of the module's bound that is exceeded with probability at most `risk`."""
    if iterations < 1:
        return 1.0
    root = math.log(1.648 * math.sqrt(parameters) / risk) / (2 * iterations - 1)
    return min(1.0, root * root)


class _Ends(NamedTuple):
    values: list[float]
    coordinates: list[np.ndarray]
    radius: float


def _ends(space: Krylov, end: End, count: int) -> _Ends:
    values, coordinates = space.ritz()
    key = {"largest": -values, "smallest": values, "magnitude": -np.abs(values)}[end]
    order = np.argsort(key, kind="stable")[:count]
    return _Ends(
        [float(values[i]) for i in order],
        [coordinates[:, i] for i in order],
        float(np.abs(values).max()),
    )


def _settled(
    operator: Operator, space: Krylov, ends: _Ends, tolerance: float, max_gap: float
) -> bool:
    estimates = [space.beside[-1] * abs(float(c[-1])) for c in ends.coordinates]
    return _gap(space) <= max_gap and _small(operator, ends, estimates, tolerance)


def _small(operator: Operator, ends: _Ends, residuals: list[float], tolerance: float) -> bool:
    """Whether residuals are small: relative to their value, or lost in rounding."""
    rounding = 16 * operator.epsilon * ends.radius
    return all(
        r <= max(tolerance * abs(v), rounding) for v, r in zip(ends.values, residuals, strict=True)
    )


def _gap(space: Krylov) -> float:
    return 0.0 if space.invariant else random_start_gap(space.iterations, size(space.like))
