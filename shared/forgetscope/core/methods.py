"""The catalogue of tuning methods: names, parameters and defaults. How they work is the trainer's.

A new method is one entry here and one module in `forgetscope.trainer.methods`.
"""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field, JsonValue, ValidationError

from forgetscope.core.registry import Registry
from forgetscope.schema.base import JsonObject, Value
from forgetscope.schema.errors import InvalidSpec

__all__ = ["METHODS", "FullParams", "LoraParams", "Method", "OsfParams"]

Targets = Literal["all-linear"] | Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]


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
    target_modules: Targets = Field(
        default="all-linear",
        description="last parts of module names, or every linear layer but the output head",
    )
    bias: Literal["none"] = "none"


class OsfParams(Value):
    """Orthogonal subspace fine-tuning (Nayak et al. 2025, arXiv 2504.07097): the largest singular
    directions of each weight matrix are kept as they are, the others are trained.

    The default is that of the `peft` library: half of the directions are kept. The paper chooses
    the number layer by layer, which `peft` does not.
    """

    effective_rank: (
        Annotated[float, Field(gt=0, lt=1)] | Annotated[int, Field(ge=1, le=65536, strict=True)]
    ) = Field(
        default=0.5,
        description="directions that are kept: a number, or a fraction of the smaller dimension",
    )
    target_modules: Targets = Field(
        default="all-linear",
        description="last parts of module names, or every linear layer but the output head; "
        "nothing else is trained",
    )


class Method(NamedTuple):
    """A tuning method. The default learning rates are those of METHOD.md section 3; osf takes that
    of full tuning, as what it changes are the weights themselves. `lasting`: what is trained in one
    stage is trained in the next, so that parameters of two stages can be compared one by one."""

    name: str
    summary: str
    params: type[Value]
    default_learning_rate: float
    lasting: bool = True

    def resolve(self, params: JsonValue, where: str = "/training/method") -> JsonObject:
        """Check the parameters and fill in the defaults. Raises InvalidSpec; `where` points to the
        method in the input."""
        try:
            return self.params.model_validate(params).model_dump(mode="json")
        except ValidationError as error:
            first = error.errors()[0]
            raise InvalidSpec(
                f"parameters of the method {self.name!r}: {first['msg']}",
                where="/".join([where, "params", *map(str, first["loc"])]),
            ) from error


METHODS: Registry[Method] = Registry(
    "tuning method",
    [
        (method.name, method)
        for method in (
            Method("full", "Every weight of the model is trained.", FullParams, 1e-5),
            Method("lora", "Low-rank adapters are trained, the model is not.", LoraParams, 1e-4),
            Method(
                "osf",
                "Weights are trained away from their largest singular directions.",
                OsfParams,
                1e-5,
                lasting=False,
            ),
        )
    ],
)
