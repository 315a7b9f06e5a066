"""The catalogue of tuning methods: names, parameters and defaults. How they work is the trainer's.

A new method is one entry here and one module in `forgetscope.trainer.methods`.
"""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field, JsonValue, ValidationError

from forgetscope.core.registry import Registry
from forgetscope.schema.base import JsonObject, Value
from forgetscope.schema.errors import InvalidSpec

__all__ = ["METHODS", "FullParams", "LoraParams", "Method"]


class FullParams(Value):
    """Full tuning has no parameters of its own."""


class LoraParams(Value):
    """Low-rank adaptation (Hu et al. 2021, arXiv 2106.09685): W + (alpha/rank)·B·A, no biases.

    The defaults are those of the `peft` library (rank 8, dropout 0) but for two: alpha 16 and all
    linear layers, as QLoRA recommends (Dettmers et al. 2023, arXiv 2305.14314, section 4).
    """

    rank: int = Field(default=8, ge=1, le=4096)
    alpha: float = Field(default=16, gt=0, le=65536)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: (
        Literal["all-linear"] | Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
    ) = Field(
        default="all-linear",
        description="last parts of module names, or every linear layer but the output head",
    )
    bias: Literal["none"] = "none"


class Method(NamedTuple):
    """A tuning method. The default learning rates are those of METHOD.md section 3."""

    name: str
    summary: str
    params: type[Value]
    default_learning_rate: float

    def resolve(self, params: JsonValue) -> JsonObject:
        """Check the parameters and fill in the defaults. Raises InvalidSpec."""
        try:
            return self.params.model_validate(params).model_dump(mode="json")
        except ValidationError as error:
            first = error.errors()[0]
            raise InvalidSpec(
                f"parameters of the method {self.name!r}: {first['msg']}",
                where="/".join(["/training/method/params", *map(str, first["loc"])]),
            ) from error


METHODS: Registry[Method] = Registry(
    "tuning method",
    [
        (method.name, method)
        for method in (
            Method("full", "Every weight of the model is trained.", FullParams, 1e-5),
            Method("lora", "Low-rank adapters are trained, the model is not.", LoraParams, 1e-4),
        )
    ],
)
