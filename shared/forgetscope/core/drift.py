"""How far representations moved: debiased linear CKA and mean relative displacement. Pure."""

import numpy as np
import numpy.typing as npt

from forgetscope.schema.measured import Measured
from forgetscope.schema.mechanisms import Drift

__all__ = ["MIN_ITEMS", "debiased_cka", "drift_between", "relative_displacement"]

Floats = npt.NDArray[np.float64]

MIN_ITEMS = 10
"""Fewest items of a group that is measured [own choice; the estimate exists from 4 on]."""
_EXACT = "one number of these items"
_FLAT = 1e-24
"""A variance that is this small beside the squared states is rounding."""


def debiased_cka(x: Floats, y: Floats) -> float | None:
    """Linear CKA of states x [n, p] and y [n, q] of the same items, in float64.

    HSIC(K, L)/√(HSIC(K, K)·HSIC(L, L)) with K = xxᵀ and L = yyᵀ (Kornblith et al. 2019,
    arXiv 1905.00414, equations 3 and 4), where HSIC is the unbiased estimator of Song et al. 2012
    (JMLR 13, equation 5) as in Nguyen et al. 2021 (arXiv 2010.15327, equation 3). It is the inner
    product of U-centred matrices (Székely & Rizzo 2014, arXiv 1310.2926, section 3), so it lies
    within ±1; states that have nothing in common give about 0 however few the items are.

    None where the states of one model are the same for all items.

    Raises:
        ValueError: fewer than 4 items, or not as many in both.
    """
    if len(x) != len(y) or len(x) < 4:
        raise ValueError(f"{len(x)} and {len(y)} items; at least 4 are needed in both")
    one, other = _u_centred(x), _u_centred(y)
    if one is None or other is None:
        return None
    found = float((one * other).sum())
    scale = float((one * one).sum()) ** 0.5 * float((other * other).sum()) ** 0.5
    return min(1.0, max(-1.0, found / scale)) if scale > 0 else None


def relative_displacement(before: Floats, after: Floats) -> float | None:
    """Mean over items of ‖after − before‖/‖before‖, both [n, p]; None where a state is 0."""
    lengths = np.linalg.norm(before, axis=1)
    if not (lengths > 0).all():
        return None
    return float((np.linalg.norm(after - before, axis=1) / lengths).mean())


def drift_between(before: Floats, after: Floats) -> Drift:
    """Both numbers, or why there are none. `before` and `after`: [n, p], the same items."""
    if len(before) < MIN_ITEMS:
        few = Measured(reason=f"too few items: {len(before)}, at least {MIN_ITEMS} are needed")
        return Drift(items=len(before), cka=few, displacement=few)
    cka, moved = debiased_cka(before, after), relative_displacement(before, after)
    return Drift(
        items=len(before),
        cka=_measured(cka, "the states of a model are the same for all items"),
        displacement=_measured(moved, "a state before is 0"),
    )


def _measured(value: float | None, reason: str) -> Measured:
    if value is None:
        return Measured(reason=reason)
    return Measured(value=value, interval_reason=_EXACT)


def _u_centred(x: Floats) -> Floats | None:
    """The U-centred Gram matrix [n, n]. Centring x first changes nothing but the rounding."""
    n = len(x)
    centred = x - x.mean(axis=0)
    if (centred**2).sum() <= _FLAT * (x**2).sum():
        return None
    gram: Floats = centred @ centred.T
    np.fill_diagonal(gram, 0.0)
    rows = gram.sum(axis=0) / (n - 2)
    gram = gram - rows[:, None] - rows[None, :] + rows.sum() / (n - 1)
    np.fill_diagonal(gram, 0.0)
    return gram
