"""OSF: every stage leaves the largest singular directions of the weights alone.

Orthogonal subspace fine-tuning (Nayak et al. 2025, arXiv 2504.07097, section 3), in the form of the
`peft` library. At the start of a stage each target W = U·diag(S)·V is split after its first
`effective_rank` singular values. U_high, S_high, V_high stay; U_low, S_low, V_low are trained, with
U_low kept orthogonal to U_high and V_low to V_high. So W maps the kept input directions V_high to
the same outputs at the end of the stage as at its start. The result is a whole model in plain
weights, and the next stage splits those anew.

`peft` projects the gradients. Under Adam that is not enough: it rescales each coordinate for
itself, and the step leaves the subspace that its gradient lay in. So the factors are projected,
too, after each step (projected gradient descent): by I − U_high·U_highᵀ, or, where `peft` does not
keep U_high because U is square, by the equal U_low·U_lowᵀ of the start; V likewise.
"""

from pathlib import Path

import torch
from peft import OSFConfig, PeftModel, get_peft_model
from peft.tuners.osf.layer import OSFLayer
from torch import nn
from transformers import PreTrainedModel

from forgetscope.core.methods import OsfParams
from forgetscope.modeling.loading import merge_adapter
from forgetscope.modeling.saving import save_model
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import InvalidInput
from forgetscope.trainer.methods.base import Source, Tuning
from forgetscope.trainer.methods.lora import linear_targets

__all__ = ["begin_osf"]

_ADAPTER = "default"


def begin_osf(source: Source, params: JsonObject) -> Tuning:
    """Raises InvalidInput for layers that `peft` cannot split, or a rank that leaves nothing to
    train or to keep in one of them."""
    osf = OsfParams.model_validate(params)
    start = source.load_weights()
    targets, transposed = linear_targets(start, osf.target_modules)
    if transposed:
        raise InvalidInput(
            f"{type(start).__name__} stores its weights transposed, which osf cannot split",
            where="/training/method",
            hint="Use full tuning or LoRA for this model.",
        )
    _check_rank(start, targets, osf.effective_rank)
    config = OSFConfig(
        effective_rank=osf.effective_rank, target_modules=targets, task_type="CAUSAL_LM"
    )
    model: PeftModel = get_peft_model(start, config)
    layers = [module for module in model.modules() if isinstance(module, OSFLayer)]

    def save_merged(folder: Path) -> None:
        save_model(merge_adapter(model), folder, like=source.base)

    def settle() -> None:
        for layer in layers:
            _project(layer)

    return Tuning(model, "full", save_merged, settle)


def _check_rank(model: PreTrainedModel, targets: list[str], rank: float) -> None:
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and name.rsplit(".", 1)[-1] in targets:
            least = min(module.weight.shape)
            kept = rank if isinstance(rank, int) else int(rank * least)
            if not 0 < kept < least:
                raise InvalidInput(
                    f"an effective rank of {rank} keeps {kept} of the {least} directions of {name}",
                    where="/training/method/params/effective_rank",
                    hint="Keep at least one and leave at least one, or name other target_modules.",
                )


@torch.no_grad()
def _project(layer: OSFLayer) -> None:
    """U_low [out, r] and V_low [r, in] back into the complements of U_high and V_high."""
    u, v = (layer.osf_svd_params[_ADAPTER][name] for name in ("U_low", "V_low"))
    if _ADAPTER in layer._osf_U_high:
        high = layer._osf_U_high[_ADAPTER]  # [out, kept]
        u -= high @ (high.T @ u)
    else:
        low = layer._osf_U_low_init[_ADAPTER]
        u.copy_(low @ (low.T @ u))
    if _ADAPTER in layer._osf_V_high:
        high = layer._osf_V_high[_ADAPTER]  # [kept, in]
        v -= (v @ high.T) @ high
    else:
        low = layer._osf_V_low_init[_ADAPTER]
        v.copy_((v @ low.T) @ low)
