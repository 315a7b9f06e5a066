"""How many products a power iteration needs so that hardly a larger eigenvalue was missed.

Kuczyński and Woźniakowski (1992, SIAM J. Matrix Anal. Appl. 13, 1094-1122) bound the chance that an
iteration from a random start b misses the largest eigenvalue of a positive semidefinite n×n matrix
by more than the share ε after k products: for the power method
min(0.824, 0.354/√(ε(k−1)))·√n·(1−ε)^(k−½), for Lanczos 1.648·√n·exp(−√ε(2k−1)), which is
`random_start_gap` of our solver. Both constants follow from P(b₁² ≤ t²·Σ_{i>1} bᵢ²) ≤ 0.824·√n·t
(√(2/π) = 0.798 for large n): 0.354 = 0.824/√(2e) from the spectrum that is worst for the power
method, 1.648 = 2·0.824 from Chebyshev polynomials. A test simulates starts: the first is reached,
the second holds.

A Hessian is indefinite. PyHessian multiplies by H and looks for the eigenvalue of largest
magnitude, ρ in magnitude: with k products its vector is that of j = (k+1)/2 products by H², whose
largest eigenvalue is ρ². Missing ρ by the share ε is missing ρ² by ε(2−ε), so the chance is
min(0.824, 0.354/√(ε(2−ε)(j−1)))·√n·(1−ε)^k; nothing is assumed but symmetry. (This bounds
‖Hx‖/‖x‖; the Rayleigh quotient is 0.005 % from it at a residual of 1 %.)

Lanczos misses a share of λ_max − λ_min by the bound; as a share of ρ that is wider by
(λ_max − λ_min)/ρ, 1 for a semidefinite matrix and 2 at most.
"""

import math
from collections.abc import Sequence

__all__ = ["RISK", "power_chance", "power_products", "width"]

RISK = 1e-3
"""The chance of a miss that is left, as in our solver."""


def power_chance(products: int, parameters: int, gap: float) -> float:
    """At most this is the chance that ρ was missed by more than `gap`·ρ."""
    steps = gap * (2 - gap) * (products - 1) / 2
    factor = min(0.824, 0.354 / math.sqrt(steps)) if steps else 0.824
    return min(1.0, factor * math.sqrt(parameters) * (1 - gap) ** products)


def power_products(parameters: int, gap: float) -> int:
    """The fewest products with a `power_chance` of at most `RISK`."""
    products = 1
    while power_chance(products, parameters, gap) > RISK:
        products += 1
    return products


def width(values: Sequence[float]) -> float:
    """(λ_max − λ_min)/ρ of a spectrum with these ends, with zero counted among them."""
    ends = max(*values, 0.0), min(*values, 0.0)
    return (ends[0] - ends[1]) / max(map(abs, ends))
