"""The loss change along d = θ_B − θ_A: predicted at θ_A, bounded there, and measured.

Predictions are local. Where the curvature changes along the way, ½λ_max‖d‖² is no bound on the
measured change (it was exceeded in 1 of 4 cases) and the second-order prediction can be far off;
the path form gᵀd + ∫(1−t) dᵀH(θ_A + t·d)d dt is exact up to its quadrature.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from forgetscope.modeling.curvature.objective import Objective, displaced
from forgetscope.modeling.curvature.operators import Vector, Verdict, dot, norm
from forgetscope.modeling.curvature.products import exact_product, loss_and_gradient, loss_value
from forgetscope.schema.errors import InvalidInput

__all__ = ["Displacement", "Path", "difference_of", "measure_displacement", "measure_path"]

Product = Callable[[Objective, Sequence[Tensor]], Vector]


class Displacement(NamedTuple):
    """Losses in nats per answer token, `length` = ‖d‖, `slope` = gᵀd, `quadratic` = dᵀHd.

    `curvature` = dᵀHd / ‖d‖², None when d is zero. `prediction` = gᵀd + ½dᵀHd. `local_bound` =
    gᵀd + ½λ_max‖d‖², None where no λ_max was given; it bounds the prediction, not `change`, the
    measured difference. `residual` = |prediction − change|; "converged" when it is at most
    `tolerance` times the change: the second order then suffices.
    """

    loss: float
    loss_after: float
    change: float
    gradient_norm: float
    length: float
    slope: float
    quadratic: float
    curvature: float | None
    prediction: float
    local_bound: float | None
    residual: float
    iterations: int
    tolerance: float
    verdict: Verdict
    dtype: str
    tokens: int
    parameters: int


class Path(NamedTuple):
    """`value` = gᵀd + ∫(1−t) dᵀH(θ_A + t·d)d dt, from `iterations` products, one at each node.

    `curvatures[i]` = dᵀHd / ‖d‖² at t = `nodes[i]`, None when d is zero. `residual` = |value −
    change|; "converged" when it is at most `tolerance` times the measured change.
    """

    value: float
    change: float
    nodes: tuple[float, ...]
    curvatures: tuple[float | None, ...]
    residual: float
    iterations: int
    tolerance: float
    verdict: Verdict
    dtype: str
    tokens: int
    parameters: int


def difference_of(after: Mapping[str, Tensor], before: Mapping[str, Tensor]) -> Vector:
    """d = after − before, in the order of `before`, at least float32. Raises InvalidInput."""
    if after.keys() != before.keys() or any(after[n].shape != p.shape for n, p in before.items()):
        raise InvalidInput(
            "the two checkpoints have different parameters",
            where="/curvature/displacement",
            hint="Compare checkpoints of one architecture, both merged or both with the same LoRA.",
        )
    return [
        (after[name].detach().to(p.device).double() - p.detach().double()).to(
            torch.promote_types(p.dtype, torch.float32)
        )
        for name, p in before.items()
    ]


def measure_displacement(
    objectives: Mapping[str, Objective],
    d: Sequence[Tensor],
    *,
    largest: Mapping[str, float] | None = None,
    tolerance: float = 0.1,
    product: Product = exact_product,
) -> dict[str, Displacement]:
    """One `Displacement` for each named objective, such as the whole set and each group of it.

    One gradient, one product and two losses each. `largest`: λ_max by name, where known.
    """
    out = {}
    length = norm(d)
    for name, objective in objectives.items():
        loss, gradient = loss_and_gradient(objective)
        slope = dot(gradient, d)
        quadratic = dot(product(objective, d), d)
        loss_after = _loss_after(objective, d)
        change = loss_after - loss
        prediction = slope + 0.5 * quadratic
        top = (largest or {}).get(name)
        residual = abs(prediction - change)
        out[name] = Displacement(
            loss=loss,
            loss_after=loss_after,
            change=change,
            gradient_norm=norm(gradient),
            length=length,
            slope=slope,
            quadratic=quadratic,
            curvature=_curvature(quadratic, length),
            prediction=prediction,
            local_bound=None if top is None else slope + 0.5 * top * length**2,
            residual=residual,
            iterations=1,
            tolerance=tolerance,
            verdict=_verdict(residual, change, tolerance),
            dtype=objective.dtype,
            tokens=objective.tokens,
            parameters=sum(x.numel() for x in d),
        )
    return out


def measure_path(
    objective: Objective,
    d: Sequence[Tensor],
    *,
    nodes: int = 8,
    tolerance: float = 1e-2,
    product: Product = exact_product,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """The path form by Gauss-Legendre quadrature on [0, 1]. Long or bent paths need more nodes.

    `progress` is called with products done and to do. Raises InvalidInput for no node.
    """
    if nodes < 1:
        raise InvalidInput(f"{nodes} nodes", where="/curvature/path", hint="Give at least one.")
    points, weights = np.polynomial.legendre.leggauss(nodes)
    times, weights = (points + 1) / 2, weights / 2
    length = norm(d)
    loss, gradient = loss_and_gradient(objective)
    value = dot(gradient, d)
    curvatures = []
    parameters = list(objective.parameters.values())
    for done, (t, w) in enumerate(zip(times.tolist(), weights.tolist(), strict=True), start=1):
        with displaced(parameters, d, t):
            quadratic = dot(product(objective, d), d)
        value += w * (1 - t) * quadratic
        curvatures.append(_curvature(quadratic, length))
        if progress is not None:
            progress(done, nodes)
    change = _loss_after(objective, d) - loss
    residual = abs(value - change)
    return Path(
        value=value,
        change=change,
        nodes=tuple(times.tolist()),
        curvatures=tuple(curvatures),
        residual=residual,
        iterations=nodes,
        tolerance=tolerance,
        verdict=_verdict(residual, change, tolerance),
        dtype=objective.dtype,
        tokens=objective.tokens,
        parameters=sum(x.numel() for x in d),
    )


def _loss_after(objective: Objective, d: Sequence[Tensor]) -> float:
    with displaced(list(objective.parameters.values()), d, 1.0):
        return loss_value(objective)


def _curvature(quadratic: float, length: float) -> float | None:
    return quadratic / length**2 if length > 0.0 else None


def _verdict(residual: float, change: float, tolerance: float) -> Verdict:
    return "converged" if residual <= tolerance * abs(change) else "not converged"
