"""How a stage of a chain is trained: values that a specification may give at several places."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from forgetscope.schema.base import Slug, Value

__all__ = ["Choice", "NamedChoice", "StageOverride", "TrainingSpec", "TrainingValues"]


class Choice(Value):
    """A component of the catalogue with its parameters."""

    name: Slug
    params: dict[str, JsonValue] = {}


def _choice_from_name(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


NamedChoice = Annotated[
    Choice, BeforeValidator(_choice_from_name, json_schema_input_type=Slug | Choice)
]
"""A component of the catalogue, or just its name."""


class TrainingValues(Value):
    """Values of one training stage. A field left out keeps the value from further out."""

    method: NamedChoice | None = None
    mitigation: NamedChoice | None = Field(
        default=None, description="a change of the training that is to forget less: l2_sp, ewc, sam"
    )
    learning_rate: float | None = Field(default=None, gt=0, le=10)
    batch_size: int | None = Field(default=None, ge=1, le=65536)
    micro_batch_size: int | None = Field(default=None, ge=1, le=65536)
    epochs: float | None = Field(default=None, gt=0, le=1000)
    steps: int | None = Field(
        default=None, ge=1, le=10_000_000, description="optimiser steps, instead of epochs"
    )
    weight_decay: float | None = Field(default=None, ge=0, le=10)
    warmup_ratio: float | None = Field(default=None, ge=0, le=1)
    max_grad_norm: float | None = Field(default=None, gt=0)
    max_length: int | None = Field(default=None, ge=8, le=1_048_576)
    batching: Literal["length_grouped", "packed"] | None = None
    dtype: Literal["float32", "bfloat16"] | None = None
    attention: Literal["sdpa", "eager"] | None = None
    gradient_checkpointing: bool | None = None


class StageOverride(Value):
    """Other values for the stages of one task, or at one position of the chain (from 1)."""

    task: Slug | None = None
    position: int | None = Field(default=None, ge=1)
    values: TrainingValues

    @model_validator(mode="after")
    def _selects_something(self) -> "StageOverride":
        if self.task is None and self.position is None:
            raise ValueError("an override needs a task, a position, or both")
        return self


class TrainingSpec(TrainingValues):
    """How every stage is trained, unless an override or a step says otherwise.

    Defaults are those of METHOD.md section 3 (learning rate 1e-5 for full tuning and 1e-4 for
    LoRA, batch 32, 3 epochs, no weight decay).
    """

    overrides: tuple[StageOverride, ...] = Field(default=(), max_length=256)
