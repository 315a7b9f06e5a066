"""Every estimate against dense float64 Hessians of Llamas: untrained, trained, tied, LoRA."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from curvature_models import (
    Batch,
    batches,
    dense_hessian,
    flat,
    generator,
    items,
    llama,
    matrix_operator,
    one_thread,
    shaped,
    train,
    true_float64,
    with_lora,
)

from forgetscope.modeling.curvature.density import Quadrature, estimate_density
from forgetscope.modeling.curvature.krylov import Krylov
from forgetscope.modeling.curvature.layered import layered_operator
from forgetscope.modeling.curvature.objective import answer_objective, prepared
from forgetscope.modeling.curvature.operators import Operator, gaussian
from forgetscope.modeling.curvature.products import difference_operator, exact_operator
from forgetscope.modeling.curvature.selection import layer_block, select_parameters
from forgetscope.modeling.curvature.solvers import End, find_eigenvalues
from forgetscope.modeling.curvature.trace import Sketch, estimate_trace


class Case(NamedTuple):
    name: str
    model: Any
    data: list[Batch]
    parameters: dict[str, Any]
    hessian: np.ndarray
    eigenvalues: np.ndarray
    operator: Operator
    matrix: Operator


@pytest.fixture(scope="module", params=["untrained", "trained", "tied", "lora"])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    data = batches(items(12), 6)
    model: Any = {
        "untrained": lambda: llama(3),
        "trained": llama,
        "tied": lambda: llama(tie_word_embeddings=True),
        "lora": lambda: with_lora(llama(hidden_size=32, intermediate_size=48, num_hidden_layers=2)),
    }[request.param]()
    with one_thread(), true_float64():
        if request.param != "untrained":
            train(model, data, 40)
        parameters = select_parameters(model)
        with prepared(model, parameters):
            hessian = dense_hessian(model, data, parameters)
            operator = exact_operator(answer_objective(model, data, parameters))
            values = np.linalg.eigvalsh(hessian)
            matrix = matrix_operator(hessian)
            yield Case(request.param, model, data, parameters, hessian, values, operator, matrix)


def test_the_products_equal_those_of_the_dense_hessian(case: Case) -> None:
    assert case.operator.parameters == {"tied": 600, "lora": 224}.get(case.name, 696)
    assert case.operator.tokens == sum(len(b.answers.targets) for b in case.data)
    for seed in range(2):
        v = gaussian(case.operator.like, generator(seed))
        truth = case.hessian @ flat(v)
        scale = np.abs(truth).max()
        assert np.abs(flat(case.operator.product(v)) - truth).max() <= 1e-12 * scale
        layered = layered_operator(case.model, case.data, case.parameters)
        assert (layered.parameters, layered.tokens) == (len(case.eigenvalues), case.operator.tokens)
        assert np.abs(flat(layered.product(v)) - truth).max() <= 1e-12 * scale
        differences = difference_operator(
            answer_objective(case.model, case.data, case.parameters), 1e-4
        )
        assert np.abs(flat(differences.product(v)) - truth).max() <= 1e-5 * scale


def test_both_ends_the_radius_and_the_top_five_equal_the_dense_ones(case: Case) -> None:
    space = Krylov(case.operator.like, generator())
    w = case.eigenvalues
    expected: list[tuple[End, list[float]]] = [
        ("magnitude", [w[np.abs(w).argmax()]]),
        ("largest", list(w[:-6:-1])),
        ("smallest", [w[0]]),
    ]
    for end, values in expected:
        found = find_eigenvalues(
            case.operator, space, end, count=len(values), tolerance=1e-9, max_iterations=300
        )
        assert found.values == pytest.approx(values, rel=1e-8)
        assert found.verdict == "converged"
        assert found.dtype == "float64"
        for value, residual in zip(found.values, found.residuals, strict=True):
            assert np.abs(w - value).min() <= residual + 1e-12
    if case.name == "untrained":
        assert w[np.abs(w).argmax()] < 0


def test_a_rough_tolerance_still_gives_a_residual_that_bounds_the_error(case: Case) -> None:
    for seed in range(5):
        found = find_eigenvalues(
            case.matrix, Krylov(case.matrix.like, generator(seed)), "largest", tolerance=0.05
        )
        assert np.abs(case.eigenvalues - found.values[0]).min() <= found.residuals[0] + 1e-12
        assert found.values[0] == pytest.approx(case.eigenvalues[-1], rel=0.05)


def test_the_trace_lies_within_its_standard_error(case: Case) -> None:
    truth = float(np.trace(case.hessian))
    scores = []
    for seed in range(6):
        operator = case.operator if seed == 0 else case.matrix
        found = estimate_trace(operator, Sketch(operator.like, generator(seed)))
        assert found.residual is not None
        scores.append((found.value - truth) / found.residual)
        assert found.iterations == 30
    assert abs(np.mean(scores)) < 2.5
    assert max(map(abs, scores)) < 6


def test_the_spectral_density_has_the_moments_of_the_spectrum(case: Case) -> None:
    w = case.eigenvalues
    found = estimate_density(
        case.matrix, Quadrature(case.matrix.like, generator()), steps=25, probes=4
    )
    assert found.residual is not None
    nodes, weights = np.array(found.nodes), np.array(found.weights)
    assert weights.sum() == pytest.approx(1.0)
    assert abs(found.trace - w.sum()) <= 6 * found.residual
    assert nodes[-1] == pytest.approx(w[-1], rel=1e-3)
    assert nodes[0] >= w[0] - 1e-9
    threshold = w[-1] / 4
    share = float((np.abs(w) <= threshold).mean())
    assert float(weights[np.abs(nodes) <= threshold].sum()) == pytest.approx(share, abs=0.03)
    area = np.trapezoid(found.heights, found.grid)
    assert area == pytest.approx(1.0, abs=1e-3)


def test_a_block_of_layers_gives_the_principal_submatrix_and_a_lower_bound(case: Case) -> None:
    names = list(case.parameters)
    subset = select_parameters(case.model, layer_block(case.model, 0, 0))
    assert subset.keys() < set(names) if case.name == "lora" else len(subset) == 9
    sizes = [p.numel() for p in case.parameters.values()]
    starts = np.cumsum([0, *sizes])
    rows = np.concatenate(
        [np.arange(starts[i], starts[i + 1]) for i, n in enumerate(names) if n in subset]
    )
    block = case.hessian[np.ix_(rows, rows)]
    with prepared(case.model, subset):
        operator = exact_operator(answer_objective(case.model, case.data, subset))
        v = np.random.default_rng(0).standard_normal(len(rows))
        product = flat(operator.product(shaped(v, operator.like)))
        assert np.abs(product - block @ v).max() <= 1e-12 * np.abs(product).max()
        layered = layered_operator(case.model, case.data, subset)
        assert np.abs(flat(layered.product(shaped(v, operator.like))) - product).max() < 1e-12
        top = find_eigenvalues(operator, Krylov(operator.like, generator()), "largest")
    assert top.values[0] <= case.eigenvalues[-1] * (1 + 1e-12)
