"""The learning rate of each step. Pure."""

import math

__all__ = ["linear_decay", "warmup_steps"]


def warmup_steps(total: int, ratio: float) -> int:
    return math.ceil(total * ratio)


def linear_decay(step: int, total: int, warmup: int) -> float:
    """Factor on the learning rate at `step` (from 0): up to 1 over `warmup` steps, then down to 0.

    The same values as `get_linear_schedule_with_warmup` of transformers.
    """
    if step < warmup:
        return step / max(1, warmup)
    return max(0.0, (total - step) / max(1, total - warmup))
