"""The exact product with the activations of one layer at a time, for large models.

Pearlmutter's R-operator, layer by layer. Forward: each layer's input h and its derivative ḣ along
the vector are kept, nothing else. Backward: with a the gradient at a layer's output and ȧ its
derivative, both are carried through ⟨a, f(h, θ)⟩: its gradient in (h, θ), differentiated along
(ḣ, v), plus the gradient of ⟨ȧ, f(h, θ)⟩. All of it needs reverse mode only: ḣ comes from
differentiating the (linear) backward of a layer. About 3.5 times a gradient's FLOPs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from forgetscope.modeling.answers import sum_cross_entropy
from forgetscope.modeling.curvature.objective import (
    MicroBatch,
    answer_objective,
    dtype_label,
    vector_like,
)
from forgetscope.modeling.curvature.operators import Operator, Vector
from forgetscope.modeling.curvature.products import loss_value
from forgetscope.modeling.curvature.selection import decoder_layers
from forgetscope.schema.errors import InvalidInput

__all__ = ["layered_operator", "layered_product"]


class _Segment(NamedTuple):
    """A piece of the forward pass: `run` maps the hidden states (none for the first) onwards."""

    run: Callable[[Tensor], Tensor]
    parameters: list[Tensor]


def layered_operator(
    model: PreTrainedModel | PeftModel,
    batches: Sequence[MicroBatch],
    parameters: Mapping[str, Tensor],
) -> Operator:
    """The Hessian as an operator, layer by layer. Use it inside `prepared`.

    Raises InvalidInput for a model that is more than embedding, layers, norm and head.
    """
    objective = answer_objective(model, batches[:1], parameters)
    with torch.no_grad():
        hidden = torch.zeros((), device=next(model.parameters()).device)
        for segment in _segments(model, batches[0], parameters):
            hidden = segment.run(hidden)
    whole = loss_value(objective)
    if not abs(float(hidden) / objective.tokens - whole) <= 1e-2 * abs(whole) + 1e-3:
        raise _unsupported(model)
    tokens = sum(batch.answers.targets.numel() for batch in batches)
    return Operator(
        lambda v: layered_product(model, batches, parameters, v),
        vector_like(parameters),
        "exact, layer by layer",
        dtype_label(model, parameters),
        tokens,
    )


def layered_product(
    model: PreTrainedModel | PeftModel,
    batches: Sequence[MicroBatch],
    parameters: Mapping[str, Tensor],
    vector: Sequence[Tensor],
) -> Vector:
    """H·vector for the token-mean answer loss over `batches`."""
    chosen = list(parameters.values())
    tokens = sum(batch.answers.targets.numel() for batch in batches)
    directions = {id(p): v.to(p.dtype) for p, v in zip(chosen, vector, strict=True)}
    total = [torch.zeros_like(x).contiguous() for x in vector_like(parameters)]
    place = {id(p): x for p, x in zip(chosen, total, strict=True)}
    for batch in batches:
        segments = _segments(model, batch, parameters)
        inputs, tangents = _forward(segments, directions, chosen[0].device)
        loss_like = tangents.pop()
        adjoint = torch.full_like(loss_like, 1 / tokens), torch.zeros_like(loss_like)
        for segment, h, h_dot in reversed(list(zip(segments, inputs, tangents, strict=True))):
            adjoint, products = _backward(segment, (h, h_dot), adjoint, directions)
            for p, product in zip(segment.parameters, products, strict=True):
                place[id(p)].add_(product)
    return total


def _forward(
    segments: list[_Segment], directions: Mapping[int, Tensor], device: torch.device
) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs of all segments; derivatives of those inputs and, last, of the loss."""
    h = torch.zeros((), device=device)
    h_dot = torch.zeros_like(h)
    inputs, tangents = [], [h_dot]
    for segment in segments:
        inputs.append(h)
        out, leaves = _run(segment, h)
        probe = torch.zeros_like(out, requires_grad=True)
        along = [h_dot, *(directions[id(p)] for p in segment.parameters)]
        grads = torch.autograd.grad(out, leaves, probe, create_graph=True, materialize_grads=True)
        h = out.detach()
        h_dot = _differentiate(grads, along, [probe])[0]
        tangents.append(h_dot)
    return inputs, tangents


