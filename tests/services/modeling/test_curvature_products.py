"""Products: closed forms, token weighting, re-batching, tying, selection, and what is restored."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from curvature_models import (
    Batch,
    batches,
    dense_hessian,
    flat,
    generator,
    items,
    llama,
    one_thread,
    plain_attention,
    shaped,
    true_float64,
    with_lora,
)
from tiny_llama import tiny_model
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.models.llama import modeling_llama

from forgetscope.modeling.curvature.krylov import Krylov
from forgetscope.modeling.curvature.layered import layered_operator
from forgetscope.modeling.curvature.objective import (
    Objective,
    answer_objective,
    displaced,
    prepared,
    widened,
)
from forgetscope.modeling.curvature.operators import gaussian
from forgetscope.modeling.curvature.products import (
    difference_product,
    exact_operator,
    exact_product,
    loss_and_gradient,
    loss_value,
)
from forgetscope.modeling.curvature.selection import layer_block, select_parameters
from forgetscope.modeling.curvature.solvers import find_eigenvalues
from forgetscope.modeling.curvature.trace import Sketch, estimate_trace
from forgetscope.schema.errors import InvalidInput, UnknownName


@pytest.fixture(autouse=True)
def _exact() -> Iterator[None]:
    with one_thread(), true_float64():
        yield


def padded(batch: Batch, pads: int) -> Batch:
    last = batch.position_ids[:, -1:] + torch.arange(1, pads + 1)
    return Batch(
        nn.functional.pad(batch.input_ids, (0, pads)),
        torch.cat([batch.position_ids, last], dim=1),
        batch.answers,
    )


def test_a_zero_head_has_the_hessian_of_its_closed_form() -> None:
    model, data = llama(), batches(items(12))
    with torch.no_grad():
        model.lm_head.weight.zero_()
    parameters = select_parameters(model, ["lm_head"])
    hidden = torch.cat(
        [
            model.model(input_ids=b.input_ids, position_ids=b.position_ids).last_hidden_state[
                b.answers.rows, b.answers.columns
            ]
            for b in data
        ]
    ).detach()
    vocabulary, width = 12, 8
    second_moment = (hidden.T @ hidden / len(hidden)).numpy()
    eigenvalues = np.linalg.eigvalsh(second_moment) / vocabulary
    expected = sorted([*np.repeat(eigenvalues, vocabulary - 1), *np.zeros(width)])
    with prepared(model, parameters):
        objective = answer_objective(model, data, parameters)
        operator = exact_operator(objective)
        columns = [
            flat(operator.product(shaped(e, operator.like))) for e in np.eye(vocabulary * width)
        ]
        top = find_eigenvalues(
            operator, Krylov(operator.like, generator()), "magnitude", tolerance=1e-9
        )
        trace = estimate_trace(operator, Sketch(operator.like, generator()), rank=96, probes=2)
        loss = loss_value(objective)
    assert np.linalg.eigvalsh(np.stack(columns)) == pytest.approx(expected, abs=1e-12)
    assert top.values[0] == pytest.approx(eigenvalues[-1], abs=1e-10)
    exact_trace = (vocabulary - 1) / vocabulary * np.trace(second_moment)
    assert trace.value == pytest.approx(exact_trace, rel=1e-10)
    assert trace.verdict == "converged"
    assert loss == pytest.approx(math.log(vocabulary), abs=1e-12)


def test_every_token_weighs_the_same_in_batches_of_different_size() -> None:
    weight = torch.zeros(5, 2, dtype=torch.float64, requires_grad=True)

    def part(tokens: list[list[float]]) -> Tensor:
        x = torch.tensor(tokens, dtype=torch.float64)
        targets = torch.zeros(len(tokens), dtype=torch.long)
        return nn.functional.cross_entropy(x @ weight.T, targets, reduction="sum")

    objective = Objective(
        [lambda: part([[2.0, 0.0]]), lambda: part([[0.0, 1.0]] * 3)], {"w": weight}, 4, "float64"
    )
    operator = exact_operator(objective)
    found = find_eigenvalues(
        operator, Krylov(operator.like, generator()), "largest", tolerance=1e-9
    )
    assert found.values[0] == pytest.approx(0.2, abs=1e-9)


@pytest.mark.parametrize("adapter", [False, True])
def test_rows_padding_and_order_of_batches_change_nothing(adapter: bool) -> None:
    model = with_lora(llama()) if adapter else llama()
    parameters = select_parameters(model)
    sequences = items(9)
    layouts = [
        batches(sequences, 3),
        batches(sequences, 1),
        [padded(b, 5) for b in batches(sequences, 3)],
        batches(sequences, 3)[::-1],
        batches(sequences, 2),
    ]
    results = []
    with prepared(model, parameters):
        v = gaussian(list(parameters.values()), generator())
        for data in layouts:
            objective = answer_objective(model, data, parameters)
            loss, gradient = loss_and_gradient(objective)
            layered = layered_operator(model, data, parameters).product(v)
            results.append((loss, flat(gradient), flat(exact_product(objective, v)), flat(layered)))
    scale = np.abs(results[0][2]).max()
    for loss, gradient, product, layered in results:
        assert loss == pytest.approx(results[0][0], abs=1e-14)
        assert np.abs(gradient - results[0][1]).max() <= 2e-15 * max(1, np.abs(gradient).max())
        assert np.abs(product - results[0][2]).max() <= 2e-15 * scale * 2
        assert np.abs(layered - results[0][2]).max() <= 2e-15 * scale * 2


def test_packed_sequences_give_the_product_of_separate_ones() -> None:
    from forgetscope.modeling.batches import collate

    model, sequences = llama(), items(6)
    parameters = select_parameters(model)
    with prepared(model, parameters):
        v = gaussian(list(parameters.values()), generator())
        apart = exact_product(answer_objective(model, batches(sequences, 2), parameters), v)
        packed = [collate([sequences[:3], sequences[3:]])]
        together = exact_product(answer_objective(model, packed, parameters), v)
        layered = layered_operator(model, packed, parameters).product(v)
    scale = np.abs(flat(apart)).max()
    assert np.abs(flat(apart) - flat(together)).max() <= 1e-14 * scale
    assert np.abs(flat(apart) - flat(layered)).max() <= 1e-14 * scale


def test_tied_weights_count_once_and_collect_both_uses() -> None:
    data = batches(items(8))
    tied = llama(tie_word_embeddings=True)
    apart = llama()
    apart.load_state_dict(tied.state_dict())
    shared = select_parameters(tied)
    both = select_parameters(apart)
    assert sum(p.numel() for p in both.values()) - sum(p.numel() for p in shared.values()) == 96
    assert list(select_parameters(tied, ["lm_head"])) == ["lm_head.weight"]
    with prepared(tied, shared):
        v = gaussian(list(shared.values()), generator())
        product = exact_product(answer_objective(tied, data, shared), v)
    by_name = dict(zip(shared, v, strict=True))
    with prepared(apart, both):
        spread = [by_name.get(n, by_name["model.embed_tokens.weight"]) for n in both]
        parts = dict(
            zip(both, exact_product(answer_objective(apart, data, both), spread), strict=True)
        )
    parts["model.embed_tokens.weight"] += parts.pop("lm_head.weight")
    expected = np.concatenate([parts[n].reshape(-1).numpy() for n in shared])
    assert np.abs(flat(product) - expected).max() <= 2e-15 * np.abs(expected).max() * 2


@pytest.mark.parametrize(("c", "value"), [(1.0, 2.0), (2.0, 4.25), (4.0, 16.0625)])
def test_the_curvature_of_factors_depends_on_their_scale(c: float, value: float) -> None:
    a = torch.tensor([c], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([1 / c], dtype=torch.float64, requires_grad=True)

    def loss() -> Tensor:
        return ((a * b - 1) ** 2 / 2).sum()

    objective = Objective([loss], {"a": a, "b": b}, 1, "float64")
    operator = exact_operator(objective)
    found = find_eigenvalues(
        operator, Krylov(operator.like, generator()), "largest", count=2, tolerance=1e-9
    )
    assert found.values == pytest.approx((value, 0.0), abs=1e-12)
    assert found.verdict == "converged"


def test_the_loss_and_its_gradient_agree_with_autograd_on_everything_at_once() -> None:
    model, data = llama(), batches(items(7), 3)
    parameters = select_parameters(model)
    with prepared(model, parameters):
        objective = answer_objective(model, data, parameters)
        loss, gradient = loss_and_gradient(objective)
        whole = sum((p() for p in objective.parts), torch.zeros(())) / objective.tokens
        expected = torch.autograd.grad(whole, list(parameters.values()))
        assert loss_value(objective) == pytest.approx(float(whole.detach()), abs=1e-14)
    assert loss == pytest.approx(float(whole.detach()), abs=1e-14)
    assert np.abs(flat(gradient) - flat(expected)).max() < 1e-14


def test_fused_attention_is_switched_to_eager_and_back() -> None:
    model, data = llama(), batches(items(4))
    model.set_attn_implementation("sdpa")
    model.train()
    model.lm_head.eval()
    model.model.norm.weight.requires_grad_(False)
    parameters = select_parameters(model, ["lm_head", "model.layers.0.self_attn"])
    with prepared(model, parameters):
        assert not model.training
        assert [n for n, p in model.named_parameters() if p.requires_grad] == [
            n for n in dict(model.named_parameters()) if n in parameters
        ]
        v = gaussian(list(parameters.values()), generator())
        product = exact_product(answer_objective(model, data, parameters), v)
        hessian = dense_hessian(model, data, parameters)
    assert np.abs(flat(product) - hessian @ flat(v)).max() < 1e-12 * np.abs(flat(product)).max()
    assert model.config._attn_implementation == "sdpa"
    assert model.training
    assert not model.lm_head.training
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == ["model.norm.weight"]


def test_attention_is_put_back_after_an_error_too() -> None:
    model = llama()
    model.set_attn_implementation("sdpa")
    with pytest.raises(RuntimeError), prepared(model, select_parameters(model)):
        raise RuntimeError
    assert model.config._attn_implementation == "sdpa"


def test_a_kernel_without_second_derivative_is_refused_but_differences_work() -> None:
    model, data = llama(), batches(items(4))
    model.set_attn_implementation("sdpa")
    parameters = select_parameters(model)
    v = gaussian(list(parameters.values()), generator())
    with prepared(model, parameters, attention=None):
        objective = answer_objective(model, data, parameters)
        with pytest.raises(InvalidInput, match="cannot be differentiated twice"):
            exact_product(objective, v)
        differences = flat(difference_product(objective, v, 1e-4))
    with prepared(model, parameters):
        exact = flat(exact_product(answer_objective(model, data, parameters), v))
    assert np.abs(differences - exact).max() <= 1e-5 * np.abs(exact).max()


def test_an_attention_that_the_model_does_not_take_is_refused() -> None:
    model = llama()
    with (
        pytest.raises(InvalidInput, match="LlamaForCausalLM does not take no_such attention"),
        prepared(model, select_parameters(model), attention="no_such"),
    ):
        pass


def test_prefixes_select_whole_names_and_unknown_ones_are_refused() -> None:
    model = llama(num_hidden_layers=11)
    chosen = select_parameters(model, ["model.layers.1"])
    assert all(name.startswith("model.layers.1.") for name in chosen)
    assert len(chosen) == 9
    assert layer_block(model, 9, 10) == ["model.layers.9", "model.layers.10"]
    with pytest.raises(InvalidInput, match="layers 3 to 11 are not among the 11"):
        layer_block(model, 3, 11)
    with pytest.raises(UnknownName, match="no trainable parameter lies under"):
        select_parameters(model, ["model.layer"])
    for p in model.parameters():
        p.requires_grad_(False)
    with pytest.raises(InvalidInput, match="no trainable parameter"):
        select_parameters(model)


def test_an_adapted_model_gives_its_factors_even_when_frozen() -> None:
    model = with_lora(llama())
    for p in model.parameters():
        p.requires_grad_(False)
    names = list(select_parameters(model))
    assert len(names) == 4
    assert names[0] == "model.layers.0.self_attn.q_proj.lora_A.default.weight"


def test_examples_without_answers_are_refused() -> None:
    model = llama()
    with pytest.raises(InvalidInput, match="no answer token"):
        answer_objective(model, [], select_parameters(model))


def test_weights_are_the_same_bytes_after_a_displacement() -> None:
    model = tiny_model()
    parameters = list(model.parameters())
    before = [p.detach().clone() for p in parameters]
    d = gaussian(parameters, generator())
    with displaced(parameters, d, 0.1):
        moved = [p.detach().clone() for p in parameters]
    assert all(torch.equal(p, old) for p, old in zip(parameters, before, strict=True))
    for p, old, step in zip(moved, before, d, strict=True):
        assert torch.allclose(p, old + 0.1 * step)


def test_bfloat16_weights_are_widened_and_come_back_as_the_same_bytes() -> None:
    model, data = tiny_model().bfloat16(), batches(items(4))
    before = [p.detach().clone() for p in model.parameters()]
    parameters = select_parameters(model)
    v = gaussian([p.float() for p in parameters.values()], generator())
    with prepared(model, parameters):
        narrow = answer_objective(model, data, parameters)
        assert narrow.dtype == "bfloat16"
        assert exact_product(narrow, v)[0].dtype is torch.float32
        with pytest.raises(InvalidInput, match="need float32 weights"):
            difference_product(narrow, v)
        with widened(model):
            wide = answer_objective(model, data, parameters)
            assert wide.dtype == "float32"
            assert flat(difference_product(wide, v)) == pytest.approx(
                flat(exact_product(wide, v)), abs=0.05 * np.abs(flat(exact_product(wide, v))).max()
            )
    for p, old in zip(model.parameters(), before, strict=True):
        assert p.dtype is torch.bfloat16
        assert torch.equal(p, old)


def test_the_exact_product_works_for_another_architecture() -> None:
    """Against differences: torch 2.13's forward mode through a layer norm's backward, which the
    dense Hessian needs, is wrong for the norm's weight (3e-4 here, and not symmetric)."""
    torch.manual_seed(0)
    special = {"bos_token_id": 1, "eos_token_id": 2}
    config = GPT2Config(vocab_size=12, n_embd=8, n_layer=1, n_head=2, n_positions=16, **special)
    model = GPT2LMHeadModel(config).double().eval()
    data = batches(items(4))
    parameters = select_parameters(model, layer_block(model, 0, 0))
    with prepared(model, parameters):
        objective = answer_objective(model, data, parameters)
        v = gaussian(list(parameters.values()), generator())
        product = flat(exact_product(objective, v))
        truth = flat(difference_product(objective, v, 1e-5))
    assert np.abs(product - truth).max() <= 1e-8 * np.abs(truth).max()


def test_the_ground_truth_does_replace_the_attention_that_runs() -> None:
    assert modeling_llama.eager_attention_forward is plain_attention
