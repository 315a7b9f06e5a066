"""How likely a model holds each option of a question: the score behind every choice."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from forgetscope.core.encoding import Encoder, encode_parts, fit
from forgetscope.modeling.answers import answer_logits
from forgetscope.modeling.option_rows import ChoiceItem, Row, RowScore, Tokens, assemble, rows_of
from forgetscope.schema.example import Example

__all__ = ["batches_of", "encode_choice", "score_options"]

# Positions scored at once are bounded so that their logits take at most 256 MiB as float32.
_LOGITS = 64 << 20


def encode_choice(encode: Encoder, example: Example, max_length: int) -> ChoiceItem | str:
    """The item, or why it stays unscored.

    All options follow the same prompt: it is cut so that the longest one fits.
    """
    pairs = [encode_parts(encode, example.prompt, option) for option in example.options]
    fits = [fit(*pair, max_length, bos=encode.bos) for pair in pairs]
    for index, one in enumerate(fits):
        if one.misfit is not None:
            return f"option {index}: {one.misfit}"
    options = tuple(tuple(one.continuation_ids) for one in fits)
    if len(set(options)) != len(options):
        return "two options are the same tokens to this tokenizer"
    return ChoiceItem(min((tuple(one.prompt_ids) for one in fits), key=len), options)


def score_options(
    model: PreTrainedModel | PeftModel,
    items: Sequence[ChoiceItem],
    *,
    device: str,
    batch_tokens: int,
    report: Callable[[float], None] = lambda _: None,
) -> list[tuple[float, ...]]:
    """For each item the log-likelihood of each option given the prompt: nats, summed over the
    option's tokens. Not finite where the model's arithmetic broke down.

    `batch_tokens` bounds the tokens of a batch, padding included. `report` is called with the share
    of the work that is done. The caller sets evaluation mode and turns gradients off.
    """
    rows = rows_of(items)
    most = max(1, _LOGITS // model.get_output_embeddings().weight.shape[0])
    scores: dict[int, RowScore] = {}
    lengths, scored = [len(row.tokens) for row in rows], [1 + len(row.prefix) for row in rows]
    for batch in batches_of(lengths, scored, batch_tokens, most):
        found = _score(model, [rows[i] for i in batch], device)
        scores.update(zip(batch, found, strict=True))
        report(len(scores) / len(rows))
    return assemble(items, rows, [scores[i] for i in range(len(rows))])


def batches_of(
    lengths: Sequence[int], scored: Sequence[int], batch_tokens: int, most_scored: int
) -> Iterator[list[int]]:
    """Indices from long to short, so that rows of a batch need little padding and a batch that is
    too large for the memory fails at once. A row over the bounds stands alone."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        tokens = (len(batch) + 1) * lengths[batch[0] if batch else index]
        positions = sum(scored[i] for i in batch) + scored[index]
        if batch and (tokens > batch_tokens or positions > most_scored):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _score(model: PreTrainedModel | PeftModel, rows: Sequence[Row], device: str) -> list[RowScore]:
    # Padding stands on the right, where a causal model cannot see it: no mask is needed.
    longest = max(len(row.tokens) for row in rows)
    ids_B_T = torch.tensor([_padded(row.tokens, longest) for row in rows], device=device)
    at: list[tuple[int, int]] = []  # (row, column) of the positions to score
    wanted: list[tuple[int, int]] = []  # (index into at, token)
    for b, row in enumerate(rows):
        first, last = len(at), len(at) + len(row.prefix)
        at += [(b, len(row.prompt) - 1 + k) for k in range(len(row.prefix) + 1)]
        wanted += [(first + k, token) for k, token in enumerate(row.prefix)]
        wanted += [(last, token) for token in row.lasts]
    rows_N, columns_N = torch.tensor(at, device=device).T
    positions_B_T = torch.arange(longest, device=device).expand_as(ids_B_T)
    logits_N_V = answer_logits(model, ids_B_T, positions_B_T, rows_N, columns_N)
    logp_N_V = logits_N_V.float().log_softmax(-1)
    at_M, tokens_M = torch.tensor(wanted, device=device).T
    found = iter(logp_N_V[at_M, tokens_M].tolist())
    return [
        RowScore(sum(islice(found, len(r.prefix))), list(islice(found, len(r.lasts)))) for r in rows
    ]


def _padded(tokens: Tokens, length: int) -> Tokens:
    return tokens + (0,) * (length - len(tokens))
