"""The values of one training stage: defaults, then the spec, then its overrides. Pure."""

from forgetscope.core.methods import METHODS
from forgetscope.schema.base import JsonObject
from forgetscope.schema.experiment import TrainingSpec

__all__ = ["resolve_training"]

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


def resolve_training(training: TrainingSpec, task: str, position: int) -> JsonObject:
    """Every value of one training stage: defaults, then the spec, then overrides in order.

    Raises UnknownName for the method, InvalidSpec for its parameters.
    """
    values: JsonObject = dict(TRAINING_DEFAULTS)
    layers = [training.model_dump(exclude={"overrides"}, exclude_none=True)]
    for override in training.overrides:
        if override.task in (None, task) and override.position in (None, position):
            layers.append(override.values.model_dump(exclude_none=True))
    choice: JsonObject = {"name": "full", "params": {}}
    for layer in layers:
        chosen = layer.pop("method", None)
        if isinstance(chosen, dict):
            choice = chosen
        values.update(layer)
    method = METHODS.get(str(choice["name"]))
    values["method"] = method.name
    values["method_params"] = method.resolve(choice["params"])
    values.setdefault("learning_rate", method.default_learning_rate)
    values.setdefault("micro_batch_size", values["batch_size"])
    return values