def _backward(
    segment: _Segment,
    at_input: tuple[Tensor, Tensor],
    at_output: tuple[Tensor, Tensor],
    directions: Mapping[int, Tensor],
) -> tuple[tuple[Tensor, Tensor], list[Tensor]]:
    """Gradient at the input and its derivative, and this segment's share of the product; from
    (h, ḣ) at the input and (a, ȧ) at the output.
    """
    (h, h_dot), (a, a_dot) = at_input, at_output
    out, leaves = _run(segment, h)
    along = [h_dot, *(directions[id(p)] for p in segment.parameters)]
    grads = torch.autograd.grad(out, leaves, a, create_graph=True, materialize_grads=True)
    bent = _differentiate([*grads, out], [*along, a_dot], leaves)
    return (grads[0].detach(), bent[0]), bent[1:]


def _run(segment: _Segment, h: Tensor) -> tuple[Tensor, list[Tensor]]:
    h = h.detach().requires_grad_(h.is_floating_point())
    return segment.run(h), [h, *segment.parameters]


def _differentiate(
    outputs: Sequence[Tensor], weights: Sequence[Tensor], leaves: Sequence[Tensor]
) -> list[Tensor]:
    pairs = [(o, w) for o, w in zip(outputs, weights, strict=True) if o.requires_grad]
    if not pairs:
        return [torch.zeros_like(leaf) for leaf in leaves]
    return list(
        torch.autograd.grad(
            [o for o, _ in pairs],
            leaves,
            [w for _, w in pairs],
            materialize_grads=True,
        )
    )


def _segments(
    model: PreTrainedModel | PeftModel, batch: MicroBatch, parameters: Mapping[str, Tensor]
) -> list[_Segment]:
    """Embedding, each layer, and norm with head and loss."""
    plain = model.get_base_model() if isinstance(model, PeftModel) else model
    body: Any = plain.base_model
    _, layers = decoder_layers(model)
    embed, head = plain.get_input_embeddings(), plain.get_output_embeddings()
    norm = getattr(body, "norm", None)
    if norm is None or embed is None or head is None:
        raise _unsupported(model)
    chosen = {id(p): p for p in parameters.values()}

    def own(*modules: nn.Module) -> list[Tensor]:
        found = {id(p): p for module in modules for p in module.parameters() if id(p) in chosen}
        return list(found.values())

    def first(scalar: Tensor) -> Tensor:
        embedded: Tensor = embed(batch.input_ids)
        return embedded + scalar.to(embedded.dtype)

    def last(hidden: Tensor) -> Tensor:
        rows, columns, targets = batch.answers
        return sum_cross_entropy(head(norm(hidden)[rows, columns]), targets)

    calls = dict(_layer_arguments(body, layers, batch))

    def middle(layer: nn.Module) -> Callable[[Tensor], Tensor]:
        def run(hidden: Tensor) -> Tensor:
            out = layer(hidden, *calls[id(layer)][0], **calls[id(layer)][1])
            hidden_out: Tensor = out[0] if isinstance(out, tuple) else out
            return hidden_out

        return run

    return [
        _Segment(first, own(embed)),
        *(_Segment(middle(layer), own(layer)) for layer in layers),
        _Segment(last, own(norm, head)),
    ]


@torch.no_grad()
def _layer_arguments(
    body: nn.Module, layers: nn.ModuleList, batch: MicroBatch
) -> Iterator[tuple[int, tuple[tuple[Any, ...], dict[str, Any]]]]:
    """What the body passes to each layer beside the hidden states: masks, rotary angles."""
    seen: list[tuple[int, tuple[tuple[Any, ...], dict[str, Any]]]] = []
    hooks = [
        layer.register_forward_pre_hook(
            lambda module, args, kwargs: seen.append((id(module), (args[1:], dict(kwargs)))),
            with_kwargs=True,
        )
        for layer in layers
    ]
    try:
        body(input_ids=batch.input_ids, position_ids=batch.position_ids, use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    yield from seen


def _unsupported(model: PreTrainedModel | PeftModel) -> InvalidInput:
    return InvalidInput(
        f"{type(model).__name__} is more than an embedding, layers, a norm and a head",
        where="/model",
        hint="Use the exact product; the layered one knows models of the Llama family.",
    )
