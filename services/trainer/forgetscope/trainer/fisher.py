"""The stage `fisher`: how much the answers of a trained model depend on each trained parameter.

The diagonal of the Fisher information of the model's own distribution: with q = ∇ log p_θ(y|x),
F_i = mean over answer tokens of E[q_i²], y from p_θ and not from the data (Kunstner et al. 2019,
arXiv 1905.12558, on why the labels of the data give another matrix, which EWC's argument does not
cover). Each position of an answer is taken given the prompt and the answer's true tokens before it,
so F is the diagonal of the Gauss-Newton matrix of the training loss: Jᵀ(diag(p) − p·pᵀ)J over the
logits' Jacobian J, summed over positions.

It is estimated by curvature propagation (Martens, Sutskever, Swersky 2012, arXiv 1206.6464,
section 3): with random signs s and v = √p∘s − p·(√pᵀs), E[v·vᵀ] = diag(p) − p·pᵀ, hence
E[(Jᵀv)_i²] = F_i. Signs of different positions are independent, so one backward pass for each
example, over all its positions, is unbiased. Drawing y itself is unbiased, too, but useless where
the model is sure: it would hardly ever draw the unlikely answers that make up F.

The squares are summed over the examples and divided by the number of answer tokens, so that F has
the unit of the loss, nats per answer token.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from peft import PeftModel
from pydantic import JsonValue
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from forgetscope.modeling.answers import AnswerLoss, answer_logits, check_head
from forgetscope.modeling.batches import Item, collate, encode_examples
from forgetscope.modeling.determinism import deterministic
from forgetscope.modeling.loading import TokenizerEncoder, load_tokenizer
from forgetscope.ports.stage import StageIO, Work
from forgetscope.schema.base import JsonObject, Value
from forgetscope.schema.errors import InvalidInput, UnknownName
from forgetscope.trainer.examples import first_examples
from forgetscope.trainer.methods import METHODS, Source
from forgetscope.trainer.mitigations.base import FISHER

__all__ = ["FisherParams", "diagonal_fisher", "run_fisher"]


class FisherParams(Value):
    """`Work.params` of a fisher stage. Method and parameters are those by which the checkpoint was
    trained: they say which parameters are meant."""

    method: str
    method_params: dict[str, JsonValue]
    examples: int
    max_length: int
    attention: Literal["sdpa", "eager"]


def run_fisher(work: Work, io: StageIO) -> JsonObject:
    """Inputs: base, checkpoint, data (its first `examples` are used). Output: fisher.safetensors,
    float32, by the names that `recipe.train` gives to the trained parameters.

    Raises InvalidInput, UnknownName, and as the methods do.
    """
    params = FisherParams.model_validate(work.params)
    method = METHODS.get(params.method)
    if method is None:
        raise UnknownName(f"there is no tuning method {params.method!r}", where="method")
    source = Source(io.input("base"), io.input("checkpoint"), params.attention)
    device = io.machine.device
    with deterministic(device, threads=io.machine.threads, seed=work.seed):
        tokenizer = load_tokenizer(source.base)
        items = encode_examples(
            first_examples(io.input("data"), params.examples),
            TokenizerEncoder(tokenizer),
            eos=tokenizer.eos_token_id,
            max_length=params.max_length,
        )
        model = method(source, params.method_params).model.to(device).eval()
        check_head(model)
        generator = torch.Generator().manual_seed(work.seed)

        def progress(done: int) -> None:
            io.progress(done, len(items), "example")

        fisher = diagonal_fisher(model, items, generator, progress)
    broken = [name for name, f in fisher.items() if not bool(torch.isfinite(f).all())]
    if broken:
        raise InvalidInput(
            f"the Fisher information of {len(broken)} tensors is not finite, first {broken[0]}",
            where="checkpoint",
            hint="The training before it went wrong; lower its learning rate.",
        )
    save_file({name: f.cpu().contiguous() for name, f in fisher.items()}, io.output / FISHER)
    return {
        "examples": len(items),
        "answer_tokens": sum(item.answer_tokens for item in items),
        "parameters": sum(f.numel() for f in fisher.values()),
        "trace": sum(float(f.sum(dtype=torch.float64)) for f in fisher.values()),
    }


def diagonal_fisher(
    model: PreTrainedModel | PeftModel,
    items: Sequence[Item],
    generator: torch.Generator,
    progress: Callable[[int], None] = lambda done: None,  # noqa: ARG005
) -> dict[str, Tensor]:
    """F of every parameter that needs a gradient, shaped like it; see the module's docstring.

    `generator` (on the CPU) draws the signs. The model is to be in evaluation mode.
    """
    trained = {name: p for name, p in AnswerLoss(model).named_parameters() if p.requires_grad}
    fisher = {name: torch.zeros_like(p) for name, p in trained.items()}
    for done, item in enumerate(items, start=1):
        batch = collate([[item]], next(iter(trained.values())).device.type)
        rows, columns, _ = batch.answers
        logits = answer_logits(model, batch.input_ids, batch.position_ids, rows, columns)
        direction = _direction(logits.detach(), generator)
        gradients = torch.autograd.grad(
            (logits * direction).sum(), list(trained.values()), allow_unused=True
        )
        for name, gradient in zip(trained, gradients, strict=True):
            if gradient is not None:
                fisher[name].addcmul_(gradient, gradient)
        progress(done)
    tokens = sum(item.answer_tokens for item in items)
    return {name: f / tokens for name, f in fisher.items()}


def _direction(logits: Tensor, generator: torch.Generator) -> Tensor:
    """v [answer tokens, V] of the module's docstring, in float64 until the end: for a sure model
    its two terms nearly cancel."""
    odds = torch.softmax(logits.double().cpu(), dim=-1)
    signs = torch.randint(0, 2, odds.shape, generator=generator).double() * 2 - 1
    root = odds.sqrt() * signs
    return (root - odds * root.sum(-1, keepdim=True)).to(logits)
