"""The layer-by-layer product: its memory, and the models that it knows. Its values are compared
with dense Hessians elsewhere."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from curvature_models import batches, generator, items, one_thread, peak_bytes, with_lora
from tiny_llama import tiny_model
from transformers import GPT2Config, GPT2LMHeadModel

from forgetscope.core.memory import Method, estimate_memory, estimate_stage
from forgetscope.core.model_shape import shape_of
from forgetscope.modeling.batches import Item
from forgetscope.modeling.curvature.layered import layered_operator
from forgetscope.modeling.curvature.objective import answer_objective, prepared, widened
from forgetscope.modeling.curvature.operators import gaussian
from forgetscope.modeling.curvature.products import difference_product, exact_operator
from forgetscope.modeling.curvature.selection import select_parameters
from forgetscope.modeling.curvature.self_check import self_check
from forgetscope.schema.errors import InvalidInput


def sequences(length: int) -> list[Item]:
    return [Item([1 + i % 40 for i in range(length)], length - 4)] * 4


def test_the_layered_product_keeps_one_layer_where_the_exact_one_keeps_all() -> None:
    peak: dict[tuple[str, int], int] = {}
    for layers in (2, 12):
        model, data = tiny_model(num_hidden_layers=layers), batches(sequences(48))
        parameters = select_parameters(model)
        with one_thread(), prepared(model, parameters):
            exact = exact_operator(answer_objective(model, data, parameters))
            layered = layered_operator(model, data, parameters)
            v = gaussian(exact.like, generator())
            peak["exact", layers] = peak_bytes(lambda: exact.product(v))  # noqa: B023
            peak["layered", layers] = peak_bytes(lambda: layered.product(v))  # noqa: B023
    assert peak["layered", 12] <= 1.5 * peak["layered", 2]
    assert peak["exact", 12] >= 3 * peak["exact", 2]
    assert peak["layered", 12] <= 0.25 * peak["exact", 12]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("adapter", [False, True])
def test_the_estimated_memory_is_near_the_measured_one(dtype: str, adapter: bool) -> None:
    model: Any = tiny_model(
        hidden_size=128,
        intermediate_size=344,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
    ).to(getattr(torch, dtype))
    if adapter:
        model = with_lora(model, rank=4)
    parameters = select_parameters(model)
    selected = sum(p.numel() for p in parameters.values())
    everything = list(model.parameters())
    shape = shape_of(model.config.to_dict(), sum(p.numel() for p in everything))
    data = batches(sequences(128))
    with one_thread(), prepared(model, parameters):
        objective = answer_objective(model, data, parameters)
        exact = exact_operator(objective)
        v = gaussian(exact.like, generator())
        work: dict[Method, Callable[[], object]] = {
            "exact": partial(exact.product, v),
            "layered": partial(layered_operator(model, data, parameters).product, v),
        }
        if dtype == "float32":
            work["differences"] = partial(difference_product, objective, v)
        for method, product in work.items():
            product()
            held = sum(x.nbytes for x in [*v, *everything])
            estimate = estimate_memory(
                shape,
                method,
                selected=selected,
                dtype=dtype,
                rows=4,
                sequence=127,
                answer_tokens=objective.tokens,
            )
            assert estimate.total == pytest.approx(peak_bytes(product) + held, rel=0.25)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_estimated_memory_of_a_stage_covers_its_check(dtype: str) -> None:
    """Of a model whose weights outweigh its activations, as those of large ones do."""
    model: Any = tiny_model(
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
    ).to(getattr(torch, dtype))
    parameters = select_parameters(model)
    everything = list(model.parameters())
    count = sum(p.numel() for p in everything)
    data = batches(sequences(32))
    with one_thread(), prepared(model, parameters), widened(model):
        objective = answer_objective(model, data, parameters)
        operator = exact_operator(objective)
        self_check(operator, objective, generator())
        peak = peak_bytes(lambda: self_check(operator, objective, generator()))
        held = sum(x.nbytes for x in everything)
    estimate = estimate_stage(
        shape_of(model.config.to_dict(), count),
        "exact",
        selected=count,
        dtype=dtype,
        rows=4,
        sequence=31,
        answer_tokens=objective.tokens,
        kept_vectors=0,
    )
    assert estimate.total == pytest.approx(held + peak, rel=0.25)


def test_another_kind_of_model_is_refused() -> None:
    special = {"bos_token_id": 1, "eos_token_id": 2}
    config = GPT2Config(vocab_size=43, n_embd=32, n_layer=2, n_head=2, **special)
    model = GPT2LMHeadModel(config).eval()
    parameters = select_parameters(model)
    with (
        prepared(model, parameters),
        pytest.raises(InvalidInput, match="GPT2LMHeadModel is more than"),
    ):
        layered_operator(model, batches(items(2)), parameters)


def test_a_model_that_scales_its_embedding_is_refused() -> None:
    model = tiny_model()
    parameters = select_parameters(model)
    with prepared(model, parameters):
        hook = model.model.layers[0].register_forward_pre_hook(
            lambda module, args: (args[0] * 5, *args[1:])
        )
        layered_operator(model, batches(items(2)), parameters)
        hook.remove()
        model.model.register_forward_hook(
            lambda module, args, out: out | {"last_hidden_state": out.last_hidden_state * 3}
        )
        with pytest.raises(InvalidInput, match="LlamaForCausalLM is more than"):
            layered_operator(model, batches(items(2)), parameters)
