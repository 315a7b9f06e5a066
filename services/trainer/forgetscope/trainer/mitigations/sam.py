"""SAM: the gradient where the loss is worst nearby, so that training ends in a flat place.

The gradient of a step is ∇L(θ + e) with e = radius·∇L(θ)/‖∇L(θ)‖₂, the norm taken over all
trained parameters (Foret et al. 2021, arXiv 2010.01412, eq. 2 and 3, p = 2). That an earlier task
learned in a flat place is forgotten less is Mirzadeh et al. 2020 (arXiv 2006.06958).

Both passes see the same examples and the same dropout: the generator is put back between them, so
they are gradients of one function. The weights are put back from a copy, not by subtracting e.
With radius 0 the training is therefore plain training, bit for bit, at twice the price.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from forgetscope.core.mitigations import SamParams
from forgetscope.schema.base import JsonObject
from forgetscope.trainer.mitigations.base import Mitigation, Scene

__all__ = ["begin_sam"]


def begin_sam(scene: Scene, params: JsonObject) -> Mitigation:
    """Keeps one copy of the trained parameters during a step. The loss is that at θ."""
    radius = SamParams.model_validate(params).radius
    trained = list(scene.trained.values())

    def mitigate(backward: Callable[[], float]) -> float:
        before = _random_states(trained)
        loss = backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None])
        if float(norm) == 0.0:  # nowhere is worse
            return loss
        weights = [p.detach().clone() for p in trained]
        with torch.no_grad():
            for parameter in trained:  # each gradient is let go at once: the next ones come
                if parameter.grad is not None:
                    parameter.add_(parameter.grad * (radius / norm))
                parameter.grad = None
        _set_random_states(before)
        backward()
        with torch.no_grad():
            for parameter, weight in zip(trained, weights, strict=True):
                parameter.copy_(weight)
        return loss

    return mitigate


def _random_states(trained: Iterable[Tensor]) -> tuple[Tensor, Tensor | None]:
    on_gpu = any(p.is_cuda for p in trained)
    return torch.get_rng_state(), torch.cuda.get_rng_state() if on_gpu else None


def _set_random_states(states: tuple[Tensor, Tensor | None]) -> None:
    cpu, gpu = states
    torch.set_rng_state(cpu)
    if gpu is not None:
        torch.cuda.set_rng_state(gpu)
