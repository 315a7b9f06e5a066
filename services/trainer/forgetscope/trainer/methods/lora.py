"""LoRA. An adapter stays an adapter as long as it belongs to the experiment's base model.

stage before                        this stage starts from            and leaves
none                                a fresh adapter on the base       an adapter
adapter with these parameters       that adapter                      an adapter
adapter with other parameters       a fresh one on the merged weights a whole model
whole model                         a fresh one on those weights      a whole model
"""

from pathlib import Path

from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from forgetscope.core.methods import LoraParams
from forgetscope.modeling.loading import (
    apply_adapter,
    is_adapter,
    merge_adapter,
    read_adapter_config,
)
from forgetscope.modeling.saving import save_adapter, save_model
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import InvalidInput
from forgetscope.trainer.methods.base import Source, Tuning

__all__ = ["begin_lora", "linear_targets"]


def begin_lora(source: Source, params: JsonObject) -> Tuning:
    lora = LoraParams.model_validate(params)
    if source.parent is not None and is_adapter(source.parent):
        base = source.load_base()
        if _same(read_adapter_config(source.parent), _config(base, lora)):
            adapted = apply_adapter(base, source.parent, trainable=True)
            return Tuning(adapted, "adapter", lambda folder: save_adapter(adapted, folder))
    start = source.load_weights()
    model: PeftModel = get_peft_model(start, _config(start, lora))
    if source.parent is None:
        return Tuning(model, "adapter", lambda folder: save_adapter(model, folder))

    def save_merged(folder: Path) -> None:
        save_model(merge_adapter(model), folder, like=source.base)

    return Tuning(model, "full", save_merged)


def _config(model: PreTrainedModel, params: LoraParams) -> LoraConfig:
    targets, transposed = linear_targets(model, params.target_modules)
    return LoraConfig(
        r=params.rank,
        lora_alpha=params.alpha,
        lora_dropout=params.dropout,
        target_modules=targets,
        bias=params.bias,
        fan_in_fan_out=transposed,
        task_type="CAUSAL_LM",
    )


def linear_targets(model: PreTrainedModel, wanted: str | tuple[str, ...]) -> tuple[list[str], bool]:
    """Last parts of the names of the target modules, and whether they are transposed (GPT-2).

    Written out instead of "all-linear", so that any engine that reads the adapter agrees.
    Raises InvalidInput when a wanted name is nowhere in the model.
    """
    head = model.get_output_embeddings()
    linear = {
        name.rsplit(".", 1)[-1]: isinstance(module, Conv1D)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and module is not head
    }
    names = sorted(linear) if isinstance(wanted, str) else sorted(set(wanted))
    unknown = [name for name in names if name not in linear]
    if unknown:
        raise InvalidInput(
            f"the model has no linear layer called {', '.join(unknown)}",
            where="/training/method/params/target_modules",
            hint=f"It has: {', '.join(sorted(linear))}.",
        )
    return names, any(linear[name] for name in names)


def _same(one: LoraConfig, other: LoraConfig) -> bool:
    return all(
        getattr(one, field) == getattr(other, field)
        for field in ("r", "lora_alpha", "lora_dropout", "target_modules", "bias")
    )
