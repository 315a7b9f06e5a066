"""Which adapters vLLM can swap in beside a loaded base. The others are merged into its weights."""

import json
import warnings
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from forgetscope.modeling.loading import ADAPTER_CONFIG, apply_adapter

__all__ = ["MAX_RANK", "SWAPPABLE_ARCHITECTURES", "require_fit", "swappable"]

# Those whose layers bear the names that the vLLM engine prepares for adapters.
SWAPPABLE_ARCHITECTURES = frozenset(
    {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"}
)
MAX_RANK = 64  # memory for adapters is set aside when the engine starts
_MODULES = frozenset({"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"})
_BEYOND_PLAIN_LORA = ("modules_to_save", "use_dora", "lora_bias", "rank_pattern", "alpha_pattern")


def swappable(folder: Path) -> bool:
    """Whether vLLM can put this adapter beside its base: plain LoRA on the layers of a Llama-like
    model, up to rank 64. Others are merged."""
    config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    targets = config.get("target_modules")
    return bool(
        isinstance(targets, list)
        and targets
        and _MODULES.issuperset(targets)
        and config.get("r", 0) <= MAX_RANK
        and config.get("bias", "none") == "none"
        and not any(config.get(key) for key in _BEYOND_PLAIN_LORA)
    )


def require_fit(model: Path, adapter: Path) -> None:
    """vLLM takes an adapter made for a narrower model without a word, so its names and shapes are
    compared first, with a model that has no memory. Raises AdapterMismatch."""
    config = AutoConfig.from_pretrained(model, trust_remote_code=False, local_files_only=True)
    with torch.device("meta"):
        shell = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*copying from a non-meta parameter")
        apply_adapter(shell, adapter)
