"""PyHessian as it is, on our models and examples; a subclass writes down what it makes."""

from collections.abc import Callable, Sequence

import torch
from curvature_llamas import micro_batches
from pyhessian import hessian
from torch import Tensor, nn
from transformers import PreTrainedModel

from forgetscope.modeling.batches import Item
from forgetscope.modeling.curvature.operators import dot, norm

__all__ = ["Peer", "Reached"]


class Reached(Exception):
    """PyHessian's iteration has what was waited for."""


class Peer(hessian):  # type: ignore[misc]
    """PyHessian over micro-batches of `size`; writes down λ = vᵀHv and ‖Hv − λv‖ of each product
    that it makes."""

    def __init__(self, model: PreTrainedModel, items: Sequence[Item], size: int) -> None:
        self.values: list[float] = []
        self.residuals: list[float] = []
        self.until: Callable[[Peer], bool] = lambda _: False
        super().__init__(_Logits(model), _mean_loss, dataloader=_loader(items, size), cuda=False)

    def dataloader_hv_product(self, v: list[Tensor]) -> tuple[float, list[Tensor]]:
        value, image = self.bare_product(v)
        self.values.append(dot(image, v) / dot(v, v))
        rest = [h.double() - self.values[-1] * x.double() for h, x in zip(image, v, strict=True)]
        self.residuals.append(norm(rest) / norm(v))
        if self.until(self):
            raise Reached
        return value, image

    def bare_product(self, v: list[Tensor]) -> tuple[float, list[Tensor]]:
        """PyHessian's own product, with nothing written down."""
        value, image = super().dataloader_hv_product(v)
        return value, image


class _Logits(nn.Module):
    """A causal model as PyHessian wants one: a tensor in, a tensor [B, T − 1, V] out."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=ids, use_cache=False).logits[:, :-1]
        return logits


def _mean_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats over a batch's answer tokens; others have the target −100."""
    return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def _loader(items: Sequence[Item], size: int) -> list[tuple[Tensor, Tensor]]:
    """Batches for PyHessian: ids [B, T] and targets [B, T − 1]."""
    pairs = []
    for batch in micro_batches(items, size):
        targets = torch.full_like(batch.input_ids, -100)[:, :-1]
        targets[batch.answers.rows, batch.answers.columns] = batch.answers.targets
        pairs.append((batch.input_ids, targets))
    return pairs
