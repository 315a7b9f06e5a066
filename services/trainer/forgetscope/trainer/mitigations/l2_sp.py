"""L2-SP: a pull towards the weights from which the stage began.

½·strength·‖θ − θ_start‖² is added to the loss (Li, Grandvalet, Davoine 2018, arXiv 1802.01483,
eq. 2; the paper's second term is for newly added layers, of which there are none here). Its
gradient is strength·(θ − θ_start).

θ are the trained parameters: with LoRA the factors, so the pull is on them and not on their
product. The paper trains by SGD. Under Adam the pull is rescaled with the rest of the gradient: it
turns the steps more than it shortens them, so that even an endless strength leaves some movement.
"""

from collections.abc import Callable

from forgetscope.core.mitigations import L2SpParams
from forgetscope.schema.base import JsonObject
from forgetscope.trainer.mitigations.base import Mitigation, Scene, add_penalty

__all__ = ["begin_l2_sp"]


def begin_l2_sp(scene: Scene, params: JsonObject) -> Mitigation:
    """Keeps one copy of the trained parameters."""
    strength = L2SpParams.model_validate(params).strength
    start = {name: p.detach().clone() for name, p in scene.trained.items()}

    def mitigate(backward: Callable[[], float]) -> float:
        loss = backward()
        for name, parameter in scene.trained.items():
            add_penalty(parameter, strength * (parameter.detach() - start[name]))
        return loss

    return mitigate
