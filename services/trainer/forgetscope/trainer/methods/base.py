"""What a tuning method gets and gives."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from peft import PeftModel
from transformers import PreTrainedModel

from forgetscope.modeling.loading import apply_adapter, is_adapter, load_model, merge_adapter
from forgetscope.schema.base import JsonObject

__all__ = ["Source", "Tuning", "TuningMethod"]


class Source(NamedTuple):
    """Where training starts: the experiment's base model, and the stage before, if there is one.

    Weights are loaded in float32, whatever the compute dtype: an update of 1e-5 of a weight is
    lost in bfloat16.
    """

    base: Path
    parent: Path | None
    attention: str

    def load_base(self) -> PreTrainedModel:
        return load_model(self.base, "float32", self.attention)

    def load_weights(self) -> PreTrainedModel:
        """The model as the stage before left it, as plain weights."""
        if self.parent is None:
            return self.load_base()
        if is_adapter(self.parent):
            return merge_adapter(apply_adapter(self.load_base(), self.parent))
        return load_model(self.parent, "float32", self.attention)


class Tuning(NamedTuple):
    """A model ready to be trained. `save` writes the result in `form`; it may consume the model.

    `settle`, where there is one, runs after each optimiser step and puts the weights back to where
    the method allows them to be; it needs them in one piece.
    """

    model: PreTrainedModel | PeftModel
    form: Literal["full", "adapter"]
    save: Callable[[Path], None]
    settle: Callable[[], None] | None = None


class TuningMethod(Protocol):
    """Makes a model trainable. Torch's generator is seeded when it is called.

    Raises AdapterMismatch, InvalidInput, UnknownName, UnsafeWeights.
    """

    def __call__(self, source: Source, params: JsonObject) -> Tuning: ...
