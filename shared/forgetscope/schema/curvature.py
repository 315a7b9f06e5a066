"""Curvature: what to compute of the loss around a checkpoint, and what came out.

The loss is the mean cross-entropy of the answer tokens, in nats. An eigenvalue is in nats per
squared unit of the parameters, a displacement ‖d‖ in those units.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from forgetscope.schema.base import Digest, Text, Value
from forgetscope.schema.measured import Measured

__all__ = [
    "Correlation",
    "CurvatureComparison",
    "CurvatureFile",
    "CurvatureRow",
    "CurvatureSpec",
    "CurvatureSummary",
    "DensityCurve",
    "DisplacementFile",
    "DisplacementResult",
    "DisplacementRow",
    "Iterated",
    "KindCurvature",
    "ParameterSubset",
    "SelfCheckFigures",
    "SpectrumResult",
]

Prefixes = Annotated[tuple[Text, ...], Field(min_length=1, max_length=64)]


class CurvatureSpec(Value):
    """Hessian of the loss on a task's own training examples, right after its stage, and the loss
    change along the displacement to the end of the chain. Off unless it is asked for.
    """

    examples: int = Field(
        default=64, ge=1, le=100_000, description="of the task's training examples, the first n"
    )
    subsets: int = Field(
        default=1,
        ge=1,
        le=16,
        description="disjoint sets of so many examples: near zero loss, single ones dominate",
    )
    parameters: Literal["trained", "targets"] | Prefixes = Field(
        default="trained",
        description="trained: all weights, or the LoRA factors (not invariant to their rescaling); "
        "targets: the merged weights of LoRA's target modules; or prefixes of parameter names",
    )
    product: Literal["auto", "exact", "layered", "finite_differences"] = Field(
        default="auto", description="auto: exact, layer by layer where memory is short"
    )
    top: int = Field(default=1, ge=1, le=10, description="largest eigenvalues to find")
    tolerance: float = Field(
        default=1e-2, gt=0, lt=1, description="of an eigenvalue's residual, as a share of it"
    )
    max_iterations: int = Field(default=200, ge=1, le=10_000)
    lowest: bool = Field(default=False, description="the smallest eigenvalue, too: many products")
    trace: bool = False
    trace_products: int = Field(
        default=30,
        ge=6,
        le=3000,
        description="of the trace: a third each for the sketch, its exact part and random probes",
    )
    density: bool = False
    displacement: bool = Field(
        default=True, description="predicted and measured loss change; always in float32"
    )
    path_nodes: int = Field(
        default=0, ge=0, le=64, description="of the exact path form's quadrature; 0: not computed"
    )
    dtype: Literal["float32", "bfloat16"] = Field(
        default="float32", description="bfloat16 is for screening: λ was off by 3 to 22 %"
    )

    @model_validator(mode="after")
    def _steps_can_be_held(self) -> "CurvatureSpec":
        if self.product == "finite_differences" and self.dtype == "bfloat16":
            raise ValueError("finite differences need float32: bfloat16 cannot hold the step")
        return self


class Iterated(Value):
    """A number found step by step, or the reason why there is none.

    `residual`: ‖Hv − λv‖ of an eigenvalue (‖v‖ = 1), the standard error of a trace, the distance of
    a prediction from what was measured. `verdict` compares it with `tolerance` times the value.
    `iterations`: Hessian-vector products behind it.
    """

    value: float | None = None
    reason: str | None = None
    residual: float | None = Field(default=None, ge=0)
    iterations: int = Field(default=0, ge=0)
    tolerance: float | None = None
    verdict: Literal["converged", "not converged"] | None = None
    why: str | None = Field(
        default=None, description="in results: why it has not converged, and what to do"
    )

    @model_validator(mode="after")
    def _value_or_reason(self) -> "Iterated":
        if (self.value is None) == (self.reason is None):
            raise ValueError("either a value or a reason")
        if (self.value is None) != (self.verdict is None):
            raise ValueError("a value has a verdict")
        return self


class ParameterSubset(Value):
    """Which parameters the Hessian is about."""

    name: str
    parameters: int = Field(ge=1)
    note: str | None = Field(default=None, description="what this choice means for comparisons")


class SelfCheckFigures(Value):
    """Relative errors of one product: between two runs, of its symmetry, and against differences
    of gradients at the best of three steps. A stage whose check fails gives no number."""

    repeat: float
    symmetry: float
    difference: float
    step: float
    iterations: int = Field(ge=0)


class DensityCurve(Value):
    """Stochastic Lanczos quadrature: `nodes` with `weights` that sum to 1, and the same smoothed by
    Gaussians of `width` on `grid`. `near_zero`: weight within 1 % of the radius around zero."""

    nodes: tuple[float, ...]
    weights: tuple[float, ...]
    grid: tuple[float, ...]
    heights: tuple[float, ...]
    width: float
    near_zero: float
    steps: int
    probes: int
    trace: Iterated


class SpectrumResult(Value):
    """The ends of the spectrum on one set of examples, named by the digest of their ids."""

    examples: int = Field(ge=1)
    digest: Digest
    tokens: int = Field(ge=1, description="answer tokens")
    loss: float
    gradient_norm: float
    radius: Iterated = Field(description="eigenvalue of largest magnitude, with its sign")
    largest: tuple[Iterated, ...] = Field(min_length=1, description="λ_max first")
    lowest: Iterated = Field(description="λ_min")
    gap: float = Field(
        description="share of λ_max − λ_min by which λ_max may still be missed, with a chance of "
        "one in a thousand (Kuczyński & Woźniakowski 1992)"
    )
    trace: Iterated
    density: DensityCurve | None = None
    method: str
    dtype: str
    check: SelfCheckFigures


class CurvatureFile(Value):
    """`curvature.json` of a stage."""

    parameters: ParameterSubset
    memory: str
    spectra: tuple[SpectrumResult, ...] = Field(min_length=1)


class DisplacementResult(Value):
    """Along d = θ_AB − θ_A. `change` is measured, at θ_A + d."""

    examples: int = Field(ge=1)
    tokens: int = Field(ge=1)
    loss: float
    loss_after: float
    change: float
    gradient_norm: float
    length: float = Field(description="‖d‖")
    slope: float = Field(description="gᵀd")
    quadratic: float = Field(description="½dᵀHd")
    curvature: Measured = Field(description="dᵀHd / ‖d‖²")
    prediction: Iterated = Field(description="gᵀd + ½dᵀHd")
    path: Iterated = Field(description="gᵀd + ∫(1−t) dᵀH(θ_A + td)d dt")


class DisplacementFile(Value):
    """`displacement.json` of a stage. `outside`: share of the whole ‖d‖ that lies outside the
    parameters, and that no number here knows of."""

    parameters: ParameterSubset
    memory: str
    outside: float
    digest: Digest
    method: str
    dtype: str
    check: SelfCheckFigures
    whole: DisplacementResult
    groups: dict[str, DisplacementResult] = {}


class CurvatureRow(CurvatureFile):
    """Curvature of a task's loss right after its training, the last stage of `chain`."""

    chain: tuple[str, ...]
    seed: int
    task: str


