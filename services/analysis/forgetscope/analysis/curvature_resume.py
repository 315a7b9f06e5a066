"""A point from which a curvature stage goes on: finished parts, and the tensors of the present one.

Writing a large Krylov space takes long, so the next point waits for ten times as long.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import JsonValue
from safetensors.torch import load_file, save_file
from torch import Tensor

from forgetscope.ports.stage import StageIO

__all__ = ["Point"]

_PARTS, _TENSORS = "parts.json", "state.safetensors"
_PATIENCE = 10


class Point:
    """Parts by name, done or to do. `tensors` are those of the part that was under way."""

    def __init__(self, io: StageIO, clock: Callable[[], float]) -> None:
        self._io = io
        self._clock = clock
        self._next = clock() + io.machine.resume_seconds
        self.parts: dict[str, Any] = {}
        self.tensors: dict[str, Tensor] = {}
        folder = io.resume()
        if folder is not None:
            self.parts = json.loads((folder / _PARTS).read_text(encoding="utf-8"))
            self.tensors = load_file(folder / _TENSORS)

    def part(self, name: str, compute: Callable[[], JsonValue]) -> Any:
        """What `compute` gives, once: a resumed run takes it from the point."""
        if name not in self.parts:
            self.parts[name] = compute()
        return self.parts[name]

    def take(self, prefix: str) -> dict[str, Tensor]:
        """The saved tensors of one state; empty where there are none."""
        return {
            name.removeprefix(f"{prefix}/"): t
            for name, t in self.tensors.items()
            if name.startswith(f"{prefix}/")
        }

    def maybe_save(self, state: Callable[[], tuple[str, Mapping[str, Tensor]]]) -> None:
        """Save parts and the state (prefix, tensors) when it is time."""
        began = self._clock()
        if began < self._next:
            return
        folder = self._io.scratch / "resume"
        folder.mkdir(exist_ok=True)
        (folder / _PARTS).write_text(json.dumps(self.parts, allow_nan=False), encoding="utf-8")
        prefix, tensors = state()
        named = {f"{prefix}/{name}": t for name, t in tensors.items()}
        save_file(named or {"none": torch.zeros(1)}, folder / _TENSORS)
        self._io.save_resume(folder)
        ended = self._clock()
        self._next = ended + max(self._io.machine.resume_seconds, _PATIENCE * (ended - began))
