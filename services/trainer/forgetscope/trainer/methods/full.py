"""Full tuning: every weight is trained, and the result is a whole model."""

from forgetscope.core.methods import FullParams
from forgetscope.modeling.saving import save_model
from forgetscope.schema.base import JsonObject
from forgetscope.trainer.methods.base import Source, Tuning

__all__ = ["begin_full"]


def begin_full(source: Source, params: JsonObject) -> Tuning:
    FullParams.model_validate(params)
    model = source.load_weights()
    model.requires_grad_(True)
    return Tuning(model, "full", lambda folder: save_model(model, folder, like=source.base))
