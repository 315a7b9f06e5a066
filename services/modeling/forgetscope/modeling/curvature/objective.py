"""What is differentiated: the loss of which answers, under which attention and dtype.

The loss is the sum of the answer tokens' cross-entropy, divided once by the number of all answer
tokens: a mean of batch means would weigh a token by the batch that it happens to be in.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from forgetscope.modeling.answers import AnswerLoss, Supervised
from forgetscope.modeling.curvature.operators import Vector
from forgetscope.schema.errors import InvalidInput

__all__ = [
    "MicroBatch",
    "Objective",
    "answer_objective",
    "displaced",
    "dtype_label",
    "prepared",
    "vector_like",
    "widened",
]


class MicroBatch(Protocol):
    """Rows padded on the right. `input_ids`, `position_ids`: [B, T]."""

    @property
    def input_ids(self) -> Tensor: ...
    @property
    def position_ids(self) -> Tensor: ...
    @property
    def answers(self) -> Supervised: ...


class Objective(NamedTuple):
    """Σ parts / tokens as a function of `parameters`; each part computes one summed loss."""

    parts: Sequence[Callable[[], Tensor]]
    parameters: Mapping[str, Tensor]
    tokens: int
    dtype: str


def answer_objective(
    model: PreTrainedModel | PeftModel,
    batches: Sequence[MicroBatch],
    parameters: Mapping[str, Tensor],
) -> Objective:
    """The token-mean answer loss over `batches`. Use it inside `prepared`. Raises InvalidInput."""
    tokens = sum(batch.answers.targets.numel() for batch in batches)
    if not tokens:
        raise InvalidInput(
            "there is no answer token to take a loss of",
            where="/curvature/examples",
            hint="Give at least one example with an answer.",
        )
    loss = AnswerLoss(model)

    def part(batch: MicroBatch) -> Callable[[], Tensor]:
        def compute() -> Tensor:
            value: Tensor = loss(batch.input_ids, batch.position_ids, batch.answers)
            return value

        return compute

    return Objective([part(b) for b in batches], parameters, tokens, dtype_label(model, parameters))


@contextmanager
def prepared(
    model: PreTrainedModel | PeftModel,
    parameters: Mapping[str, Tensor],
    attention: str | None = "eager",
) -> Iterator[None]:
    """Make a block differentiable twice, and put everything back at its end.

    Evaluation mode (no dropout, and transformers checkpoints in training mode only), gradients for
    `parameters` alone, and eager attention: fused kernels have no second derivative. `attention`
    None keeps the kernel, which is enough for finite differences.

    Raises InvalidInput when the model does not take the attention.
    """
    plain = model.get_base_model() if isinstance(model, PeftModel) else model
    modes = {module: module.training for module in model.modules()}
    needs = {p: p.requires_grad for p in model.parameters()}
    before = plain.config._attn_implementation
    chosen = {id(p) for p in parameters.values()}
    try:
        if attention is not None:
            _set_attention(plain, attention)
        model.eval()
        for p in needs:
            p.requires_grad_(id(p) in chosen)
        yield
    finally:
        for module, training in modes.items():
            module.training = training
        for p, need in needs.items():
            p.requires_grad_(need)
        if plain.config._attn_implementation != before:
            plain.set_attn_implementation(before)


@contextmanager
def widened(model: PreTrainedModel | PeftModel) -> Iterator[None]:
    """Hold the weights in at least float32 for a block; the way back is exact."""
    dtypes = {p: p.dtype for p in model.parameters()}
    try:
        for p in dtypes:
            p.data = p.data.to(torch.promote_types(p.dtype, torch.float32))
        yield
    finally:
        for p, dtype in dtypes.items():
            p.data = p.data.to(dtype)


@contextmanager
def displaced(
    parameters: Sequence[Tensor], direction: Sequence[Tensor], t: float
) -> Iterator[None]:
    """Run a block at θ + t·direction; afterwards the weights are the same bytes as before."""
    before = [p.detach().clone() for p in parameters]
    try:
        with torch.no_grad():
            for p, old, d in zip(parameters, before, direction, strict=True):
                p.copy_(old + t * d.to(old.device))
        yield
    finally:
        with torch.no_grad():
            for p, old in zip(parameters, before, strict=True):
                p.copy_(old)


def vector_like(parameters: Mapping[str, Tensor]) -> Vector:
    """Shapes, devices and dtypes (at least float32) of vectors beside `parameters`, without memory:
    one element each, expanded.
    """
    return [
        torch.zeros(1, dtype=torch.promote_types(p.dtype, torch.float32), device=p.device).expand(
            p.shape
        )
        for p in parameters.values()
    ]


def dtype_label(model: nn.Module, parameters: Mapping[str, Tensor]) -> str:
    """ "float32"; "float32 on bfloat16" for float32 factors on a bfloat16 base."""
    own = {p.dtype for p in parameters.values()}
    rest = {p.dtype for p in model.parameters()} - own
    names = [str(d).removeprefix("torch.") for d in (*own, *rest)]
    return " on ".join(names)


def _set_attention(model: PreTrainedModel, attention: str) -> None:
    try:
        model.set_attn_implementation(attention)
    except (ValueError, ImportError) as error:
        raise _no_attention(model, attention, str(error)) from error
    kept = {
        module.config._attn_implementation
        for module in model.modules()
        if getattr(getattr(module, "config", None), "_attn_implementation", None) is not None
    }
    if kept - {attention}:
        raise _no_attention(model, attention, f"it keeps {', '.join(sorted(kept - {attention}))}")


def _no_attention(model: PreTrainedModel, attention: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"{type(model).__name__} does not take {attention} attention: {why}",
        where="/model",
        hint="Use finite differences, or a model with an eager attention.",
    )
