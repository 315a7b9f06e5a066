"""A stage in the records: state, blobs and manifest."""

from typing import Literal

from pydantic import Field

from forgetscope.schema.base import Digest, JsonObject, StageKey, Value
from forgetscope.schema.plan import Queue, StageKind

__all__ = [
    "BlobRef",
    "Breach",
    "ExperimentState",
    "Failure",
    "Manifest",
    "Progress",
    "RunKind",
    "StageState",
]

StageState = Literal["pending", "ready", "running", "succeeded", "failed", "skipped", "cancelled"]
ExperimentState = Literal["queued", "running", "succeeded", "failed", "cancelling", "cancelled"]
RunKind = Literal["experiment", "audit"]
"""What stages belong to: both are recorded and run alike."""


class BlobRef(Value):
    """Stored bytes: named by their sha256, never overwritten."""

    digest: Digest
    size: int = Field(ge=0)
    media_type: str = "application/octet-stream"


class Manifest(Value):
    """What a finished stage left behind: files by relative path, and small facts about it.

    Written last: its presence in the records means that the stage is complete.
    """

    stage: StageKey
    kind: StageKind
    files: dict[str, BlobRef]
    meta: JsonObject = {}


class Progress(Value):
    """How far a running stage is. `eta_seconds` is its own estimate, absent until it has one."""

    done: float = Field(ge=0)
    total: float = Field(gt=0)
    unit: str
    eta_seconds: float | None = Field(default=None, ge=0)
    metrics: dict[str, float] = {}


class Breach(Value):
    """A monitor's call: the biased forgetting of a group passed the margin while a stage trained.

    `mean` is that of all looks so far, `lower` the lower end of its interval.
    """

    group: str
    step: int = Field(ge=1, description="optimiser steps done at the look of the call")
    look: int = Field(ge=1)
    margin: float
    mean: float
    lower: float
    action: Literal["warn", "stop", "rollback"]


class Failure(Value):
    """Why an attempt or a stage ended badly; the same words the API shows."""

    code: str
    detail: str
    where: str | None = None
    hint: str | None = None
    permanent: bool = False


__all__ += ["Queue", "StageKind"]
