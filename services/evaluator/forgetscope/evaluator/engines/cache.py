"""One loaded engine, kept from stage to stage."""

from collections.abc import Callable
from typing import NamedTuple

from forgetscope.evaluator.engines.base import Engine

__all__ = ["EngineCache", "EngineKey"]


class EngineKey(NamedTuple):
    """Stages with an equal key can share a loaded engine. `model` is the digest of its files."""

    model: str
    engine: str
    dtype: str
    attention: str
    device: str
    max_length: int
    batch_tokens: int


class EngineCache:
    """Holds one engine, because two large models seldom fit into one memory.

    `loads` counts how often an engine was made.
    """

    def __init__(self) -> None:
        self._held: tuple[EngineKey, Engine] | None = None
        self.loads = 0

    def get(self, key: EngineKey, load: Callable[[], Engine]) -> Engine:
        """The held engine if it has this key; otherwise close it and load another."""
        if self._held is not None and self._held[0] == key:
            return self._held[1]
        self.clear()
        engine = load()
        self.loads += 1
        self._held = (key, engine)
        return engine

    def clear(self) -> None:
        if self._held is not None:
            held, self._held = self._held[1], None
            held.close()
