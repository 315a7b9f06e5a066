"""Vectors shaped like parameters, and symmetric linear maps on them.

A vector is a list of tensors, never one long tensor: a copy of a large model's weights just to
flatten them would not fit. Sums are taken in float64: in float32 the norm of 10^8 elements is
wrong by a percent, and a residual computed with it has a floor of 10^-3.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from forgetscope.schema.errors import InvalidInput

__all__ = [
    "Operator",
    "Vector",
    "Verdict",
    "add_scaled",
    "dot",
    "gaussian",
    "norm",
    "orthogonalise",
    "pack",
    "signs",
    "size",
    "unpack",
]

Vector = list[Tensor]
Verdict = Literal["converged", "not converged"]
_CHUNK = 1 << 22


class Operator(NamedTuple):
    """A symmetric linear map, and what to say about it in a result.

    `product` returns a new vector that the caller may change; `like` gives shapes, dtypes and
    devices. `dtype` is that of the arithmetic ("float32", "bfloat16", ...), `tokens` the number of
    answer tokens behind the loss (0 where there is none).
    """

    product: Callable[[Sequence[Tensor]], Vector]
    like: Sequence[Tensor]
    method: str
    dtype: str
    tokens: int

    @property
    def parameters(self) -> int:
        return size(self.like)

    @property
    def epsilon(self) -> float:
        """Spacing of numbers in the narrowest dtype involved."""
        return max(float(torch.finfo(getattr(torch, d)).eps) for d in self.dtype.split(" on "))


def size(vector: Sequence[Tensor]) -> int:
    """Number of elements."""
    return sum(x.numel() for x in vector)


def dot(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    """Inner product, accumulated in float64; `b` may live on another device."""
    parts = []
    for x, y in zip(a, b, strict=True):
        flat_x, flat_y = x.reshape(-1), y.reshape(-1)
        for i in range(0, flat_x.numel(), _CHUNK):
            left = flat_x[i : i + _CHUNK].double()
            right = flat_y[i : i + _CHUNK].to(left.device).double()
            parts.append(float(torch.dot(left, right)))
    return math.fsum(parts)


def norm(a: Sequence[Tensor]) -> float:
    """Euclidean length, accumulated in float64."""
    return math.sqrt(dot(a, a))


def add_scaled(a: Sequence[Tensor], factor: float, b: Sequence[Tensor]) -> None:
    """a += factor · b, in place."""
    for x, y in zip(a, b, strict=True):
        x.add_(y.to(device=x.device, dtype=x.dtype), alpha=factor)


def orthogonalise(vector: Sequence[Tensor], basis: Sequence[Sequence[Tensor]]) -> None:
    """Remove from `vector` its parts along an orthonormal `basis`, in place.

    Twice: what the first pass leaves by rounding, the second removes.
    """
    for _ in range(2):
        for q in basis:
            add_scaled(vector, -dot(vector, q), q)


def gaussian(like: Sequence[Tensor], generator: torch.Generator) -> Vector:
    """Independent standard normal elements, drawn on the CPU: the same on every device."""
    return [torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device) for x in like]


def signs(like: Sequence[Tensor], generator: torch.Generator) -> Vector:
    """Independent elements ±1, drawn on the CPU."""
    return [
        (torch.randint(0, 2, x.shape, generator=generator) * 2 - 1).to(x.device, x.dtype)
        for x in like
    ]


def pack(name: str, vectors: Sequence[Sequence[Tensor]]) -> dict[str, Tensor]:
    """Vectors as named tensors ("name.3.0"), ready for a safetensors file."""
    return {
        f"{name}.{j}.{i}": x.detach().cpu().contiguous()
        for j, vector in enumerate(vectors)
        for i, x in enumerate(vector)
    }


def unpack(
    name: str, tensors: Mapping[str, Tensor], like: Sequence[Tensor], device: str | None = None
) -> list[Vector]:
    """The inverse of `pack`. Raises InvalidInput when shapes or dtypes are not those of `like`."""
    vectors: list[Vector] = []
    while f"{name}.{len(vectors)}.0" in tensors:
        j = len(vectors)
        vector = []
        for i, x in enumerate(like):
            saved = tensors.get(f"{name}.{j}.{i}")
            if saved is None or saved.shape != x.shape or saved.dtype != x.dtype:
                raise InvalidInput(
                    "the saved state belongs to other parameters or another dtype",
                    where=f"{name}.{j}.{i}",
                    hint="Resume with the model and the subset that the run was started with.",
                )
            vector.append(saved.to(device or x.device, copy=True))
        vectors.append(vector)
    return vectors
