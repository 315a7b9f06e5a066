"""Losses of single examples, and their derivatives along a direction in weight space.

Everything is about plain models in evaluation mode and float32: no dropout, no adapter. Values are
float64 sums on the CPU, in the order of the items.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call
from transformers import PreTrainedModel

from forgetscope.modeling.answers import Supervised, answer_logits
from forgetscope.modeling.batches import Batch, Item, collate

__all__ = ["Along", "Report", "directional_derivatives", "example_losses", "gradient_of"]

Report = Callable[[int], None]
"""Is told of how many more items something was computed."""


class Along(NamedTuple):
    """Derivatives [N]; `forward_mode` tells whether they came that way."""

    values: Tensor
    forward_mode: bool


class _ExampleLosses(nn.Module):
    """Summed answer loss of each row [B], one example a row, in nats."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, position_ids: Tensor, answers: Supervised) -> Tensor:
        logits = answer_logits(self.model, input_ids, position_ids, answers.rows, answers.columns)
        tokens = nn.functional.cross_entropy(logits, answers.targets, reduction="none")
        return tokens.new_zeros(len(input_ids)).index_add(0, answers.rows, tokens)


@torch.no_grad()
def example_losses(
    model: PreTrainedModel, items: Sequence[Item], batch_tokens: int, report: Report
) -> Tensor:
    """Summed answer loss of each item [N]."""
    loss = _ExampleLosses(model)
    out = torch.zeros(len(items), dtype=torch.float64)
    for chosen in _batches(items, batch_tokens, report):
        batch = collate([[items[i]] for i in chosen], str(model.device))
        out[chosen] = loss(*batch).double().cpu()
    return out


def gradient_of(
    model: PreTrainedModel, items: Sequence[Item], batch_tokens: int, report: Report
) -> dict[str, Tensor]:
    """Gradient, by name of parameter, of the mean answer loss over all tokens of `items`."""
    loss = _ExampleLosses(model)
    tokens = sum(item.answer_tokens for item in items)
    with _differentiable(model):
        for chosen in _batches(items, batch_tokens, report):
            batch = collate([[items[i]] for i in chosen], str(model.device))
            torch.autograd.backward(loss(*batch).sum() / tokens)
        return {
            name: torch.zeros_like(p) if p.grad is None else p.grad
            for name, p in loss.named_parameters()
        }


def directional_derivatives(
    model: PreTrainedModel,
    items: Sequence[Item],
    direction: Mapping[str, Tensor],
    batch_tokens: int,
    report: Report,
) -> Along:
    """d/dt of each item's summed answer loss at θ + t·direction [N], at t = 0.

    By dual numbers, one pass for a batch. Kernels without a forward derivative (fused attention
    has none) are answered by a backward pass for each item, whose gradient is not kept.
    """
    loss = _ExampleLosses(model)
    out = torch.zeros(len(items), dtype=torch.float64)
    try:
        for chosen in _batches(items, batch_tokens, report):
            batch = collate([[items[i]] for i in chosen], str(model.device))
            out[chosen] = _tangent(loss, batch, direction).double().cpu()
    except NotImplementedError as error:
        if "forward AD" not in str(error):
            raise
        return Along(_one_by_one(loss, items, direction, report), forward_mode=False)
    return Along(out, forward_mode=True)


def _tangent(loss: _ExampleLosses, batch: Batch, direction: Mapping[str, Tensor]) -> Tensor:
    """Derivatives of the losses of a batch [B]."""
    dual, undo = forward_ad.make_dual, forward_ad.unpack_dual
    with warnings.catch_warnings(), torch.no_grad(), forward_ad.dual_level():
        # Torch's own rules for forward mode are compiled by a function that it calls deprecated.
        warnings.filterwarnings("ignore", ".*torch.jit", DeprecationWarning)
        weights = {
            name: dual(p.detach(), direction[name])  # type: ignore[no-untyped-call]
            for name, p in loss.named_parameters()
        }
        found: Tensor = undo(functional_call(loss, weights, batch)).tangent  # type: ignore[no-untyped-call]
    return found


def _one_by_one(
    loss: _ExampleLosses, items: Sequence[Item], direction: Mapping[str, Tensor], report: Report
) -> Tensor:
    out = torch.zeros(len(items), dtype=torch.float64)
    names, parameters = zip(*loss.named_parameters(), strict=True)
    with _differentiable(loss.model):
        for i, item in enumerate(items):
            value = loss(*collate([[item]], str(loss.model.device))).sum()
            grads = torch.autograd.grad(value, parameters, materialize_grads=True)
            pairs = zip(names, grads, strict=True)
            out[i] = float(sum((direction[name].double() * g.double()).sum() for name, g in pairs))
            report(1)
    return out


@contextmanager
def _differentiable(model: PreTrainedModel) -> Iterator[None]:
    model.requires_grad_(True)
    model.zero_grad(set_to_none=True)
    try:
        yield
    finally:
        model.zero_grad(set_to_none=True)
        model.requires_grad_(False)


def _batches(items: Sequence[Item], batch_tokens: int, report: Report) -> Iterator[list[int]]:
    """Indices of items of similar lengths; at most `batch_tokens` with padding, or one item."""
    longest_first = sorted(range(len(items)), key=lambda i: (-len(items[i].ids), i))
    done = 0
    while done < len(items):
        width = len(items[longest_first[done]].ids)
        chosen = longest_first[done : done + max(1, batch_tokens // width)]
        yield chosen
        done += len(chosen)
        report(len(chosen))
