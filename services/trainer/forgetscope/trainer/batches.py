"""Which examples share a step and a row. Pure.

Every choice of examples derives from the seed and the step; nothing is drawn on the way. So a
resumed run sees the same batches without replaying the earlier ones.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

__all__ = ["examples_of_step", "micro_batches"]


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
