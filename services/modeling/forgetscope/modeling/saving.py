"""Models and adapters into folders: the same weights are always the same bytes."""

import json
import shutil
from pathlib import Path

from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import GenerationConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from forgetscope.modeling.loading import ADAPTER_CONFIG, ADAPTER_WEIGHTS

__all__ = ["save_adapter", "save_model"]

_WEIGHT_SUFFIXES = {".safetensors", ".bin", ".pt", ".pth", ".pkl", ".ckpt", ".gguf"}
_OWN = {"config.json", "model.safetensors.index.json", "pytorch_model.bin.index.json"}


def save_model(model: PreTrainedModel, folder: Path, *, like: Path) -> None:
    """Write weights and configuration, and beside them the other files of the model `like`.

    Tokenizer and generation settings are copied, not written anew: writing them through the
    library would change bytes, and refuse generation settings that contradict each other.
    """
    transformers_logging.disable_progress_bar()
    model.generation_config = GenerationConfig()
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    for file in sorted(like.iterdir()):
        if file.is_file() and file.suffix not in _WEIGHT_SUFFIXES and file.name not in _OWN:
            shutil.copyfile(file, folder / file.name)


def save_adapter(model: PeftModel, folder: Path) -> None:
    """Write the LoRA adapter of `model`.

    The path of the base is left out and sets are sorted: both would differ from run to run.
    """
    weights = {
        k: v.detach().cpu().contiguous()
        for k, v in get_peft_model_state_dict(model, save_embedding_layers=False).items()
    }
    save_file(weights, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    config = model.peft_config["default"].to_dict()
    config |= {"base_model_name_or_path": None, "inference_mode": True}
    config["target_modules"] = sorted(config["target_modules"])
    text = json.dumps(config, indent=2, sort_keys=True, default=sorted)
    (folder / ADAPTER_CONFIG).write_text(text + "\n", encoding="utf-8")
