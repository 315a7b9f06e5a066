"""Products that must not be believed, and those that may."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from curvature_models import (
    batches,
    generator,
    items,
    matrix_operator,
    one_thread,
    plain_attention,
    train,
)
from tiny_llama import tiny_model
from torch import Tensor
from transformers.models.llama import modeling_llama

from forgetscope.modeling.curvature.krylov import Krylov
from forgetscope.modeling.curvature.objective import Objective, answer_objective, prepared, widened
from forgetscope.modeling.curvature.products import exact_operator
from forgetscope.modeling.curvature.selection import select_parameters
from forgetscope.modeling.curvature.self_check import require_sound, self_check
from forgetscope.modeling.curvature.solvers import find_eigenvalues
from forgetscope.schema.errors import InvalidInput


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


class _Opaque(torch.autograd.Function):
    """Attention whose gradient is exact and whose backward autograd does not see."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Any, scaling: float) -> Tensor:
        ctx.save_for_backward(q, k, v)
        ctx.rest = mask, scaling
        return ((q @ k.transpose(2, 3) * scaling + mask).softmax(-1) @ v).transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        mask, scaling = ctx.rest
        with torch.enable_grad():
            leaves = [x.detach().requires_grad_() for x in ctx.saved_tensors]
            q, k, v = leaves
            out = ((q @ k.transpose(2, 3) * scaling + mask).softmax(-1) @ v).transpose(1, 2)
            grads = torch.autograd.grad(out, leaves, grad.detach())
        return (*(g.detach() for g in grads), None, None)


def opaque_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, scaling: float, **_: Any
) -> tuple[Tensor, None]:
    key = modeling_llama.repeat_kv(key, module.num_key_value_groups)
    value = modeling_llama.repeat_kv(value, module.num_key_value_groups)
    if mask is None:
        mask = torch.full((query.shape[2],) * 2, -1e9).triu(1)
    return _Opaque.apply(query, key, value, mask, scaling).contiguous(), None


@pytest.mark.parametrize("steps", [0, 60])
@pytest.mark.parametrize("subset", [(), ("model.layers.0",)])
def test_an_opaque_backward_is_refused_although_its_gradient_is_exact(
    steps: int, subset: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = tiny_model(), batches(items(8, words=40))
    train(model, data, steps)
    parameters = select_parameters(model, subset)
    with prepared(model, parameters):
        objective = answer_objective(model, data, parameters)
        good = self_check(exact_operator(objective), objective, generator())
        assert good.ok, good
        assert good.reason is None
        assert good.difference <= 1e-2
        assert good.dtype == "float32"
        require_sound(good)
        gradient = [p.clone() for p in _gradient(objective)]
        monkeypatch.setattr(modeling_llama, "eager_attention_forward", opaque_attention)
        for a, b in zip(gradient, _gradient(objective), strict=True):
            assert torch.allclose(a, b, atol=1e-5)
        bad = self_check(exact_operator(objective), objective, generator())
        assert not bad.ok
        assert bad.difference > 0.05
        with pytest.raises(InvalidInput, match="cannot be believed: the product is"):
            require_sound(bad)


def _gradient(objective: Objective) -> tuple[Tensor, ...]:
    return torch.autograd.grad(objective.parts[0](), list(objective.parameters.values()))


def test_bfloat16_kernels_are_checked_with_widened_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, data = tiny_model().bfloat16(), batches(items(8, words=40))
    parameters = select_parameters(model)
    for attention, ok in (
        (modeling_llama.eager_attention_forward, True),
        (opaque_attention, False),
    ):
        monkeypatch.setattr(modeling_llama, "eager_attention_forward", attention)
        with prepared(model, parameters), widened(model):
            objective = answer_objective(model, data, parameters)
            assert self_check(exact_operator(objective), objective, generator()).ok is ok


def test_the_same_product_has_the_same_bits_and_noise_is_refused() -> None:
    model, data = tiny_model(), batches(items(8, words=40))
    parameters = select_parameters(model)
    with prepared(model, parameters):
        objective = answer_objective(model, data, parameters)
        operator = exact_operator(objective)
        assert self_check(operator, objective, generator()).repeat == 0.0
        noise = generator(1)

        def noisy(v: Sequence[Tensor]) -> list[Tensor]:
            return [
                x * (1 + 1e-3 * torch.randn(x.shape, generator=noise)) for x in operator.product(v)
            ]

        check = self_check(operator._replace(product=noisy), objective, generator())
        assert not check.ok
        assert check.reason is not None
        assert "the same product twice differs" in check.reason


def test_dropout_that_stays_on_is_found() -> None:
    model, data = tiny_model(attention_dropout=0.5), batches(items(8, words=40))
    parameters = select_parameters(model)
    with prepared(model, parameters):
        model.train()
        objective = answer_objective(model, data, parameters)
        assert self_check(exact_operator(objective), objective, generator()).repeat > 1e-3


def _quadratic(matrix: np.ndarray) -> Objective:
    held = torch.tensor(matrix)
    x = torch.ones(len(matrix), dtype=torch.float64, requires_grad=True)
    return Objective([lambda: x @ held @ x / 2], {"x": x}, 1, "float64")


def test_a_product_that_is_not_symmetric_is_refused() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((10, 10))
    matrix = matrix + matrix.T
    skew = rng.standard_normal((10, 10)) * 0.02
    check = self_check(matrix_operator(matrix + skew - skew.T), _quadratic(matrix), generator())
    assert check.symmetry > 1e-3
    assert not check.ok
    assert self_check(matrix_operator(matrix), _quadratic(matrix), generator()).ok


def test_a_zero_hessian_passes_but_a_hidden_one_does_not() -> None:
    zero = np.zeros((4, 4))
    assert self_check(matrix_operator(zero), _quadratic(zero), generator()).ok
    hidden = self_check(matrix_operator(zero), _quadratic(np.eye(4)), generator())
    assert (hidden.ok, hidden.difference) == (False, 1.0)


def test_a_product_that_is_not_finite_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not finite"):
        self_check(matrix_operator(np.full((3, 3), np.inf)), _quadratic(np.eye(3)), generator())


def test_without_the_check_the_opaque_backward_would_give_a_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, data = tiny_model(), batches(items(8, words=40))
    parameters = select_parameters(model, ["model.layers.0"])
    values = []
    for attention in (plain_attention, opaque_attention):
        monkeypatch.setattr(modeling_llama, "eager_attention_forward", attention)
        with prepared(model, parameters):
            operator = exact_operator(answer_objective(model, data, parameters))
            found = find_eigenvalues(operator, Krylov(operator.like, generator()), "magnitude")
            values.append(found.values[0])
    assert abs(values[1] - values[0]) > 0.02 * abs(values[0])
