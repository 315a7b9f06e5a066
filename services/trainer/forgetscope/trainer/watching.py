"""Somebody who looks at a model while it is trained, and may end the training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

from forgetscope.schema.base import JsonObject

__all__ = ["Verdict", "Watch"]

Verdict = Literal["go on", "stop", "rollback"]


class Watch(Protocol):
    """Looks after every `every` steps. What it knows lives in the point to resume from, so that a
    resumed run decides as an undisturbed one does."""

    every: int

    @property
    def metrics(self) -> Mapping[str, float]:
        """What it saw last, for the progress of the stage."""

    def look(self, step: int) -> Verdict:
        """After optimiser step `step` (from 1). The model is in training mode before and after.
        `rollback`: the weights of the look before (or of the start) are to be the result; the
        watch has put them back in place."""

    def save(self, folder: Path) -> None:
        """Write what it knows into the point to resume from."""

    def restore(self, folder: Path) -> None: ...

    def finish(self, output: Path) -> JsonObject:
        """Write its record into the stage's output; small facts for the manifest."""
