"""What a service's stage function gets and gives.

A stage function is plain: `run(work, io) -> meta`. It reads input folders, writes files into the
output folder, and returns small facts for the manifest. It knows nothing of queues, records or
stores. It runs in a child process; being killed at any moment is ordinary.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from forgetscope.schema.base import JsonObject
from forgetscope.schema.plan import StageKind
from forgetscope.schema.stage import Breach, Manifest

__all__ = ["Machine", "StageFunction", "StageIO", "Work"]


class Machine(NamedTuple):
    """Operational settings of the worker: none of them changes what a result means.

    Threads and `processes` (that train one model together) can change the last bits of sums.
    """

    device: str = "cpu"
    processes: int = 1
    threads: int = 1
    batch_tokens: int = 8192
    resume_seconds: float = 30.0


class Work(NamedTuple):
    """One stage to run. `inputs` maps roles to manifests; `seed` derives from the key."""

    key: str
    kind: StageKind
    params: JsonObject
    inputs: dict[str, Manifest]
    seed: int


class StageIO(Protocol):
    """The stage's window to the world."""

    machine: Machine

    def input(self, role: str) -> Path:
        """Folder with the verified files of an input stage. Read-only; may be shared."""

    def input_file(self, role: str, path: str) -> Path:
        """One of these files, without fetching the others: a model's record, not its weights."""

    @property
    def output(self) -> Path:
        """Empty folder; every file in it becomes an artefact under its relative path."""

    @property
    def scratch(self) -> Path:
        """Folder for anything else; gone afterwards."""

    def progress(self, done: float, total: float, unit: str, **metrics: float) -> None:
        """Cheap: call it as often as you like, it is thinned out."""

    def breach(self, breach: Breach) -> None:
        """Tell of a monitor's call, at once. An attempt that resumes may tell it again."""

    def save_resume(self, folder: Path) -> None:
        """Keep the files of `folder` as the point from which a later attempt continues."""

    def resume(self) -> Path | None:
        """Folder that an earlier attempt saved, or None."""


StageFunction = Callable[[Work, StageIO], JsonObject]
StageTable = Mapping[StageKind, StageFunction]
