"""LoRA adapter folders in PEFT layout: do they fit the base model?"""

from forgetscope.adapters._layout import Folder, Shapes, json_object, require_safe, shapes
from forgetscope.schema.errors import AdapterMismatch, UnknownName

__all__ = ["ADAPTER_FILES", "check_adapter"]

_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
ADAPTER_FILES = (_CONFIG, _WEIGHTS)
_PREFIX = "base_model.model."  # PEFT puts it before the names of the base


def check_adapter(folder: Folder, base: Shapes) -> None:
    """Raises AdapterMismatch unless every pair of matrices fits a module of the base.

    For a module of weight [out, in], lora_A is [r, in] and lora_B is [out, r] (Hu et al. 2021,
    section 4.1, as PEFT stores them). UnknownName when no adapter is there, UnsafeWeights when it
    is pickled.
    """
    if _WEIGHTS not in folder.entries:
        require_safe(folder.entries, folder.where, _WEIGHTS)
    for name in ADAPTER_FILES:
        if name not in folder.entries:
            raise UnknownName(f"no LoRA adapter is there: {name} is missing.", where=folder.where)
    config = json_object(folder, _CONFIG)
    if config.get("peft_type") != "LORA":
        raise AdapterMismatch(
            f"the adapter is of type {config.get('peft_type')!r}; only LORA is merged.",
            where=folder.where,
        )
    pairs = _pairs(shapes(folder, _WEIGHTS))
    if not pairs:
        raise AdapterMismatch("the adapter holds no LoRA matrices.", where=folder.where)
    for module, (a, b) in sorted(pairs.items()):
        weight = _module_weight(module, base)
        if weight is None:
            raise _mismatch(folder, f"the base model has no module {module!r}.")
        # Conv1D modules, as in GPT-2, store their weight as [in, out].
        outputs_inputs = weight[::-1] if config.get("fan_in_fan_out") else weight
        fits = len(a) == len(b) == 2 and a[0] == b[1] and (b[0], a[1]) == outputs_inputs
        if not fits:
            raise _mismatch(
                folder,
                f"{module!r} has lora_A {_text(a)} and lora_B {_text(b)}, "
                f"but the base model's weight is {_text(weight)}.",
            )


def _pairs(found: Shapes) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Module → shapes of (lora_A, lora_B); () stands for one that is missing."""
    sides: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in found.items():
        for side in ("lora_A", "lora_B"):
            module, mark, _ = name.partition(f".{side}.")
            if mark:
                sides.setdefault(module.removeprefix(_PREFIX), {})[side] = shape
    return {
        module: (found.get("lora_A", ()), found.get("lora_B", ()))
        for module, found in sides.items()
    }


def _module_weight(module: str, base: Shapes) -> tuple[int, ...] | None:
    """Shape of the module's weight. Checkpoints may leave out the base's prefix, as GPT-2's."""
    wanted = f"{module}.weight"
    while True:
        if wanted in base:
            return base[wanted]
        _, dot, wanted = wanted.partition(".")
        if not dot or wanted == "weight":
            return None


def _mismatch(folder: Folder, detail: str) -> AdapterMismatch:
    return AdapterMismatch(
        detail, where=folder.where, hint="Use the base model that the adapter was trained on."
    )


def _text(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "missing"
