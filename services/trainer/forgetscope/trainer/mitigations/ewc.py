"""EWC: a pull towards earlier trainings' weights, as strong as each of them needs a weight.

½·strength·Σ_k Σ_i F_k,i (θ_i − θ*_k,i)² is added to the loss (Kirkpatrick et al. 2017, arXiv
1612.00796, eq. 3): one term for each earlier training k of the chain, with its weights θ*_k and the
diagonal F_k of its Fisher information (`trainer.fisher`). The gradient is
strength·Σ_k F_k,i (θ_i − θ*_k,i).

F is per answer token, as the loss is. So strength 1 weighs a nat of an earlier task, to second
order, like a nat of the task at hand. More is usual: F is small where the model is sure of its
answers, and the true loss rises faster than its parabola.

The sum over k is one parabola around the mean of the θ*_k, weighted by F_k (Huszár 2018, arXiv
1712.03847), plus a constant: two tensors for each parameter are kept however long the chain is.
θ are the trained parameters; with LoRA the factors.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from forgetscope.core.mitigations import EwcParams
from forgetscope.modeling.loading import ADAPTER_WEIGHTS, is_adapter, load_model
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import InvalidInput
from forgetscope.trainer.mitigations.base import FISHER, Mitigation, Scene, add_penalty

__all__ = ["begin_ewc"]


def begin_ewc(scene: Scene, params: JsonObject) -> Mitigation:
    """Raises InvalidInput without an anchor, or when the parameters of one are not those that are
    trained here."""
    strength = EwcParams.model_validate(params).strength
    if not scene.anchors:
        raise InvalidInput(
            "EWC has no earlier training to hold on to",
            where="/training/mitigation",
            hint="Use it from the second stage on.",
        )
    importance = {name: torch.zeros_like(p) for name, p in scene.trained.items()}
    centre = {name: torch.zeros_like(p) for name, p in scene.trained.items()}
    for i, anchor in enumerate(scene.anchors):
        weights = _weights(anchor.checkpoint, scene.trained)
        fisher = load_file(anchor.fisher / FISHER)
        for what, found in ((f"anchor-{i}", weights), (f"fisher-{i}", fisher)):
            _check(what, found, scene.trained)
        for name, parameter in scene.trained.items():
            f, w = fisher[name].to(parameter.device), weights[name].to(parameter.device)
            importance[name] += f
            # A running weighted mean: exactly `w` as long as there is but one anchor.
            share = torch.where(f > 0, f / importance[name], 0.0) if i else torch.ones_like(f)
            centre[name] = torch.lerp(centre[name], w, share)

    def mitigate(backward: Callable[[], float]) -> float:
        loss = backward()
        for name, parameter in scene.trained.items():
            away = parameter.detach() - centre[name]
            add_penalty(parameter, strength * importance[name] * away)
        return loss

    return mitigate


def _weights(checkpoint: Path, names: Iterable[str]) -> dict[str, Tensor]:
    """The weights of a stage by the names that the recipe gives to trained parameters, which begin
    with "model."; those of an adapter carry its name, too, and its file leaves that out."""
    if not is_adapter(checkpoint):
        model = load_model(checkpoint, "float32", "sdpa")
        return {f"model.{name}": p.detach() for name, p in model.named_parameters()}
    saved = load_file(checkpoint / ADAPTER_WEIGHTS)
    as_saved = {name: name.removeprefix("model.").replace(".default.", ".") for name in names}
    return {name: saved[key] for name, key in as_saved.items() if key in saved}


def _check(what: str, found: Mapping[str, Tensor], trained: Mapping[str, Tensor]) -> None:
    for name, parameter in trained.items():
        if name not in found:
            problem = f"{name} is missing"
        elif found[name].shape != parameter.shape:
            problem = f"{name} has shape {list(found[name].shape)}, here {list(parameter.shape)}"
        else:
            continue
        raise InvalidInput(
            f"the earlier training has other parameters: {problem}",
            where=what,
            hint="EWC needs one tuning method with the same parameters in every stage.",
        )
