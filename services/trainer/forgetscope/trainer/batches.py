"""Examples to token ids, and which examples share a step and a row. Pure but for `collate`.

Every choice of examples derives from the seed and the step; nothing is drawn on the way. So a
resumed run sees the same batches without replaying the earlier ones.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from forgetscope.core.encoding import Encoder, encode_parts, fit
from forgetscope.modeling.answers import Supervised
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.example import Example

__all__ = ["Batch", "Item", "collate", "encode_examples", "examples_of_step", "micro_batches"]


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


def examples_of_step(examples: int, batch_size: int, step: int, seed: int) -> list[int]:
    """Indices of the examples of optimiser step `step` (from 0).

    Each epoch is one permutation, drawn from (seed, epoch); its last batch may be smaller.
    """
    per_epoch = -(-examples // batch_size)
    epoch, position = divmod(step, per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(examples)
    return [int(i) for i in order[position * batch_size : (position + 1) * batch_size]]


def micro_batches(
    lengths: Sequence[int],
    micro_batch_size: int,
    batching: Literal["length_grouped", "packed"],
    max_length: int,
) -> list[list[list[int]]]:
    """Split the examples of one step into micro-batches of rows of indices into `lengths`.

    `length_grouped`: one example a row, sorted by length, so that little is padded. `packed`:
    several a row, up to `max_length` tokens. Only examples of one step are ever regrouped: which
    examples share a step stays random, and neither way changes the loss.
    """
    longest_first = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    rows: list[list[int]] = []
    if batching == "length_grouped":
        rows = [[i] for i in longest_first]
    else:
        room: list[int] = []
        for i in longest_first:  # first fit decreasing
            row = next((r for r, free in enumerate(room) if lengths[i] <= free), len(rows))
            if row == len(rows):
                rows.append([])
                room.append(max_length)
            rows[row].append(i)
            room[row] -= lengths[i]
    return [rows[i : i + micro_batch_size] for i in range(0, len(rows), micro_batch_size)]


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
