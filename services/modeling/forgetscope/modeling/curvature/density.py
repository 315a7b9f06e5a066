"""The spectral density by stochastic Lanczos quadrature (Golub and Welsch 1969; Ubaru, Chen, Saad
2017; for neural networks Ghorbani, Krishnan, Xiao 2019).

Each random start gives `steps` nodes (Ritz values) with weights (squared first coordinates) that
sum to 1: a quadrature rule for that start's share of the spectrum. Their mean over starts
approximates the distribution of eigenvalues; a smoothed grid is for the eye only.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from forgetscope.modeling.curvature.krylov import Krylov
from forgetscope.modeling.curvature.operators import Operator, Verdict
from forgetscope.modeling.curvature.solvers import Progress
from forgetscope.schema.errors import InvalidInput

__all__ = ["Density", "Quadrature", "estimate_density", "smoothed"]


class Density(NamedTuple):
    """`nodes[i]` with `weights[i]`, all starts together, ascending; the weights sum to 1.

    `grid` and `heights`: the density smoothed by Gaussians of standard deviation `width`. `trace`:
    parameters × mean eigenvalue, with `residual` its standard error over the starts (None with a
    single one); "converged" when that is at most `tolerance` times it. `iterations` counts
    products. `near_zero`: weight of the nodes within 1 % of the spectral radius around zero.
    """

    nodes: tuple[float, ...]
    weights: tuple[float, ...]
    grid: tuple[float, ...]
    heights: tuple[float, ...]
    width: float
    near_zero: float
    trace: float
    residual: float | None
    steps: int
    probes: int
    iterations: int
    tolerance: float
    verdict: Verdict
    method: str
    dtype: str
    tokens: int
    parameters: int


class Quadrature:
    """How far an estimate has come: finished rules, and the space of the present start."""

    def __init__(self, like: Sequence[Tensor], generator: torch.Generator) -> None:
        self.like = list(like)
        self.generator = generator
        self.rules: list[tuple[np.ndarray, np.ndarray]] = []
        self.space: Krylov | None = None
        self.products = 0

    def tensors(self) -> dict[str, Tensor]:
        """Everything needed to go on, as named tensors; for a safetensors file."""
        saved = {
            "products": torch.tensor(self.products),
            "generator": self.generator.get_state(),
        }
        for i, (nodes, weights) in enumerate(self.rules):
            saved[f"rule.{i}"] = torch.tensor(np.stack([nodes, weights]))
        if self.space is not None:
            saved |= {f"space.{name}": t for name, t in self.space.tensors().items()}
        return saved

    @classmethod
    def restored(cls, tensors: Mapping[str, Tensor], like: Sequence[Tensor]) -> "Quadrature":
        """An estimate that goes on where `tensors` was taken, with the same bits.

        Raises InvalidInput when it was taken of other parameters.
        """
        state = cls(like, torch.Generator())
        state.generator.set_state(tensors["generator"])
        state.products = int(tensors["products"])
        while (rule := tensors.get(f"rule.{len(state.rules)}")) is not None:
            state.rules.append((rule[0].numpy(), rule[1].numpy()))
        inner = {n.removeprefix("space."): t for n, t in tensors.items() if n.startswith("space.")}
        if inner:
            state.space = Krylov.restored(inner, like)
            state.space.generator = state.generator
        return state


def estimate_density(
    operator: Operator,
    quadrature: Quadrature,
    *,
    steps: int = 20,
    probes: int = 3,
    points: int = 400,
    tolerance: float = 5e-2,
    progress: Progress | None = None,
) -> Density:
    """The density from `probes` starts with `steps` products each. Raises InvalidInput."""
    if steps < 1 or probes < 1 or points < 2:
        raise InvalidInput(
            f"{steps} steps, {probes} probes and {points} points",
            where="/curvature/density",
            hint="Give at least one step, one probe and two points.",
        )
    while len(quadrature.rules) < probes:
        if quadrature.space is None:
            quadrature.space = Krylov(quadrature.like, quadrature.generator)
        space = quadrature.space
        while space.iterations < steps and not space.invariant:
            space.extend(operator)
            quadrature.products += 1
            if progress is not None:
                progress(quadrature.products, None)
        nodes, coordinates = space.ritz()
        quadrature.rules.append((nodes, coordinates[0] ** 2))
        quadrature.space = None
    nodes = np.concatenate([n for n, _ in quadrature.rules])
    weights = np.concatenate([w for _, w in quadrature.rules]) / probes
    order = np.argsort(nodes, kind="stable")
    nodes, weights = nodes[order], weights[order]
    grid, heights, width = smoothed(nodes, weights, points)
    means = [float(n @ w) * operator.parameters for n, w in quadrature.rules]
    trace = math.fsum(means) / probes
    error: float | None = None
    if probes > 1:
        error = math.sqrt(math.fsum((m - trace) ** 2 for m in means) / (probes - 1) / probes)
    radius = float(np.abs(nodes).max())
    rounding = 16 * operator.epsilon * radius * operator.parameters
    good = error is not None and error <= max(tolerance * abs(trace), rounding)
    return Density(
        nodes=tuple(nodes.tolist()),
        weights=tuple(weights.tolist()),
        grid=tuple(grid.tolist()),
        heights=tuple(heights.tolist()),
        width=width,
        near_zero=float(weights[np.abs(nodes) <= 0.01 * radius].sum()),
        trace=trace,
        residual=error,
        steps=steps,
        probes=probes,
        iterations=quadrature.products,
        tolerance=tolerance,
        verdict="converged" if good else "not converged",
        method=operator.method,
        dtype=operator.dtype,
        tokens=operator.tokens,
        parameters=operator.parameters,
    )


def smoothed(
    nodes: np.ndarray, weights: np.ndarray, points: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Grid [points], heights [points] and the Gaussians' width, a hundredth of the range.

    The grid reaches four widths past the outer nodes, so that the heights integrate to 1.
    """
    spread = float(nodes[-1] - nodes[0]) or float(np.abs(nodes).max()) or 1.0
    width = spread / 100
    grid = np.linspace(nodes[0] - 4 * width, nodes[-1] + 4 * width, points)
    bells = np.exp(-0.5 * ((grid[:, None] - nodes[None]) / width) ** 2)
    return grid, bells @ weights / (width * math.sqrt(2 * math.pi)), width