class DisplacementRow(Value):
    """The loss of `task`, trained at `position` of `chain`, at the end of the chain.

    `group` is null for the whole set. `local_bound` = gᵀd + ½λ_max‖d‖² bounds the second-order
    prediction, not the measured change.
    """

    chain: tuple[str, ...]
    position: int
    seed: int
    task: str
    group: str | None
    parameters: ParameterSubset
    outside: float
    method: str
    dtype: str
    result: DisplacementResult
    local_bound: Measured
    exceeded: bool | None = Field(description="whether the change is above the local bound")
    forgetting: Measured = Field(description="F or F^g on the evaluation items, over all seeds")
    biased: Measured = Field(description="BF^g")


class Correlation(Value):
    """Spearman correlation over `pairs`, with an interval of a bootstrap over `blocks` (models
    after a first stage, which several pairs share)."""

    of: str
    against: str
    pairs: int = Field(ge=0)
    blocks: int = Field(ge=0)
    spearman: Measured


class KindCurvature(Value):
    """Models after tasks of one kind: median, least and largest of |λ| and of the loss."""

    models: int = Field(ge=1)
    radius: tuple[float, float, float]
    loss: tuple[float, float, float]


class CurvatureComparison(Value):
    """Safety against capability. Curvature vanishes with the loss, so unequal losses explain a
    difference as well as the tasks do."""

    safety: KindCurvature
    capability: KindCurvature
    ratio: Measured = Field(description="median |λ|, safety / capability")
    caution: str


class CurvatureSummary(Value):
    """What the curvature of all models says together."""

    correlations: tuple[Correlation, ...] = ()
    comparison: CurvatureComparison | None = None
