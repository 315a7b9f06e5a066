"""The lives of stages and experiments as data and pure functions.

A stage moves along `TRANSITIONS` and no other way. An experiment has no life of its own: its state
follows from how many of its stages are in which state, and from what its owner asked for.
"""

from collections.abc import Mapping
from typing import Literal, get_args

from forgetscope.schema.stage import ExperimentState, RunKind, StageState
from forgetscope.schema.views import EventType

__all__ = [
    "BAD",
    "LIVE",
    "OPEN",
    "OVER",
    "TRANSITIONS",
    "RunVerb",
    "after_failure",
    "event_of",
    "experiment_state",
    "run_event",
    "without_worker",
]

OPEN: tuple[StageState, ...] = ("pending", "ready", "running")
"""States of a stage that has not ended."""

BAD: tuple[StageState, ...] = ("failed", "skipped", "cancelled")
"""States of a stage that ended without a result; only these can be revived."""

LIVE: tuple[ExperimentState, ...] = ("queued", "running")
"""States of an experiment that still wants its stages."""

OVER: tuple[ExperimentState, ...] = ("succeeded", "failed", "cancelled")
"""States of an experiment that ended."""

TRANSITIONS: Mapping[tuple[StageState, StageState], EventType | None] = {
    ("pending", "ready"): "stage.ready",  # every input succeeded
    ("ready", "running"): "stage.running",  # claimed
    ("running", "succeeded"): "stage.succeeded",
    ("running", "ready"): "stage.retrying",  # failed with attempts left, lost, or released
    ("running", "failed"): "stage.failed",
    ("pending", "skipped"): "stage.skipped",  # something it needs failed
    ("ready", "skipped"): "stage.skipped",
    ("pending", "cancelled"): "stage.cancelled",
    ("ready", "cancelled"): "stage.cancelled",
    ("running", "cancelled"): "stage.cancelled",
    ("failed", "pending"): None,  # revived: somebody asked for it again
    ("skipped", "pending"): None,
    ("cancelled", "pending"): None,
}
"""Every allowed move of a stage, with the event that tells of it."""


def event_of(before: StageState, after: StageState) -> EventType | None:
    """The event of a move. Raises ValueError when the move is not allowed."""
    try:
        return TRANSITIONS[before, after]
    except KeyError:
        raise ValueError(f"a stage cannot go from {before} to {after}") from None


RunVerb = Literal[
    "submitted", "running", "succeeded", "failed", "cancelling", "cancelled", "retried"
]
"""What happens to an experiment or audit itself."""

_EVENTS: Mapping[str, EventType] = {name: name for name in get_args(EventType)}


def run_event(kind: RunKind, verb: RunVerb) -> EventType:
    """The event that tells of it."""
    return _EVENTS[f"{kind}.{verb}"]


def after_failure(
    failures: int, *, max_attempts: int, permanent: bool, unwanted: bool
) -> StageState:
    """Where a running stage goes when its attempt ended badly.

    `failures` counts the bad ends since the stage was last revived, this one included; `unwanted`
    says that it was cancelled meanwhile.
    """
    if unwanted:
        return "cancelled"
    return "failed" if permanent or failures >= max_attempts else "ready"


def without_worker(*, unwanted: bool) -> StageState:
    """Where a running stage goes when its worker gave it back unharmed."""
    return "cancelled" if unwanted else "ready"


def experiment_state(
    present: ExperimentState, counts: Mapping[StageState, int], *, stopping: bool
) -> ExperimentState:
    """The state of an experiment, from its present one and its stages counted by state.

    `stopping`: stages still run that are to stop because of a cancellation. Stages that run on for
    another experiment do not keep a cancelled one alive.

    What is over stays over, whatever other experiments do with shared stages, until it is retried
    (which makes it queued); only a failed one whose stages have all succeeded since has succeeded.
    A queued experiment runs from the moment one of its stages does.
    """
    if present == "cancelling":
        return "cancelling" if stopping else "cancelled"
    if present == "cancelled":
        return present
    if not any(counts.get(state) for state in (*OPEN, *BAD)):
        return "succeeded"
    if present in OVER:
        return present
    if not any(counts.get(state) for state in OPEN):
        return "failed"
    return "running" if counts.get("running") else present
