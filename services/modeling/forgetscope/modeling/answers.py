"""Logits at the positions that matter, and nowhere else.

An answer is a few tokens of a long prompt, and a vocabulary can be 128,000 wide: the head over
all positions would cost more memory than the whole transformer. So the transformer body runs on
everything, and the head only on the gathered hidden states.
"""

from typing import NamedTuple

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from forgetscope.schema.errors import InvalidInput

__all__ = [
    "AnswerLoss",
    "Supervised",
    "answer_logits",
    "check_head",
    "check_packing",
    "sum_cross_entropy",
]


class Supervised(NamedTuple):
    """Which hidden state predicts which token: N triples of row, column and target id.

    `columns` is the position *before* the target: that hidden state predicts it.
    """

    rows: Tensor
    columns: Tensor
    targets: Tensor


def answer_logits(
    model: PreTrainedModel | PeftModel,
    input_ids: Tensor,
    position_ids: Tensor,
    rows: Tensor,
    columns: Tensor,
) -> Tensor:
    """Logits [N, V] of the tokens that follow positions (rows[i], columns[i]).

    `input_ids`, `position_ids`: [B, T], padded on the right. No attention mask is taken: the model
    is causal, so no token sees the padding behind it; and where position ids start again at 0
    within a row, transformers masks what lies before as another sequence.
    """
    body, head = _body_and_head(model)
    hidden: Tensor = body(
        input_ids=input_ids, position_ids=position_ids, use_cache=False
    ).last_hidden_state
    logits: Tensor = head(hidden[rows, columns])
    return logits


def sum_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Summed cross-entropy in nats of `targets` [N] under `logits` [N, V], at least in float32."""
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return nn.functional.cross_entropy(wide, targets, reduction="sum")


class AnswerLoss(nn.Module):
    """The summed loss as a module: wrappers for several GPUs hook into a module's `forward`."""

    def __init__(self, model: PreTrainedModel | PeftModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, position_ids: Tensor, answers: Supervised) -> Tensor:
        logits = answer_logits(self.model, input_ids, position_ids, answers.rows, answers.columns)
        return sum_cross_entropy(logits, answers.targets)


@torch.no_grad()
def check_head(model: PreTrainedModel | PeftModel) -> None:
    """Compare head(body) with the model's own logits on two tokens.

    Some architectures scale or cap their logits behind the head, others have no head of their own.
    Raises InvalidInput for them, rather than training on another loss.
    """
    ids, positions = _probe(model, 2)
    was_training = model.training
    model.eval()
    try:
        rows, columns = torch.zeros_like(positions[0]), positions[0]
        ours = answer_logits(model, ids, positions, rows, columns)
        theirs = model(input_ids=ids, position_ids=positions, use_cache=False).logits[0]
    except TypeError as error:
        raise _unsupported(model, f"its forward pass differs ({error})") from error
    finally:
        model.train(was_training)
    if ours.shape != theirs.shape or not torch.allclose(
        ours, theirs, rtol=1e-2, atol=1e-3, equal_nan=True
    ):
        raise _unsupported(model, "its logits are more than the head applied to hidden states")


@torch.no_grad()
def check_packing(model: PreTrainedModel | PeftModel) -> None:
    """Check that two sequences in one row do not see each other. Raises InvalidInput."""
    ids, positions = _probe(model, 4)
    was_training = model.training
    model.eval()
    body, _ = _body_and_head(model)
    alone = body(input_ids=ids, position_ids=positions, use_cache=False).last_hidden_state
    packed = body(
        input_ids=torch.cat([ids.flip(1), ids], dim=1),
        position_ids=torch.cat([positions, positions], dim=1),
        use_cache=False,
    ).last_hidden_state[:, 4:]
    model.train(was_training)
    if not torch.allclose(alone, packed, rtol=1e-2, atol=1e-3, equal_nan=True):
        raise InvalidInput(
            f"{_plain(model).__class__.__name__} cannot train on packed batches: "
            "its attention crosses from one example into the next.",
            where="/training/batching",
            hint="Use length_grouped batches.",
        )


def _plain(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    return model.get_base_model() if isinstance(model, PeftModel) else model


def _body_and_head(model: PreTrainedModel | PeftModel) -> tuple[nn.Module, nn.Module]:
    plain = _plain(model)
    body, head = plain.base_model, plain.get_output_embeddings()
    if body is plain or head is None:
        raise _unsupported(model, "it has no output head apart from its body")
    return body, head


def _probe(model: PreTrainedModel | PeftModel, length: int) -> tuple[Tensor, Tensor]:
    device = next(model.parameters()).device
    ids = torch.arange(1, length + 1, device=device)[None] % _plain(model).config.vocab_size
    return ids, torch.arange(length, device=device)[None]


def _unsupported(model: PreTrainedModel | PeftModel, why: str) -> InvalidInput:
    return InvalidInput(
        f"{_plain(model).__class__.__name__} is not supported: {why}.",
        where="/model",
        hint="Use a causal model whose logits are one linear layer on the last hidden state.",
    )
