"""Lanczos on matrices with known eigenvalues: both ends, signs, scale, honesty, resumption."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from curvature_models import counted, generator, matrix_operator, matrix_with, one_thread
from safetensors.torch import load, save

from forgetscope.modeling.curvature.krylov import Krylov
from forgetscope.modeling.curvature.operators import Operator, dot, norm
from forgetscope.modeling.curvature.solvers import End, find_eigenvalues, random_start_gap
from forgetscope.schema.errors import InvalidInput, StageCancelled

QUADRATIC = [10.0, 9.9, 5.0, *np.linspace(1, 0.01, 46), -3.0]
NEGATIVE = [-5.0, 3.0, *np.linspace(1, -0.5, 48)]
PAIR = [4.0, -4.0, *np.linspace(1, -0.5, 48)]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def space_of(operator: Operator, seed: int = 0) -> Krylov:
    return Krylov(operator.like, generator(seed))


@pytest.mark.parametrize("seed", range(3))
def test_the_ends_of_a_quadratic_come_out_with_their_signs(seed: int) -> None:
    operator = matrix_operator(matrix_with(QUADRATIC, seed))
    for end, value in (("magnitude", 10.0), ("largest", 10.0), ("smallest", -3.0)):
        found = find_eigenvalues(operator, space_of(operator, seed), end, tolerance=1e-9)
        assert found.values[0] == pytest.approx(value, abs=1e-8)
        assert found.verdict == "converged"
        assert found.parameters == 50


def test_a_negative_eigenvalue_of_largest_magnitude_is_the_radius_and_not_the_maximum() -> None:
    operator = matrix_operator(matrix_with(NEGATIVE))
    space = space_of(operator)
    radius = find_eigenvalues(operator, space, "magnitude", tolerance=1e-9)
    largest = find_eigenvalues(operator, space, "largest", tolerance=1e-9)
    assert radius.values[0] == pytest.approx(-5.0, abs=1e-8)
    assert largest.values[0] == pytest.approx(3.0, abs=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_a_pair_of_opposite_eigenvalues_is_found_where_power_iteration_mixes_it(seed: int) -> None:
    matrix = matrix_with(PAIR, seed)
    operator = matrix_operator(matrix)
    found = find_eigenvalues(operator, space_of(operator, seed), "magnitude", tolerance=1e-8)
    assert abs(found.values[0]) == pytest.approx(4.0, abs=1e-8)
    assert found.residuals[0] <= 1e-8 * 4
    power = np.random.default_rng(seed).standard_normal(50)
    for _ in range(200):
        power = matrix @ power / np.linalg.norm(power)
    power /= np.linalg.norm(power)
    rayleigh = power @ matrix @ power
    assert np.linalg.norm(matrix @ power - rayleigh * power) > 1e-2 * 4


def test_a_scaled_matrix_gives_scaled_values_with_as_many_products() -> None:
    matrix = matrix_with(QUADRATIC)
    one = matrix_operator(matrix)
    small = matrix_operator(matrix * 1e-6)
    for end in ("largest", "smallest", "magnitude"):
        a = find_eigenvalues(one, space_of(one), end, count=2, tolerance=1e-6)
        b = find_eigenvalues(small, space_of(small), end, count=2, tolerance=1e-6)
        assert a.products == b.products
        assert np.array(b.values) == pytest.approx(np.array(a.values) * 1e-6, rel=1e-9)


def test_a_zero_hessian_has_zero_eigenvalues_after_one_iteration() -> None:
    operator = matrix_operator(np.zeros((20, 20)))
    found = find_eigenvalues(operator, space_of(operator), "magnitude")
    assert (found.values, found.residuals, found.verdict) == ((0.0,), (0.0,), "converged")
    assert found.iterations == 1
    top = find_eigenvalues(operator, space_of(operator), "largest", count=3)
    assert top.values == (0.0, 0.0, 0.0)


def test_a_closed_space_goes_on_with_a_fresh_start_and_finds_what_occurs_often() -> None:
    operator = matrix_operator(matrix_with([5.0] + [-1.0] * 49))
    found = find_eigenvalues(operator, space_of(operator), "magnitude", count=3, tolerance=1e-9)
    assert found.values == pytest.approx((5.0, -1.0, -1.0), abs=1e-8)
    assert (found.gap, found.verdict) == (0.0, "converged")


def test_the_top_eigenvalues_come_with_residuals_that_bound_their_error() -> None:
    matrix = matrix_with([*np.geomspace(100, 0.1, 80), -7.0, *np.zeros(19)])
    truth = np.linalg.eigvalsh(matrix)
    operator = matrix_operator(matrix)
    found = find_eigenvalues(operator, space_of(operator), "largest", count=5, tolerance=1e-2)
    assert found.verdict == "converged"
    assert found.values == pytest.approx(sorted(truth)[:-6:-1], rel=1e-2)
    for value, residual in zip(found.values, found.residuals, strict=True):
        assert residual <= 1e-2 * value
        assert np.abs(truth - value).min() <= residual + 1e-12


@pytest.mark.parametrize("seed", range(10))
def test_of_two_close_eigenvalues_the_larger_comes_out_within_one_percent(seed: int) -> None:
    operator = matrix_operator(matrix_with(QUADRATIC, seed))
    found = find_eigenvalues(operator, space_of(operator, seed), "largest", tolerance=1e-2)
    assert found.verdict == "converged"
    assert found.values[0] == pytest.approx(10.0, rel=1e-2)


def test_a_small_residual_alone_is_not_called_converged() -> None:
    rng = np.random.default_rng(1)
    operator = matrix_operator(np.diag([10.0, *rng.uniform(-1, 1, 3000)]))
    found = find_eigenvalues(operator, space_of(operator), "largest", max_iterations=8)
    assert found.residuals[0] <= found.tolerance * found.values[0]
    assert found.gap > found.max_gap
    assert found.verdict == "not converged"
    enough = find_eigenvalues(operator, space_of(operator), "largest")
    assert enough.verdict == "converged"
    assert random_start_gap(enough.iterations - 1, 3001) > 0.1 >= enough.gap


def test_too_few_iterations_give_a_value_that_is_not_converged() -> None:
    operator, calls = counted(matrix_operator(np.diag(np.linspace(0, 1, 400))))
    found = find_eigenvalues(operator, space_of(operator), "largest", max_iterations=5, max_gap=1.0)
    assert found.verdict == "not converged"
    assert found.residuals[0] > found.tolerance * found.values[0]
    assert (found.iterations, found.products) == (5, calls()) == (5, 6)


def test_the_random_start_gap_agrees_with_published_step_counts_and_is_never_exceeded() -> None:
    for parameters, share, steps in ((4.2e6, 0.05, 35), (4.2e6, 0.01, 76), (6.74e9, 0.1, 31)):
        gap = random_start_gap(steps, int(parameters))
        assert gap <= share * 1.02
        assert random_start_gap(steps - 2, int(parameters)) > share
    values = np.linspace(0, 1, 500)
    operator = matrix_operator(np.diag(values))
    for seed in range(40):
        space = space_of(operator, seed)
        for _ in range(15):
            space.extend(operator)
        assert 1 - space.ritz()[0][-1] <= random_start_gap(15, 500)


@pytest.mark.parametrize("end", ["largest", "smallest", "magnitude"])
def test_a_cancelled_run_goes_on_from_its_file_with_the_same_bits(end: End) -> None:
    operator = matrix_operator(matrix_with([5.0] * 3 + [-1.0] * 20 + [-4.5] * 3), "float32")
    whole = find_eigenvalues(operator, space_of(operator, 4), end, count=4, tolerance=1e-5)
    space = space_of(operator, 4)

    def stop(products: int, estimate: float | None) -> None:
        if products == 2:
            raise StageCancelled("stopped")

    with pytest.raises(StageCancelled):
        find_eigenvalues(operator, space, end, count=4, tolerance=1e-5, progress=stop)
    restored = Krylov.restored(load(save(space.tensors())), operator.like)
    assert restored.iterations == 2
    assert find_eigenvalues(operator, restored, end, count=4, tolerance=1e-5) == whole


def test_a_saved_state_of_other_parameters_is_refused() -> None:
    operator = matrix_operator(np.eye(4))
    saved = space_of(operator).tensors()
    with pytest.raises(InvalidInput, match="other parameters"):
        Krylov.restored(saved, [torch.zeros(5, dtype=torch.float64)])


def test_progress_is_told_after_every_product() -> None:
    operator, calls = counted(matrix_operator(matrix_with(QUADRATIC)))
    told: list[int] = []
    found = find_eigenvalues(
        operator, space_of(operator), "largest", progress=lambda n, _: told.append(n)
    )
    assert told == list(range(1, found.products + 1))
    assert calls() == found.products


def test_a_product_that_is_not_finite_stops_the_run() -> None:
    operator = matrix_operator(np.full((3, 3), np.nan))
    with pytest.raises(InvalidInput, match="not finite"):
        find_eigenvalues(operator, space_of(operator), "largest")


def test_more_eigenvalues_than_parameters_are_refused() -> None:
    operator = matrix_operator(np.eye(3))
    with pytest.raises(InvalidInput, match="4 eigenvalues of 3 parameters"):
        find_eigenvalues(operator, space_of(operator), "largest", count=4)


def test_lengths_of_large_float32_vectors_are_summed_in_float64() -> None:
    x = torch.rand(20_000_001, generator=generator())
    exact = float(x.double().square().sum().sqrt())
    assert norm([x]) == pytest.approx(exact, rel=1e-12)
    assert dot([x], [x]) == pytest.approx(exact**2, rel=1e-12)
