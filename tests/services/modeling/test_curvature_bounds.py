"""The random-start bounds behind the benchmark's certificates, against simulated starts."""

import sys
from pathlib import Path

import numpy as np
import pytest

from forgetscope.modeling.curvature.solvers import random_start_gap

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))

from curvature_bounds import RISK, power_chance, power_products, width


def power_misses(products: int, parameters: int, gap: float, square: float) -> float:
    """Share of starts after which ‖Hx‖/‖x‖ misses 1 by more than `gap`, for a spectrum of 1 and,
    for the rest, ±√`square`."""
    draw = np.random.default_rng(0)
    first = draw.standard_normal(200_000) ** 2
    rest = draw.chisquare(parameters - 1, 200_000) * square ** (products - 1)
    return float(np.mean((first + square * rest) / (first + rest) < (1 - gap) ** 2))


@pytest.mark.parametrize(("gap", "products"), [(0.1, 25), (0.1, 40), (0.01, 250), (0.01, 400)])
def test_the_bound_of_the_power_method_holds_and_its_worst_spectrum_reaches_it(
    gap: float, products: int
) -> None:
    chance = power_chance(products, 400, gap)
    assert RISK < chance < 1
    worst = (1 - gap) ** 2 * (products - 1) / products
    assert 0.9 * chance < power_misses(products, 400, gap, worst) <= chance
    for square in np.linspace(0.5, 1, 40, endpoint=False):
        assert power_misses(products, 400, gap, float(square)) <= chance


def test_the_bound_of_lanczos_holds_where_the_rest_crowds_at_the_ends() -> None:
    parameters, products, risk = 200, 9, 0.3
    gap = random_start_gap(products, parameters, risk)
    angles = np.pi * (np.arange(parameters - 1) + 0.5) / (parameters - 1)
    crowded = (1 - 1.001 * gap) * (1 + np.cos(angles)) / 2
    values = np.append(crowded, 1.0)
    starts = np.random.default_rng(0).standard_normal((3000, parameters, 1))
    powers = np.polynomial.chebyshev.chebvander(2 * values - 1, products - 1)
    basis = np.linalg.qr(starts * powers).Q
    ritz = np.linalg.eigvalsh(np.swapaxes(basis, 1, 2) @ (values[:, None] * basis))
    missed = np.mean(ritz[:, -1] < 1 - gap)
    assert 0 < missed <= risk


def test_a_smaller_gap_or_a_larger_matrix_asks_for_more_products() -> None:
    needed = power_products(100_000, 0.1)
    assert power_chance(needed, 100_000, 0.1) <= RISK < power_chance(needed - 1, 100_000, 0.1)
    assert power_products(100_000, 0.01) > 9 * needed
    assert power_products(100_000_000, 0.1) > needed


def test_the_width_counts_zero_as_an_end() -> None:
    assert width([2.0, 0.5]) == 1.0
    assert width([2.0, -2.0]) == 2.0
    assert width([-4.0, 1.0]) == 1.25
