"""What the monitor of a training stage saw: biased forgetting of an earlier task, look by look.

Fractions; positive is more forgotten than the task as a whole. All numbers are about the pool of
probes, which are training examples of the watched task; see `core.inference.sequential`.
"""

from pydantic import Field

from forgetscope.schema.base import Value
from forgetscope.schema.stage import Breach
from forgetscope.schema.steps import MonitorSpec

__all__ = ["MonitorLook", "MonitoredGroup", "MonitoredStage"]


class MonitorLook(Value):
    """One group at one look. `low` and `high` are of `mean`, and hold for all groups at all looks
    together, at the monitor's `alpha`."""

    step: int = Field(ge=1, description="optimiser steps done")
    estimate: float = Field(description="biased forgetting at this look alone")
    mean: float = Field(description="of all looks so far")
    low: float
    high: float


class MonitoredGroup(Value):
    """One group; `call` is null where it was never called."""

    group: str
    looks: tuple[MonitorLook, ...]
    call: Breach | None


class MonitoredStage(Value):
    """The training at the end of `chain`, for one seed. No look, no `groups`.

    `stopped_at` is null where the stage ran to its end; `weights_of_step` is the step whose weights
    are the result, null likewise.
    """

    chain: tuple[str, ...]
    seed: int
    watched: str = Field(description="the earlier task")
    settings: MonitorSpec
    steps: int = Field(ge=0, description="optimiser steps done")
    looks: int = Field(ge=0)
    stopped_at: int | None
    weights_of_step: int | None
    groups: tuple[MonitoredGroup, ...]
