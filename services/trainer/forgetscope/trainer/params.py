"""What a training stage is told: every value resolved, nothing left to a default."""

from typing import Literal

from pydantic import JsonValue

from forgetscope.schema.base import Value
from forgetscope.schema.steps import MonitorSpec

__all__ = ["TrainParams"]


class TrainParams(Value):
    """`Work.params` of a train stage.

    `batch_size` counts examples of one optimiser step; `take` and `replay_take` are how many of the
    first examples of the inputs `data` and `replay` are used (all when None).
    """

    method: str
    method_params: dict[str, JsonValue]
    learning_rate: float
    batch_size: int
    micro_batch_size: int
    epochs: float
    weight_decay: float
    warmup_ratio: float
    max_grad_norm: float | None
    max_length: int
    batching: Literal["length_grouped", "packed"]
    dtype: Literal["float32", "bfloat16"]
    attention: Literal["sdpa", "eager"]
    gradient_checkpointing: bool
    seed: int
    steps: int | None = None
    mitigation: str | None = None
    mitigation_params: dict[str, JsonValue] = {}
    take: int | None = None
    replay_take: int | None = None
    monitor: MonitorSpec | None = None
