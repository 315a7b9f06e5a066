"""Models, tokenizers and adapters from folders. Safetensors only; code in a folder never runs."""

import json
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft import set_peft_model_state_dict as fill_adapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from forgetscope.schema.errors import AdapterMismatch, InvalidInput, UnknownName, UnsafeWeights

__all__ = [
    "ADAPTER_CONFIG",
    "ADAPTER_WEIGHTS",
    "TokenizerEncoder",
    "apply_adapter",
    "is_adapter",
    "load_model",
    "load_tokenizer",
    "merge_adapter",
    "read_adapter_config",
]

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}
_PICKLED = {".bin", ".pt", ".pth", ".pkl", ".ckpt"}
_SHOWN = 5


class TokenizerEncoder:
    """A tokenizer as `core.encoding.Encoder`: BOS in front where it adds one, EOS never."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        first = tokenizer("a", add_special_tokens=True)["input_ids"][:1]
        adds_bos = tokenizer.bos_token_id is not None and first == [tokenizer.bos_token_id]
        self.bos: int | None = tokenizer.bos_token_id if adds_bos else None

    def __call__(self, text: str) -> list[int]:
        ids: list[int] = list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        if self.bos is None or ids[:1] == [self.bos]:
            return ids
        return [self.bos, *ids]


def load_model(
    folder: Path,
    dtype: str,
    attention: str,
    device: str = "cpu",
) -> PreTrainedModel:
    """Load a causal language model in evaluation mode.

    `dtype` is "float32", "bfloat16" or "float64" (for exact tests); `attention` is "sdpa" or
    "eager".

    Raises UnknownName (no model in the folder), UnsafeWeights (pickled weights only) and
    InvalidInput (an architecture that needs its own code, or weights that do not fill the model:
    transformers would leave what is missing at random values).
    """
    _require_weights(folder, "config.json", "*.safetensors")
    transformers_logging.disable_progress_bar()  # the log is read as a file
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=DTYPES[dtype],
            attn_implementation=attention,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InvalidInput(
            f"the model cannot be loaded: {error}",
            where=folder.name,
            hint="Give a causal language model in transformers layout, without code of its own.",
        ) from error
    missing = sorted(info["missing_keys"])
    if missing:
        raise InvalidInput(
            f"{len(missing)} weights are missing from the files: {_some(missing)}",
            where=folder.name,
            hint="The folder holds another architecture, or only a part of a model.",
        )
    return model.to(device).eval()


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load a tokenizer; where it names no padding token, EOS serves (padding is masked anyway).

    Raises InvalidInput.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInput(
            f"the tokenizer cannot be loaded: {error}",
            where=folder.name,
            hint="Put the tokenizer's files beside the model's weights.",
        ) from error
    if tokenizer.pad_token_id is None and tokenizer.eos_token_id is not None:
        tokenizer.pad_token_id = tokenizer.eos_token_id
    return tokenizer


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds an adapter rather than a whole model."""
    return (folder / ADAPTER_CONFIG).is_file()


def apply_adapter(model: PreTrainedModel, folder: Path, *, trainable: bool = False) -> PeftModel:
    """Put the LoRA adapter in `folder` on a plain `model` (which is changed in place).

    With `trainable` its factors need gradients and stay float32; otherwise nothing does.
    `PeftModel.unload()` takes it off again.

    Raises UnknownName, UnsafeWeights; AdapterMismatch when modules or shapes do not fit, and then
    leaves the model as it was.
    """
    _require_weights(folder, ADAPTER_CONFIG, ADAPTER_WEIGHTS)
    config = read_adapter_config(folder)
    config.inference_mode = not trainable
    stored = _shapes(folder / ADAPTER_WEIGHTS)
    try:
        adapted = get_peft_model(model, config)
    except (ValueError, RuntimeError) as error:
        raise _mismatch(folder, str(error)) from error
    wanted = {
        k: tuple(v.shape)
        for k, v in get_peft_model_state_dict(adapted, save_embedding_layers=False).items()
    }
    problems = [
        *(f"{k}: no such module in the base" for k in sorted(stored.keys() - wanted.keys())),
        *(f"{k}: missing from the adapter" for k in sorted(wanted.keys() - stored.keys())),
        *(
            f"{k}: adapter {list(stored[k])}, base {list(wanted[k])}"
            for k in sorted(stored.keys() & wanted.keys())
            if stored[k] != wanted[k]
        ),
    ]
    if problems:
        adapted.unload()
        raise _mismatch(folder, _some(problems))
    fill_adapter(adapted, load_file(folder / ADAPTER_WEIGHTS))
    return adapted.train(mode=False)


def merge_adapter(model: PeftModel) -> PreTrainedModel:
    """Add the adapter to the weights and return the plain model.

    Raises AdapterMismatch when the sum is not finite.
    """
    try:
        return model.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise AdapterMismatch(f"the adapter cannot be merged: {error}") from error


def read_adapter_config(folder: Path) -> LoraConfig:
    """Read `adapter_config.json`. Raises AdapterMismatch for anything but LoRA."""
    try:
        kind = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8")).get("peft_type")
        if kind != "LORA":
            raise _mismatch(folder, f"its type is {kind!r}; only LORA is supported")
        return LoraConfig.from_pretrained(str(folder))
    except (json.JSONDecodeError, TypeError, AttributeError, KeyError) as error:
        raise _mismatch(folder, f"{ADAPTER_CONFIG} cannot be read: {error}") from error


def _require_weights(folder: Path, config: str, weights: str) -> None:
    if not (folder / config).is_file():
        raise UnknownName(
            f"there is no {config}", where=folder.name, hint="Give a folder in transformers layout."
        )
    if any(folder.glob(weights)):
        return
    pickled = sorted(p.name for p in folder.iterdir() if p.suffix in _PICKLED)
    if pickled:
        raise UnsafeWeights(
            f"the weights are pickled: {_some(pickled)}",
            where=folder.name,
            hint="Convert them to safetensors: loading a pickle runs the code in it.",
        )
    raise UnknownName(f"there is no {weights}", where=folder.name)


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise AdapterMismatch(f"{path.name} cannot be read: {error}") from error


def _mismatch(folder: Path, detail: str) -> AdapterMismatch:
    return AdapterMismatch(
        f"the adapter does not fit this base model: {detail}",
        where=folder.name,
        hint="Use the adapter with the base model that it was trained on.",
    )


def _some(items: list[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return "; ".join(items[:_SHOWN]) + more
