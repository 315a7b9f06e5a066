"""The catalogues of mitigations and of ways to choose replayed examples. How they work is the
trainer's.

A new mitigation is one entry here and one module in `forgetscope.trainer.mitigations`; a new
selection one entry here and one function in `forgetscope.trainer.selections`.
"""

from typing import Literal, NamedTuple

from pydantic import Field, JsonValue, ValidationError

from forgetscope.core.registry import Registry
from forgetscope.schema.base import JsonObject, Value
from forgetscope.schema.errors import InvalidSpec

__all__ = [
    "MITIGATIONS",
    "SELECTIONS",
    "EwcParams",
    "GradientSimilarityParams",
    "GroupBalancedParams",
    "L2SpParams",
    "Mitigation",
    "SamParams",
    "Selection",
    "UniformParams",
    "WorstGroupParams",
    "resolve_component",
]


class L2SpParams(Value):
    """½·strength·‖θ − θ_start‖² is added to the loss (Li et al. 2018, arXiv 1802.01483, eq. 2).

    The default is ours: of 0.001, 0.01, 0.1 and 1 on the built-in model, the one that kept most at
    no price on the new task. It suits other models only by chance: vary it.
    """

    strength: float = Field(default=0.1, ge=0, le=1e6)


class EwcParams(Value):
    """½·strength·Σ_i F_i (θ_i − θ*_i)² is added to the loss, for each earlier training of the chain
    (Kirkpatrick et al. 2017, arXiv 1612.00796, eq. 3; F is the diagonal Fisher information, in nats
    per answer token).

    The defaults are ours. Of 1, 100, 1e4 and 1e6 on the built-in model, 1e4 kept most at little
    price; 1e6 made one of two trainings unstable. F falls as a model grows sure of its answers, so
    the strength that suits depends on how long it was trained: vary it.
    """

    strength: float = Field(default=1e4, ge=0, le=1e12)
    examples: int = Field(
        default=256, ge=1, le=1_000_000, description="at most; of the earlier task"
    )


class SamParams(Value):
    """The gradient is taken at θ + radius·g/‖g‖ (Foret et al. 2021, arXiv 2010.01412, eq. 2)."""

    radius: float = Field(default=0.05, ge=0, le=100, description="the paper's default")


class UniformParams(Value):
    """The first examples in the order of the task's sample, so that shares are nested."""


class GroupBalancedParams(Value):
    """Groups take turns, in the order of the task's sample within each; items of the same several
    groups are a group of their own, and so are items of none."""


class WorstGroupParams(Value):
    """Next comes an example of the group with the largest max(r, 0) / (1 + n): r is the rise of the
    group's training loss since the task's own stage, n how many of it were taken. The aim is that
    of group DRO (Sagawa et al. 2020, arXiv 1911.08731); the fall with n is our assumption."""


class GradientSimilarityParams(Value):
    """Largest dot product first of an example's gradient with that of the forgotten loss, both at
    the model after the forgetting (TracIn, Pruthi et al. 2020, arXiv 2002.08484)."""

    target: Literal["all", "worst_group"] = Field(
        default="all",
        description="whose loss is to fall: that of all the training examples, or of the group "
        "whose loss rose most",
    )


class Mitigation(NamedTuple):
    """A change of the training. `anchored`: needs the earlier trainings' weights and Fisher
    information, and the same kind of parameters in all of them. `passes`: work of a step over that
    of a plain one. `copies`: of the trained parameters, kept during a step."""

    name: str
    summary: str
    params: type[Value]
    anchored: bool
    passes: float
    copies: int


class Selection(NamedTuple):
    """An order of a task's examples, of which replay takes the first. `compares`: it looks at the
    model before and after the forgetting, at the price of `passes` forward passes over all of
    them (at most), `gradients` by its gradient, too."""

    name: str
    summary: str
    params: type[Value]
    compares: bool
    passes: int
    gradients: bool = False


MITIGATIONS: Registry[Mitigation] = Registry(
    "mitigation",
    [
        (m.name, m)
        for m in (
            Mitigation("l2_sp", "Stay close to where the stage began.", L2SpParams, False, 1, 1),
            Mitigation(
                "ewc", "Stay close where earlier tasks need it (Fisher).", EwcParams, True, 1, 2
            ),
            Mitigation(
                "sam", "Seek flat minima: sharpness-aware training.", SamParams, False, 2, 1
            ),
        )
    ],
)

SELECTIONS: Registry[Selection] = Registry(
    "selection",
    [
        (s.name, s)
        for s in (
            Selection("uniform", "As the task's sample is ordered.", UniformParams, False, 0),
            Selection("group_balanced", "Groups take turns.", GroupBalancedParams, False, 0),
            Selection(
                "worst_group", "Most from the groups that lost most.", WorstGroupParams, True, 2
            ),
            Selection(
                "gradient_similarity",
                "Those whose gradients undo most of the loss.",
                GradientSimilarityParams,
                True,
                8,
                gradients=True,
            ),
        )
    ],
)


def resolve_component(
    what: str, params_type: type[Value], name: str, params: JsonValue, where: str
) -> JsonObject:
    """Check the parameters of a component and fill in the defaults. Raises InvalidSpec."""
    try:
        return params_type.model_validate(params).model_dump(mode="json")
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidSpec(
            f"parameters of the {what} {name!r}: {first['msg']}",
            where="/".join([where, "params", *map(str, first["loc"])]),
        ) from error
