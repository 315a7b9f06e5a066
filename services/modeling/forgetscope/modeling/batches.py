"""Examples to token ids, and rows of them to tensors."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from forgetscope.core.encoding import Encoder, encode_parts, fit
from forgetscope.modeling.answers import Supervised
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.example import Example

__all__ = ["Batch", "Item", "collate", "encode_examples"]


class Item(NamedTuple):
    """A tokenized example: `ids[start:]` is the answer, and what the loss is taken of."""

    ids: list[int]
    start: int

    @property
    def answer_tokens(self) -> int:
        return len(self.ids) - self.start


class Batch(NamedTuple):
    """Rows padded on the right. `input_ids`, `position_ids`: [B, T]."""

    input_ids: Tensor
    position_ids: Tensor
    answers: Supervised


def encode_examples(
    examples: Iterable[Example], encode: Encoder, *, eos: int | None, max_length: int
) -> list[Item]:
    """Tokenize prompt and target of every example.

    A written answer (`generate`) ends with EOS: the model must learn to stop. A `choice` does not:
    its options are compared by the likelihood of their own tokens alone, so EOS would train
    something that no score sees.

    Raises InvalidInput for an answer that does not fit: leaving the example out would change the
    data set silently.
    """
    items = []
    for example in examples:
        prompt, answer = encode_parts(encode, example.prompt, example.target)
        if example.form == "generate" and eos is not None:
            answer = [*answer, eos]
        fitted = fit(prompt, answer, max_length, bos=encode.bos)
        if fitted.misfit is not None:
            raise InvalidInput(
                fitted.misfit,
                where=f"example {example.id}",
                hint="Raise training.max_length, or leave the example out of the data.",
            )
        items.append(Item(fitted.prompt_ids + fitted.continuation_ids, len(fitted.prompt_ids)))
    return items


def collate(rows: Sequence[Sequence[Item]], device: str = "cpu") -> Batch:
    """Lay items into rows. Position ids start again at 0 with each item, and that is how the model
    keeps the items of a row apart; padding continues the last item, which does not see it.
    """
    width = max(sum(len(item.ids) for item in row) for row in rows)
    input_ids: list[list[int]] = []
    position_ids: list[list[int]] = []
    answer_rows: list[int] = []
    columns: list[int] = []
    targets: list[int] = []
    for r, row in enumerate(rows):
        ids: list[int] = []
        positions: list[int] = []
        for item in row:
            first = len(ids) + item.start
            ids += item.ids
            positions += range(len(item.ids))
            answer_rows += [r] * item.answer_tokens
            columns += range(first - 1, len(ids) - 1)
            targets += item.ids[item.start :]
        padding = width - len(ids)
        input_ids.append(ids + [0] * padding)
        position_ids.append(positions + list(range(positions[-1] + 1, positions[-1] + 1 + padding)))
    supervised = Supervised(
        *(torch.tensor(t, device=device) for t in (answer_rows, columns, targets))
    )
    return Batch(
        torch.tensor(input_ids, device=device),
        torch.tensor(position_ids, device=device),
        supervised,
    )
