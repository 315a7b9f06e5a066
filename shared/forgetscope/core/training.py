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
    training: TrainingSpec,
    task: str,
    position: int,
    own: TrainingValues | None = None,
    own_where: str = "/training",
) -> JsonObject:
    """Every value of one training stage: defaults, then the spec, then overrides in order, then
    those of its step (`own`, which stands at `own_where`). `steps` and `mitigation` are there only
    when they are asked for.

    Raises UnknownName and InvalidSpec for the method, the mitigation, and their parameters.
    """
    values: JsonObject = dict(TRAINING_DEFAULTS)
    layers = [("/training", training.model_dump(exclude={"overrides"}, exclude_none=True))]
    for i, override in enumerate(training.overrides):
        if override.task in (None, task) and override.position in (None, position):
            found = override.values.model_dump(exclude_none=True)
            layers.append((f"/training/overrides/{i}/values", found))
    if own is not None:
        layers.append((own_where, own.model_dump(exclude_none=True)))
    choice: JsonObject = {"name": "full", "params": {}}
    mitigation: JsonObject | None = None
    method_at = mitigation_at = ""
    for at, layer in layers:
        if isinstance(chosen := layer.pop("method", None), dict):
            choice, method_at = chosen, f"{at}/method"
        if isinstance(chosen := layer.pop("mitigation", None), dict):
            mitigation, mitigation_at = chosen, f"{at}/mitigation"
        values.update(layer)
    method = METHODS.get(str(choice["name"]), where=method_at)
    values["method"] = method.name
    values["method_params"] = method.resolve(choice["params"], where=method_at)
    values.setdefault("learning_rate", method.default_learning_rate)
    values.setdefault("micro_batch_size", values["batch_size"])
    if mitigation is not None:
        component = MITIGATIONS.get(str(mitigation["name"]), where=mitigation_at)
        values["mitigation"] = component.name
        values["mitigation_params"] = resolve_component(
            "mitigation", component.params, component.name, mitigation["params"], mitigation_at
        )
    return values
