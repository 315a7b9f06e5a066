"""The runner: executes stages in a process that may die without taking the worker along."""

from typing import NamedTuple, Protocol

from forgetscope.ports.records import Claim
from forgetscope.schema.stage import Breach, Failure, Manifest, Progress

__all__ = ["Died", "Done", "Failed", "Message", "Runner", "Saved"]


class Saved(NamedTuple):
    """A point to resume from is in the store."""

    manifest: Manifest


class Done(NamedTuple):
    """The stage is complete and every file is in the store."""

    manifest: Manifest


class Failed(NamedTuple):
    """The stage ended with an error that it could still name."""

    failure: Failure


class Died(NamedTuple):
    """The process is gone; `reason` is what the operating system tells."""

    reason: str


Message = Progress | Breach | Saved | Done | Failed | Died


class Runner(Protocol):
    """One process that runs one stage at a time and stays warm between stages."""

    def warm(self) -> None:
        """Start the process ahead of the first stage, so that its imports are done by then."""

    def start(self, claim: Claim) -> None:
        """Begin a stage; starts the process when there is none."""

    def poll(self, seconds: float) -> Message | None:
        """The next message, or None after `seconds`."""

    def stop(self) -> None:
        """End the process and everything it started, at once. Idempotent."""

    def log_tail(self) -> str:
        """The last lines that the present stage wrote."""
