"""The trace by Hutch++ (Meyer, Musco, Musco, Woodruff 2021, algorithm 1).

The part of H in the span of a sketch is summed exactly, what remains is estimated with random
signs. Where few eigenvalues dominate, as after fine-tuning, the remainder is small.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from forgetscope.modeling.curvature.operators import (
    Operator,
    Vector,
    Verdict,
    dot,
    norm,
    orthogonalise,
    pack,
    signs,
    size,
    unpack,
)
from forgetscope.modeling.curvature.solvers import Progress
from forgetscope.schema.errors import InvalidInput

__all__ = ["Sketch", "Trace", "estimate_trace"]


class Trace(NamedTuple):
    """`residual` is the standard error of the random part (None with a single probe).

    "converged": it is at most `tolerance` times the value, or below rounding. `iterations` counts
    Hessian-vector products; `exact_part` is the trace within the sketch of dimension `rank`.
    """

    value: float
    residual: float | None
    exact_part: float
    rank: int
    probes: int
    iterations: int
    tolerance: float
    verdict: Verdict
    method: str
    dtype: str
    tokens: int
    parameters: int


class Sketch:
    """How far an estimate has come: images of the sketch, then scalars.

    Holds two vectors per image. `store` names another device for them, such as "cpu".
    """

    def __init__(
        self, like: Sequence[Tensor], generator: torch.Generator, store: str | None = None
    ) -> None:
        self.like = list(like)
        self.store = store
        self.generator = generator
        self.images: list[Vector] = []
        self.diagonal: list[float] = []
        self.samples: list[float] = []

    @property
    def products(self) -> int:
        return len(self.images) + len(self.diagonal) + len(self.samples)

    def tensors(self) -> dict[str, Tensor]:
        """Everything needed to go on, as named tensors; for a safetensors file."""
        return pack("images", self.images) | {
            "diagonal": torch.tensor(self.diagonal, dtype=torch.float64),
            "samples": torch.tensor(self.samples, dtype=torch.float64),
            "generator": self.generator.get_state(),
        }

    @classmethod
    def restored(
        cls, tensors: Mapping[str, Tensor], like: Sequence[Tensor], store: str | None = None
    ) -> "Sketch":
        """A sketch that goes on where `tensors` was taken, with the same bits.

        Raises InvalidInput when it was taken of other parameters.
        """
        state = cls(like, torch.Generator(), store)
        state.generator.set_state(tensors["generator"])
        state.images = unpack("images", tensors, like, store)
        state.diagonal = tensors["diagonal"].tolist()
        state.samples = tensors["samples"].tolist()
        return state

    def kept(self, vector: Vector) -> Vector:
        """Where vectors are kept."""
        return vector if self.store is None else [x.to(self.store) for x in vector]

    def used(self, vector: Vector) -> Vector:
        """Where products are made."""
        return [x.to(y.device) for x, y in zip(vector, self.like, strict=True)]


def estimate_trace(
    operator: Operator,
    sketch: Sketch,
    *,
    rank: int = 10,
    probes: int = 10,
    tolerance: float = 5e-2,
    progress: Progress | None = None,
) -> Trace:
    """The trace from at most 2·`rank` + `probes` products; equal thirds is the paper's split.

    With `rank` equal to the parameters it is exact. Raises InvalidInput.
    """
    if not (1 <= rank <= size(sketch.like) and probes >= 1):
        raise InvalidInput(
            f"rank {rank} and {probes} probes for {size(sketch.like)} parameters",
            where="/curvature/trace",
            hint="Both are at least 1, and the rank at most the number of parameters.",
        )

    def told() -> None:
        if progress is not None:
            progress(sketch.products, None)

    while len(sketch.images) < rank:
        image = operator.product(signs(sketch.like, sketch.generator))
        sketch.images.append(sketch.kept(image))
        told()
    basis = _orthonormal(sketch.images)
    for q in basis[len(sketch.diagonal) :]:
        sketch.diagonal.append(dot(q, operator.product(sketch.used(q))))
        told()
    while len(sketch.samples) < probes:
        probe = sketch.kept(signs(sketch.like, sketch.generator))
        orthogonalise(probe, basis)
        sketch.samples.append(dot(probe, operator.product(sketch.used(probe))))
        told()
    exact = math.fsum(sketch.diagonal)
    mean = math.fsum(sketch.samples) / probes
    error: float | None = None
    if probes > 1:
        spread = math.fsum((x - mean) ** 2 for x in sketch.samples)
        error = math.sqrt(spread / (probes - 1) / probes)
    value = exact + mean
    rounding = 16 * operator.epsilon * math.fsum(map(abs, sketch.diagonal))
    good = error is not None and error <= max(tolerance * abs(value), rounding)
    return Trace(
        value=value,
        residual=error,
        exact_part=exact,
        rank=len(basis),
        probes=probes,
        iterations=sketch.products,
        tolerance=tolerance,
        verdict="converged" if good else "not converged",
        method=operator.method,
        dtype=operator.dtype,
        tokens=operator.tokens,
        parameters=operator.parameters,
    )


def _orthonormal(vectors: Sequence[Vector]) -> list[Vector]:
    """An orthonormal basis of the span; what is lost in rounding is left out."""
    basis: list[Vector] = []
    for vector in vectors:
        rest = [x.clone() for x in vector]
        before = norm(rest)
        orthogonalise(rest, basis)
        length = norm(rest)
        if length > 1e3 * torch.finfo(rest[0].dtype).eps * before:
            basis.append([x / length for x in rest])
    return basis
