"""Intervals of ratios against Fieller's closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgetscope.core.inference.ratios import ratio_ends

Z = 1.96


def normal(top: float, bottom: float, a: float, b: float, r: float):
    """Ends of top − ρ·bottom with standard errors a and b and correlation r."""

    def ends(rho: float) -> tuple[float, float]:
        half = Z * np.sqrt(a * a - 2 * rho * r * a * b + rho * rho * b * b)
        middle = top - rho * bottom
        return float(middle - half), float(middle + half)

    return ends


def fieller(top: float, bottom: float, a: float, b: float, r: float) -> list[float]:
    """Roots of (top − ρ·bottom)² = z²·Var(top − ρ·bottom)."""
    coefficients = [
        bottom**2 - Z**2 * b**2,
        -2 * (top * bottom - Z**2 * r * a * b),
        top**2 - Z**2 * a**2,
    ]
    return sorted(np.roots(coefficients).real.tolist())


@settings(deadline=None)
@given(
    st.floats(-1, 1),
    st.floats(0.1, 1),
    st.floats(0.001, 0.2),
    st.floats(0.05, 0.9),
    st.floats(-0.95, 0.95),
)
def test_with_normal_intervals_the_ends_are_those_of_fieller(
    top: float, bottom: float, a: float, share: float, r: float
) -> None:
    b = share * bottom / Z  # the bottom is shown to be above 0
    found = ratio_ends(normal(top, bottom, a, b, r), top / bottom)
    assert found is not None
    assert list(found) == pytest.approx(fieller(top, bottom, a, b, r), rel=1e-4, abs=1e-6)


def test_an_end_that_lies_too_far_away_is_none() -> None:
    assert ratio_ends(normal(0.5, 0.5, 0.1, 0.5 / Z * 1.01, 0.0), 1.0) is None


def test_a_ratio_without_uncertainty_is_its_own_interval() -> None:
    assert ratio_ends(lambda rho: (0.3 * (1 - rho), 0.5 * (1 - rho)), 1.0) == (1.0, 1.0)
