"""Base models that the platform makes itself, as the planner knows them (no weights here)."""

from typing import NamedTuple

from forgetscope.core.identity import digest_of
from forgetscope.core.model_shape import ModelShape
from forgetscope.core.registry import Registry

__all__ = ["BUILTIN_MODELS", "BuiltinInfo"]


class BuiltinInfo(NamedTuple):
    """`version` goes up whenever the recipe in `trainer.builtin` gives other files."""

    name: str
    version: int
    shape: ModelShape
    summary: str

    @property
    def parameters(self) -> int:
        return self.shape.parameters

    @property
    def fingerprint(self) -> str:
        return digest_of({"builtin": self.name, "version": self.version})


TINY = BuiltinInfo(
    name="tiny",
    version=1,
    shape=ModelShape(475_776, 2, 128, 256, 4, 1152, tied=True),
    summary="Untrained Llama of 2 layers, with a tokenizer that reads any text.",
)

BUILTIN_MODELS: Registry[BuiltinInfo] = Registry("built-in model", [(TINY.name, TINY)])
