"""Why a number of curvature has not converged, in words that say what to do."""

from typing import Any

import pytest

from forgetscope.core.convergence import explained_spectrum, explained_way, unsettled
from forgetscope.schema.curvature import (
    CurvatureRow,
    DisplacementResult,
    Iterated,
    SpectrumResult,
)

NONE = Iterated(reason="not asked for")
MANY = 10**6
"""Parameters for which the random-start bound asks for 24 products."""


def number(residual: float = 0.01, products: int = 10, *, good: bool = False) -> Iterated:
    return Iterated(
        value=-3.0,
        residual=residual,
        iterations=products,
        tolerance=0.01,
        verdict="converged" if good else "not converged",
    )


def spectrum(radius: Iterated, **changes: Any) -> SpectrumResult:
    known: dict[str, Any] = {
        "examples": 8,
        "digest": "d" * 64,
        "tokens": 8,
        "loss": 0.1,
        "gradient_norm": 0.1,
        "radius": radius,
        "largest": (radius,),
        "lowest": NONE,
        "gap": 0.3,
        "trace": NONE,
        "method": "exact",
        "dtype": "float32",
        "check": {
            "repeat": 0.0,
            "symmetry": 0.0,
            "difference": 0.0,
            "step": 1e-3,
            "iterations": 3,
        },
    }
    return SpectrumResult(**known | changes)


def why(found: Iterated, parameters: int = MANY, **changes: Any) -> str:
    return str(explained_spectrum(spectrum(found, **changes), parameters).radius.why)


def test_a_converged_number_needs_no_reason() -> None:
    assert explained_spectrum(spectrum(number(good=True)), MANY).radius.why is None
    assert explained_spectrum(spectrum(number()), MANY).lowest == NONE


def test_a_residual_above_the_tolerance_says_both_and_the_products() -> None:
    said = why(number(0.5, 40), gap=0.05)
    assert "residual 0.5 is above the tolerance, 1 % of |λ| or 0.03, after 40 products" in said
    assert said.endswith("raise curvature.max_iterations above 40")


def test_a_small_residual_without_the_random_start_bound_says_how_many_products_it_needs() -> None:
    said = why(number(0.01, 10))
    assert "only the random-start bound is missing" in said
    assert "raise curvature.max_iterations to 24 or more" in said


def test_with_both_missing_the_products_of_the_bound_are_the_least() -> None:
    assert "to 24 or more" in why(number(0.5, 10))


def test_a_space_that_is_whole_or_bfloat16_is_not_told_to_iterate_only() -> None:
    assert "rounding" in why(number(0.5, 12), parameters=12, gap=0.0)
    assert "ask for float32" in why(number(0.5, 40), gap=0.05, dtype="bfloat16")


def test_an_eigenvalue_that_waits_for_others_says_so() -> None:
    first, second = number(0.01, 40), number(0.5, 40)
    found = explained_spectrum(spectrum(first, largest=(first, second), gap=0.05), MANY)
    assert "not all 2 that were asked for" in str(found.largest[0].why)
    assert "residual 0.5" in str(found.largest[1].why)


def test_a_trace_and_a_path_say_what_can_be_done() -> None:
    found = explained_spectrum(spectrum(number(), trace=number(1.0, 30)), MANY)
    assert "30 products: raise curvature.trace_products" in str(found.trace.why)
    way = DisplacementResult(
        examples=8,
        tokens=8,
        loss=0.1,
        loss_after=0.3,
        change=0.2,
        gradient_norm=0.1,
        length=1.0,
        slope=0.1,
        quadratic=0.1,
        curvature={"value": 0.2, "interval_reason": "one number"},
        prediction=number(good=True),
        path=number(1.0, 8),
    )
    told = explained_way(way)
    assert told.prediction.why is None
    assert "raise curvature.path_nodes above 8" in str(told.path.why)


@pytest.mark.parametrize("sets", [1, 2])
def test_what_has_not_converged_is_listed_once_by_its_reason(sets: int) -> None:
    one = explained_spectrum(spectrum(number()), MANY)
    row = CurvatureRow(
        chain=("a", "b"),
        seed=0,
        task="b",
        parameters={"name": "all weights", "parameters": MANY},
        memory="little",
        spectra=(one,) * sets,
    )
    (found,) = unsettled([row], [])
    assert found.why == one.radius.why
    assert len(found.numbers) == 2 * sets
    assert found.numbers[0] == "radius λ of a → b, seed 0" + (", set 1" if sets == 2 else "")
