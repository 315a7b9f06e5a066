"""May a product be believed? To be asked before any eigenvalue is.

A fused kernel whose backward autograd cannot see gives an exact gradient and a wrong second
derivative, without any exception. Symmetry alone does not find it (defects of 0.2 % were seen);
comparing H·x with differences of gradients does, for x along H·(random), where curvature is:
right products came within 0.3 %, wrong ones were off by 79 % or more.
"""

import math
from typing import NamedTuple

import torch

from forgetscope.modeling.curvature.objective import Objective
from forgetscope.modeling.curvature.operators import Operator, Vector, dot, gaussian, norm
from forgetscope.modeling.curvature.products import (
    FIRST_STEP,
    difference_product,
    loss_and_gradient,
)
from forgetscope.schema.errors import InvalidInput

__all__ = ["SelfCheck", "require_sound", "self_check"]

REPEAT = 1e-5
SYMMETRY = 1e-3
DIFFERENCE = 5e-2
_STEPS = (FIRST_STEP, FIRST_STEP / 3, FIRST_STEP / 9)


class SelfCheck(NamedTuple):
    """Relative errors of one product.

    `repeat`: between two runs of the same product. `symmetry`: of xᵀHy against yᵀHx, relative to
    ‖Hx‖‖y‖. `difference`: of H·x against central differences of step `step`, the best of three.
    `reason` says what is wrong; None when nothing is. `iterations` counts exact products.
    """

    ok: bool
    repeat: float
    symmetry: float
    difference: float
    step: float
    iterations: int
    reason: str | None
    dtype: str
    tokens: int
    parameters: int


def self_check(
    operator: Operator,
    objective: Objective,
    generator: torch.Generator,
    *,
    repeat: float = REPEAT,
    symmetry: float = SYMMETRY,
    difference: float = DIFFERENCE,
) -> SelfCheck:
    """Check `operator`, a Hessian of `objective`: 3 products and 6 gradients. The thresholds are
    for float32 and wider; for bfloat16 weights run it inside `objective.widened`: the kernels are
    then judged, not the rounding.

    Raises InvalidInput when a product is not finite.
    """
    start = gaussian(operator.like, generator)
    first, again = operator.product(start), operator.product(start)
    length, products = norm(first), 2
    if not math.isfinite(length):
        raise InvalidInput("the Hessian-vector product is not finite", where="/curvature/product")
    repeat_error = _relative(first, again)
    del again  # of large models a vector is as large as the weights
    symmetry_error = 0.0
    if length > 0.0:
        along = [x / length for x in first]
        image, products = operator.product(along), 3
        defect = abs(dot(along, first) - dot(start, image))
        symmetry_error = defect / (norm(image) * norm(start)) if defect else 0.0
        del start, first
        difference_error, step = min(
            (_relative(image, difference_product(objective, along, h)), h) for h in _STEPS
        )
    else:
        difference_error, step = _hidden_curvature(objective, start), FIRST_STEP
    reason = None
    if not repeat_error <= repeat:
        reason = f"the same product twice differs by {repeat_error:.1e} of its length"
    elif not difference_error <= difference:
        reason = f"the product is {difference_error:.1e} off differences of the gradient"
    elif not symmetry_error <= symmetry:
        reason = f"the product is not symmetric: {symmetry_error:.1e} off"
    return SelfCheck(
        ok=reason is None,
        repeat=repeat_error,
        symmetry=symmetry_error,
        difference=difference_error,
        step=step,
        iterations=products,
        reason=reason,
        dtype=operator.dtype,
        tokens=operator.tokens,
        parameters=operator.parameters,
    )


def require_sound(check: SelfCheck) -> None:
    """Raises InvalidInput with the reason when the check failed."""
    if not check.ok:
        raise InvalidInput(
            f"the Hessian-vector product cannot be believed: {check.reason}",
            where="/curvature/product",
            hint="Use eager attention without fused kernels, in evaluation mode and with "
            "deterministic kernels; or finite differences.",
        )


def _hidden_curvature(objective: Objective, direction: Vector) -> float:
    """1 when gradients change along a direction whose product is zero by more than rounding."""
    change = norm(difference_product(objective, direction)) / norm(direction) * FIRST_STEP
    gradient = loss_and_gradient(objective)[1]
    rounding = 64 * max(torch.finfo(g.dtype).eps for g in gradient) * norm(gradient)
    return 0.0 if change <= rounding else 1.0


def _relative(a: Vector, b: Vector) -> float:
    apart = norm([x.double() - y.double() for x, y in zip(a, b, strict=True)])
    if apart == 0.0:
        return 0.0
    return apart / max(norm(a), norm(b))
