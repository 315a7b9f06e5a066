"""What the planner must know of the world: the model, the data, and the fleet's engines."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from forgetscope.core.model_shape import ModelShape
from forgetscope.schema.base import JsonObject
from forgetscope.schema.endpoint import EndpointInfo
from forgetscope.schema.example import Split

__all__ = ["Facts", "TaskFacts"]


class TaskFacts(NamedTuple):
    """What the planner must know of a task's data. Numbers of tokens are estimates: a mean, and the
    longest example with its answer, and answer, of both splits (0: not known).

    `name` and `params` are what the task is resolved to: a registered task is its definition.
    `examples` is the sha256 of the examples that each split gives, as they are written; a task that
    is scored only has no `train` there.
    """

    name: str
    version: int
    kind: Literal["safety", "capability"]
    chance: float | None
    params: JsonObject
    fingerprint: str
    evaluation_examples: int
    tokens_per_example: float
    judged: bool = False
    own_scores: str | None = None
    examples: Mapping[Split, str] = MappingProxyType({})
    longest_tokens: int = 0
    longest_answer_tokens: int = 0


class Facts(NamedTuple):
    """The world as the planner sees it: the model, the data, and the fleet's engines."""

    model_fingerprint: str
    model_parameters: int | None
    model_head_size: int | None
    model_note: str | None
    tasks: Mapping[str, TaskFacts]
    accelerator: Literal["cpu", "cuda"]
    engines: frozenset[str]
    max_stages: int
    judge_fingerprint: str | None = None
    model_shape: ModelShape | None = None
    endpoint: EndpointInfo | None = None
