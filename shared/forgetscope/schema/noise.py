"""The noise floor: how far scores of one model lie apart when nothing that matters has changed."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from forgetscope.schema.base import Digest, Value

__all__ = [
    "Condition",
    "EndpointCondition",
    "NoiseCondition",
    "NoiseFloor",
    "NoisePair",
    "NoiseSpec",
    "TaskNoise",
]


class NoiseSpec(Value):
    """Score one model of the experiment again under conditions that should not matter.

    Costs, for each task, four scorings of `items` examples by the base model (by the first
    trained model where the base is not scored), five with the other engine.
    """

    items: int = Field(
        default=256,
        ge=1,
        le=1_000_000,
        description="the first so many examples of each evaluation; all where there are fewer",
    )
    other_engine: bool = Field(
        default=False,
        description="score with the other engine, too; on a CPU vLLM takes about 15 seconds to "
        "start for each task; not for models behind endpoints",
    )


class NoiseCondition(Value):
    """A way to score the items. Conditions differ in what does not belong to the model."""

    name: Literal["usual", "quarter", "single", "shuffled", "other engine"]
    engine: Literal["transformers", "vllm"]
    engine_version: str
    tokens_per_call: int | None = Field(
        description="bound on the tokens that the engine gets at once; 1: a single item; null: all "
        "items, which it cuts into batches by itself"
    )
    batch_tokens: int = Field(ge=1, description="the worker's setting for the engine")
    shuffled: bool


class EndpointCondition(Value):
    """A way to ask a server for the items. What it puts into one batch, with the requests of others
    among them, is not seen from outside: only what arrives together is varied."""

    name: Literal["usual", "quarter", "single", "shuffled"]
    engine: Literal["endpoint"]
    engine_version: str
    texts_at_once: int = Field(
        ge=1,
        description="bound on the texts that wait for an answer at once; 1: each is asked alone",
    )
    shuffled: bool


Condition = Annotated[NoiseCondition | EndpointCondition, Field(discriminator="engine")]


class NoisePair(Value):
    """Two conditions compared, on the items that at least one of them scored.

    `largest` and `high_99` (99th percentile) are of |Δ log-likelihood| in nats, over all options
    of items scored under both; null, with the reason, where there are none.
    """

    first: str
    second: str
    largest: float | None
    high_99: float | None
    reason: str | None = None
    choices: int = Field(ge=0, description="items with options")
    changed_choices: int = Field(ge=0, description="of these, with another choice")
    texts: int = Field(ge=0, description="items with a generated answer")
    changed_texts: int = Field(ge=0, description="of these, with another text")
    changed_verdicts: int = Field(ge=0, description="of these, judged otherwise")

    @model_validator(mode="after")
    def _value_or_reason(self) -> "NoisePair":
        if (self.largest is None) != (self.high_99 is None):
            raise ValueError("both differences or none")
        if (self.largest is None) == (self.reason is None):
            raise ValueError("either a value or a reason")
        return self


class NoiseFloor(Value):
    """What one model on one task says twice. Written as `noise.json`.

    An item is changed when its choice, or the verdict on its generated answer, is not the same
    under all conditions. `floor` is the share of changed items: accuracies under two conditions
    differ by at most as much. `bound` is its exact one-sided upper bound with `confidence`
    (Clopper & Pearson 1934, Biometrika 26, 404-413): about 3 / items where none changed. Both are
    null, with the reason, where no item was scored.
    """

    items: int = Field(ge=0, description="scored under at least one condition")
    left_out: int = Field(ge=0, description="scored under none, e.g. too long for the model")
    changed: int = Field(ge=0)
    floor: float | None = Field(ge=0, le=1)
    bound: float | None = Field(ge=0, le=1)
    reason: str | None = None
    confidence: float = Field(gt=0.5, lt=1)
    dtype: Literal["float32", "bfloat16"] | None = Field(
        description="null: that of the server behind an endpoint, which does not tell it"
    )
    device: str | None = Field(description="null: that of the server behind an endpoint")
    conditions: tuple[Condition, ...]
    conditions_digest: Digest = Field(description="of conditions, dtype and device")
    pairs: tuple[NoisePair, ...]

    @model_validator(mode="after")
    def _value_or_reason(self) -> "NoiseFloor":
        if (self.floor is None) != (self.bound is None):
            raise ValueError("a floor comes with its bound")
        if (self.floor is None) == (self.reason is None):
            raise ValueError("either a value or a reason")
        return self


class TaskNoise(Value):
    """The noise floor of a task, and the model it was measured on."""

    task: str
    chain: tuple[str, ...]
    seed: int | None = Field(description="null for the base model")
    measured: NoiseFloor
