"""The values of one training stage: defaults, then the spec, then its overrides. Pure."""

import math

from forgetscope.core.methods import METHODS
from forgetscope.core.mitigations import MITIGATIONS, resolve_component
from forgetscope.schema.base import JsonObject
from forgetscope.schema.training import TrainingSpec, TrainingValues

__all__ = ["resolve_training", "step_count"]

# METHOD.md section 3 where it names a value; the others are those of the transformers trainer.
TRAINING_DEFAULTS: JsonObject = {
    "batch_size": 32,
    "epochs": 3.0,
    "weight_decay": 0.0,
    "warmup_ratio": 0.0,
    "max_grad_norm": 1.0,
    "max_length": 1024,
    "batching": "length_grouped",
    "dtype": "float32",
    "attention": "sdpa",
    "gradient_checkpointing": False,
}


def step_count(examples: int, batch_size: int, epochs: float) -> int:
    """Optimiser steps of `epochs` passes (may be fractional: 0.5 is half of the first pass)."""
    return max(1, math.ceil(epochs * math.ceil(examples / batch_size)))


def resolve_training(
    training: TrainingSpec, task: str, position: int, own: TrainingValues | None = None
) -> JsonObject:
    """Every value of one training stage: defaults, then the spec, then overrides in order, then
    those of its step (`own`). `steps` and `mitigation` are there only when they are asked for.

    Raises UnknownName for the method, InvalidSpec for its parameters.
    """
    values: JsonObject = dict(TRAINING_DEFAULTS)
    layers = [training.model_dump(exclude={"overrides"}, exclude_none=True)]
    for override in training.overrides:
        if override.task in (None, task) and override.position in (None, position):
            layers.append(override.values.model_dump(exclude_none=True))
    if own is not None:
        layers.append(own.model_dump(exclude_none=True))
    choice: JsonObject = {"name": "full", "params": {}}
    mitigation: JsonObject | None = None
    for layer in layers:
        chosen = layer.pop("method", None)
        choice = chosen if isinstance(chosen, dict) else choice
        mitigating = layer.pop("mitigation", None)
        mitigation = mitigating if isinstance(mitigating, dict) else mitigation
        values.update(layer)
    method = METHODS.get(str(choice["name"]))
    values["method"] = method.name
    values["method_params"] = method.resolve(choice["params"])
    values.setdefault("learning_rate", method.default_learning_rate)
    values.setdefault("micro_batch_size", values["batch_size"])
    if mitigation is not None:
        component = MITIGATIONS.get(str(mitigation["name"]), where="/training/mitigation")
        values["mitigation"] = component.name
        values["mitigation_params"] = resolve_component(
            "mitigation",
            component.params,
            component.name,
            mitigation["params"],
            "/training/mitigation",
        )
    return values
