"""A Krylov space with full reorthogonalisation; it can be saved, and goes on with the same bits."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from forgetscope.modeling.curvature.operators import (
    Operator,
    Vector,
    add_scaled,
    dot,
    gaussian,
    norm,
    orthogonalise,
    pack,
    size,
    unpack,
)
from forgetscope.schema.errors import InvalidInput

__all__ = ["Krylov"]


class Krylov:
    """Lanczos: orthonormal `basis`, and H in it as a tridiagonal matrix.

    Holds one vector per product. `store` names another device for them, such as "cpu".
    """

    def __init__(
        self, like: Sequence[Tensor], generator: torch.Generator, store: str | None = None
    ) -> None:
        self.like = list(like)
        self.store = store
        self.generator = generator
        self.diagonal: list[float] = []
        self.beside: list[float] = []
        self.basis: list[Vector] = []
        self._append(gaussian(self.like, generator))

    @property
    def iterations(self) -> int:
        return len(self.diagonal)

    @property
    def complete(self) -> bool:
        """Whether the space is the whole one."""
        return self.iterations == size(self.like)

    @property
    def invariant(self) -> bool:
        """Whether the random start's space closed: it holds every distinct eigenvalue."""
        return self.complete or 0.0 in self.beside

    def extend(self, operator: Operator) -> None:
        """Add one dimension, by one product. Raises InvalidInput for a product not finite."""
        last = self.basis[-1]
        image = operator.product([q.to(x.device) for q, x in zip(last, self.like, strict=True)])
        if self.store is not None:
            image = [x.to(self.store) for x in image]
        along = dot(image, last)
        if not math.isfinite(along):
            raise InvalidInput(
                f"the Hessian-vector product is not finite after {self.iterations} iterations",
                where="/curvature/product",
                hint="Look at the loss: weights or examples make it overflow.",
            )
        orthogonalise(image, self.basis)
        rest = norm(image)
        scale = max(map(abs, [*self.diagonal, *self.beside, along]))
        self.diagonal.append(along)
        if rest <= 10 * torch.finfo(last[0].dtype).eps * scale:
            rest = 0.0
            image = gaussian(self.like, self.generator)
        self.beside.append(rest)
        if not self.complete:
            self._append(image)

    def ritz(self) -> tuple[np.ndarray, np.ndarray]:
        """Ritz values, ascending [k], and their coordinates in the basis [k, k], in columns."""
        side = np.array(self.beside[:-1])
        values, coordinates = np.linalg.eigh(
            np.diag(np.array(self.diagonal)) + np.diag(side, 1) + np.diag(side, -1)
        )
        return values, coordinates

    def vector(self, coordinates: np.ndarray) -> Vector:
        """The unit vector with these coordinates [k], on the model's devices."""
        out = [torch.zeros_like(x).contiguous() for x in self.like]
        for c, q in zip(coordinates, self.basis, strict=False):
            add_scaled(out, float(c), q)
        length = norm(out)
        for x in out:
            x.div_(length)
        return out

    def tensors(self) -> dict[str, Tensor]:
        """Everything needed to go on, as named tensors; for a safetensors file."""
        return pack("basis", self.basis) | {
            "diagonal": torch.tensor(self.diagonal, dtype=torch.float64),
            "beside": torch.tensor(self.beside, dtype=torch.float64),
            "generator": self.generator.get_state(),
        }

    @classmethod
    def restored(
        cls, tensors: Mapping[str, Tensor], like: Sequence[Tensor], store: str | None = None
    ) -> "Krylov":
        """A space that goes on where `tensors` was taken, with the same bits.

        Raises InvalidInput when it was taken of other parameters.
        """
        state = cls.__new__(cls)
        state.like, state.store = list(like), store
        state.generator = torch.Generator()
        state.generator.set_state(tensors["generator"])
        state.diagonal = tensors["diagonal"].tolist()
        state.beside = tensors["beside"].tolist()
        state.basis = unpack("basis", tensors, like, store)
        return state

    def _append(self, vector: Vector) -> None:
        """Normalise `vector`, made orthogonal to the basis first where it is a fresh one."""
        if self.store is not None:
            vector = [x.to(self.store) for x in vector]
        if not self.beside or self.beside[-1] == 0.0:
            orthogonalise(vector, self.basis)
        length = norm(vector)
        for x in vector:
            x.div_(length)
        self.basis.append(vector)
