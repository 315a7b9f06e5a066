"""Loss, gradient and Hessian-vector products of an objective.

The exact product differentiates twice in reverse (Pearlmutter 1994): 3 times a gradient's FLOPs
for all weights, 2 times for LoRA factors. Finite differences need first derivatives only, and
float32 weights: bfloat16 cannot hold the step.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from forgetscope.modeling.curvature.objective import Objective, displaced, vector_like
from forgetscope.modeling.curvature.operators import Operator, Vector, dot, norm
from forgetscope.schema.errors import InvalidInput

__all__ = [
    "FIRST_STEP",
    "Step",
    "choose_step",
    "difference_operator",
    "difference_product",
    "exact_operator",
    "exact_product",
    "loss_and_gradient",
    "loss_value",
]

FIRST_STEP = 3e-4
"""Length in parameter space. On fine-tuned small Llamas the loss along the top eigenvector stops
being quadratic at 10^-3; rules that scale the step with ‖θ‖ give 10^-2 and errors of half of λ."""


class Step(NamedTuple):
    """A step for finite differences, judged by the product at a third of it.

    `disagreement`: ‖H_h v − H_{h/3} v‖ / ‖H_{h/3} v‖, and that of vᵀHv: `curvature_disagreement`.
    """

    step: float
    disagreement: float
    curvature_disagreement: float
    accepted: bool


@torch.no_grad()
def loss_value(objective: Objective) -> float:
    """Mean loss in nats per answer token."""
    return sum(float(part()) for part in objective.parts) / objective.tokens


def loss_and_gradient(objective: Objective) -> tuple[float, Vector]:
    """Mean loss in nats per answer token, and its gradient, summed in at least float32."""
    parameters = list(objective.parameters.values())
    total = 0.0
    gradient: Vector = []
    for part in objective.parts:
        loss = part()
        total += float(loss.detach())
        grads = torch.autograd.grad(loss / objective.tokens, parameters, materialize_grads=True)
        gradient = _accumulate(gradient, grads)
    return total / objective.tokens, gradient


def exact_product(objective: Objective, vector: Sequence[Tensor]) -> Vector:
    """H·vector by double backward, one micro-batch at a time.

    Raises InvalidInput when a kernel has no second derivative. A kernel that hides its backward
    from autograd is not noticed here but gives a wrong product: see `self_check`.
    """
    parameters = list(objective.parameters.values())
    directions = [v.to(p.dtype) for v, p in zip(vector, parameters, strict=True)]
    total: Vector = []
    for part in objective.parts:
        try:
            grads = torch.autograd.grad(
                part() / objective.tokens, parameters, create_graph=True, materialize_grads=True
            )
            pairs = [(g, v) for g, v in zip(grads, directions, strict=True) if g.requires_grad]
            if pairs:
                products = torch.autograd.grad(
                    [g for g, _ in pairs],
                    parameters,
                    grad_outputs=[v for _, v in pairs],
                    materialize_grads=True,
                )
            else:
                products = tuple(torch.zeros_like(p) for p in parameters)
        except RuntimeError as error:
            if "not implemented" not in str(error):
                raise
            raise InvalidInput(
                f"the model cannot be differentiated twice: {error}",
                where="/curvature/product",
                hint="Use eager attention, or finite differences.",
            ) from error
        total = _accumulate(total, products)
    return total


def difference_product(
    objective: Objective, vector: Sequence[Tensor], step: float = FIRST_STEP
) -> Vector:
    """H·vector from gradients at θ ± step·vector/‖vector‖, subtracted in float64.

    Raises InvalidInput for weights narrower than float32.
    """
    parameters = list(objective.parameters.values())
    if any(torch.finfo(p.dtype).bits < 32 for p in parameters):
        raise InvalidInput(
            "finite differences need float32 weights: narrower ones cannot hold the step",
            where="/curvature/product",
            hint="Load the model as float32, or use the exact product.",
        )
    length = norm(vector)
    if length == 0.0:
        return [torch.zeros_like(v) for v in vector]
    sides = []
    for sign in (1.0, -1.0):
        with displaced(parameters, vector, sign * step / length):
            sides.append(loss_and_gradient(objective)[1])
    factor = length / (2 * step)
    return [
        ((up.double() - down.double()) * factor).to(up.dtype)
        for up, down in zip(*sides, strict=True)
    ]


def choose_step(
    objective: Objective,
    vector: Sequence[Tensor],
    first: float = FIRST_STEP,
    tolerance: float = 1e-2,
    tries: int = 3,
) -> Step:
    """Compare the products at h and h/3 along `vector`, and go down until they agree.

    Take a vector that matters, such as H·(random) or a Ritz vector: along a random one rounding
    is all there is. What is compared is the curvature vᵀHv; when no pair agrees within
    `tolerance` (relative), the best step comes back, not accepted.
    """
    best: Step | None = None
    step = first
    coarse = difference_product(objective, vector, step)
    for _ in range(tries):
        fine = difference_product(objective, vector, step / 3)
        spread = [a.double() - b.double() for a, b in zip(coarse, fine, strict=True)]
        apart = _ratio(norm(spread), norm(fine))
        curvature = dot(vector, fine)
        bent = _ratio(abs(dot(vector, coarse) - curvature), abs(curvature))
        if best is None or bent < best.curvature_disagreement:
            best = Step(step, apart, bent, bent <= tolerance)
        if best.accepted:
            break
        step, coarse = step / 3, fine
    assert best is not None
    return best


def exact_operator(objective: Objective) -> Operator:
    """The Hessian as an operator, by double backward."""
    return Operator(
        lambda v: exact_product(objective, v),
        vector_like(objective.parameters),
        "exact",
        objective.dtype,
        objective.tokens,
    )


def difference_operator(objective: Objective, step: float = FIRST_STEP) -> Operator:
    """The Hessian as an operator, by central differences of gradients."""
    return Operator(
        lambda v: difference_product(objective, v, step),
        vector_like(objective.parameters),
        f"central differences, step {step:g}",
        objective.dtype,
        objective.tokens,
    )


def _accumulate(total: Vector, terms: Sequence[Tensor]) -> Vector:
    wide = [t.detach().to(torch.promote_types(t.dtype, torch.float32)) for t in terms]
    if not total:
        return wide
    for a, b in zip(total, wide, strict=True):
        a.add_(b)
    return total


def _ratio(part: float, whole: float) -> float:
    if part == 0.0:
        return 0.0
    return part / whole if whole else float("inf")
