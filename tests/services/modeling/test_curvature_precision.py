"""float32, bfloat16 and finite differences against float64, on a million parameters."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from curvature_models import batches, flat, generator, items, one_thread, train, true_float64
from peft import LoraConfig, get_peft_model
from tiny_llama import tiny_model

from forgetscope.modeling.curvature.krylov import Krylov
from forgetscope.modeling.curvature.objective import Objective, answer_objective, prepared
from forgetscope.modeling.curvature.operators import Operator, dot, gaussian
from forgetscope.modeling.curvature.products import (
    FIRST_STEP,
    choose_step,
    difference_operator,
    exact_operator,
)
from forgetscope.modeling.curvature.selection import select_parameters
from forgetscope.modeling.curvature.solvers import Eigenvalues, find_eigenvalues

SHAPE: dict[str, Any] = {
    "vocab_size": 512,
    "hidden_size": 128,
    "intermediate_size": 344,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.05,
}
DATA = batches(items(8, words=500), 8)


@pytest.fixture(scope="module")
def model() -> Iterator[Any]:
    with one_thread():
        model = tiny_model(**SHAPE)
        train(model, DATA, 4, rate=1e-3)
        yield model


def top(operator: Operator, iterations: int = 14) -> tuple[Eigenvalues, Krylov]:
    space = Krylov(operator.like, generator())
    found = find_eigenvalues(
        operator, space, "magnitude", tolerance=1e-3, max_gap=1.0, max_iterations=iterations
    )
    return found, space


@pytest.fixture(scope="module")
def exact(model: Any) -> tuple[Eigenvalues, Krylov]:
    parameters = select_parameters(model)
    with prepared(model, parameters):
        return top(exact_operator(answer_objective(model, DATA, parameters)))


def as_dtype(model: Any, dtype: torch.dtype) -> Any:
    copy = tiny_model(**SHAPE)
    copy.load_state_dict(model.state_dict())
    return copy.to(dtype)


def objective(model: Any) -> Objective:
    return answer_objective(model, DATA, select_parameters(model))


def test_float32_gives_the_eigenvalue_of_float64(model: Any, exact: Any) -> None:
    found, _ = exact
    assert found.parameters >= 1_000_000
    assert (found.dtype, found.verdict) == ("float32", "converged")
    wide = as_dtype(model, torch.float64)
    with true_float64(), prepared(wide, select_parameters(wide)):
        truth, _ = top(exact_operator(objective(wide)))
    assert truth.dtype == "float64"
    assert found.values[0] == pytest.approx(truth.values[0], rel=1e-4)


def test_differences_give_the_exact_eigenvalue_within_one_percent(model: Any, exact: Any) -> None:
    found, _ = exact
    with prepared(model, select_parameters(model)):
        differences, _ = top(difference_operator(objective(model), FIRST_STEP), 10)
    assert differences.values[0] == pytest.approx(found.values[0], rel=1e-2)
    assert differences.method == "central differences, step 0.0003"


def test_a_step_is_accepted_where_it_and_its_third_agree(model: Any, exact: Any) -> None:
    found, space = exact
    values, coordinates = space.ritz()
    vector = space.vector(coordinates[:, np.abs(values).argmax()])
    with prepared(model, select_parameters(model)):
        step = choose_step(objective(model), vector)
        assert step.accepted
        product = difference_operator(objective(model), step.step).product(vector)
        assert dot(vector, product) == pytest.approx(found.values[0], rel=1e-2)
        wild = choose_step(objective(model), vector, first=30.0, tries=1)
        assert not wild.accepted
        assert wild.disagreement > 0.01


def test_bfloat16_is_labelled_and_rough(model: Any, exact: Any) -> None:
    found, _ = exact
    narrow = as_dtype(model, torch.bfloat16)
    with prepared(narrow, select_parameters(narrow)):
        rough, space = top(exact_operator(objective(narrow)), 8)
    assert rough.dtype == "bfloat16"
    assert rough.values[0] == pytest.approx(found.values[0], rel=0.3)
    assert space.basis[0][0].dtype is torch.float32
    assert abs(float(np.linalg.norm(flat(space.basis[3]))) - 1) < 1e-6


def test_float32_factors_on_a_bfloat16_base_are_labelled_with_both() -> None:
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    with one_thread():
        torch.manual_seed(0)
        wide = get_peft_model(tiny_model(), config).eval()
        torch.manual_seed(0)
        mixed = get_peft_model(tiny_model().bfloat16(), config).eval()
        mixed.load_state_dict(wide.state_dict())
        products = []
        for model, dtype in ((wide, "float32"), (mixed, "float32 on bfloat16")):
            parameters = select_parameters(model)
            with prepared(model, parameters):
                operator = exact_operator(
                    answer_objective(model, batches(items(4, words=40)), parameters)
                )
                products.append(flat(operator.product(gaussian(operator.like, generator()))))
            assert operator.dtype == dtype
    apart = np.linalg.norm(products[1] - products[0]) / np.linalg.norm(products[0])
    assert 1e-5 < apart < 0.3
