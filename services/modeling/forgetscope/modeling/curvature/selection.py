"""Which parameters are differentiated: all, LoRA factors, a block of layers, what prefixes name."""

from collections.abc import Sequence

from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from forgetscope.schema.errors import InvalidInput, UnknownName

__all__ = ["decoder_layers", "layer_block", "select_parameters"]


def select_parameters(
    model: PreTrainedModel | PeftModel, prefixes: Sequence[str] = ()
) -> dict[str, Tensor]:
    """Parameters by name, as the plain model calls them; a tied weight comes once.

    An adapted model gives its LoRA factors, any other all that can be trained. `prefixes` keep
    what lies under them, dot by dot: "model.layers.1" is not "model.layers.10".

    Raises UnknownName for a prefix with nothing under it, InvalidInput when nothing is left.
    """
    adapted = isinstance(model, PeftModel)
    candidates = {
        name.removeprefix("base_model.model."): parameter
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if (".lora_" in name if adapted else parameter.requires_grad)
    }
    for prefix in prefixes:
        if not any(_under(name, prefix) for name in candidates):
            raise UnknownName(
                f"no trainable parameter lies under {prefix!r}",
                where="/curvature/parameters",
                hint=f"Names look like {next(iter(candidates), 'none: nothing is trainable')!r}.",
            )
    chosen: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, parameter in candidates.items():
        if id(parameter) in seen or (prefixes and not any(_under(name, p) for p in prefixes)):
            continue
        seen.add(id(parameter))
        chosen[name] = parameter
    if not chosen:
        raise InvalidInput("the model has no trainable parameter", where="/curvature/parameters")
    return chosen


def layer_block(model: PreTrainedModel | PeftModel, first: int, last: int) -> list[str]:
    """Prefixes of the decoder layers `first` to `last`, both included, from 0."""
    name, layers = decoder_layers(model)
    if not 0 <= first <= last < len(layers):
        raise InvalidInput(
            f"layers {first} to {last} are not among the {len(layers)} of the model",
            where="/curvature/parameters",
            hint="Layers count from 0.",
        )
    return [f"{name}.{i}" for i in range(first, last + 1)]


def decoder_layers(model: PreTrainedModel | PeftModel) -> tuple[str, nn.ModuleList]:
    """The decoder's layers and their name in the plain model. Raises InvalidInput."""
    plain = model.get_base_model() if isinstance(model, PeftModel) else model
    for name, module in plain.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == plain.config.num_hidden_layers:
            return name, module
    raise InvalidInput(f"{type(plain).__name__} has no list of decoder layers", where="/model")


def _under(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix.rstrip(".") + ".")
