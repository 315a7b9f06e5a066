"""Where differences come from: seed, order, item, and what they do together.

Common random numbers: every (order, seed) answers the same items, and a seed means the same data
order and initialisation in every order, so the three factors are crossed and their shares can be
told apart.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forgetscope.schema.results import Measured

__all__ = ["FACTORS", "Component", "Decomposition", "decompose"]

Floats = npt.NDArray[np.float64]

FACTORS = ("order", "seed", "item")
"""The axes of the outcomes."""


class Component(NamedTuple):
    """One variance component. `negative`: the estimate was below 0 and is reported as 0, which
    says that the component is too small to be seen here."""

    variance: Measured
    negative: bool
    mean_square: Measured
    degrees: int


class Decomposition(NamedTuple):
    """Components by name: the factors, the interactions of two of them (`order × seed`), and
    `residual`: the highest interaction together with the noise, as every cell is seen once."""

    components: dict[str, Component]
    levels: dict[str, int]
    """levels that were used"""
    left_out: int
    """items with an undefined cell"""


def decompose(outcomes: Floats) -> Decomposition:
    """Moment (ANOVA) estimates of a fully crossed random model, one observation a cell.

    `y_osi = μ + o + s + i + (os) + (oi) + (si) + e`. With MS_U the mean square of the factors U and
    n_T the product of the levels that are not in T,
    `σ²_T = 1/n_T · Σ_{U ⊇ T} (−1)^{|U| − |T|} MS_U` (equate mean squares to their expectations:
    Henderson's method 1, which for balanced data is the analysis of variance; Searle, Casella &
    McCulloch 1992, Variance Components, chapter 4). Estimates are unbiased before they are cut off
    at 0.

    A factor with a single level tells nothing about itself: its components are undefined, and the
    rest is that of the model without it. Items with an undefined cell are left out and counted.

    Args:
        outcomes: [orders, seeds, items], e.g. right before minus right after; NaN = undefined.
            With clustered items pass the mean of each cluster as one item.

    Raises:
        ValueError: not three axes.
    """
    if outcomes.ndim != len(FACTORS):
        raise ValueError(f"outcomes of shape {outcomes.shape}; orders, seeds and items are needed")
    complete = ~np.isnan(outcomes).any(axis=(0, 1))
    y = outcomes[:, :, complete]
    levels = dict(zip(FACTORS, y.shape, strict=True))
    active = tuple(axis for axis, n in enumerate(y.shape) if n > 1)
    squares = _mean_squares(y, active) if y.size else {}
    components = {}
    for size in range(1, len(FACTORS)):
        for axes in itertools.combinations(range(len(FACTORS)), size):
            components[" × ".join(FACTORS[a] for a in axes)] = (
                _undefined("cannot be told from the residual, as every cell is seen once")
                if axes == active
                else _component(axes, squares, y)
            )
    components["residual"] = _component(active, squares, y)
    return Decomposition(components, levels, int(outcomes.shape[2] - complete.sum()))


def _mean_squares(y: Floats, active: tuple[int, ...]) -> dict[tuple[int, ...], tuple[float, int]]:
    """Subset of the active axes → (mean square, degrees of freedom)."""
    found = {}
    for size in range(1, len(active) + 1):
        for axes in itertools.combinations(active, size):
            effect = y
            for axis in range(y.ndim):
                mean = effect.mean(axis=axis, keepdims=True)
                effect = effect - mean if axis in axes else mean
            repeats = y.size // math.prod(y.shape[a] for a in axes)
            degrees = math.prod(y.shape[a] - 1 for a in axes)
            found[axes] = (repeats * float((effect**2).sum()) / degrees, degrees)
    return found


def _component(
    axes: tuple[int, ...], squares: dict[tuple[int, ...], tuple[float, int]], y: Floats
) -> Component:
    if axes not in squares:
        single = [FACTORS[a] for a in axes or range(y.ndim) if y.shape[a] < 2]
        if not single:
            return _undefined("no item has every cell defined")
        return _undefined(f"fewer than two levels of {' and '.join(single)}")
    sign = {u: (-1) ** (len(u) - len(axes)) for u in squares if set(axes) <= set(u)}
    repeats = y.size // math.prod(y.shape[a] for a in axes)
    estimate = sum(s * squares[u][0] for u, s in sign.items()) / repeats
    square, degrees = squares[axes]
    # A difference of equal mean squares is a rounding error, not a negative component.
    negative = estimate < -1e-12 * square
    return Component(Measured(value=max(0.0, estimate)), negative, Measured(value=square), degrees)


def _undefined(reason: str) -> Component:
    none = Measured(reason=reason)
    return Component(none, negative=False, mean_square=none, degrees=0)
