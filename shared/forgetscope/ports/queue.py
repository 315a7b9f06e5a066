"""The doorbell: tells a service that one of its stages may be ready."""

from typing import Protocol

from forgetscope.schema.plan import Queue

__all__ = ["Doorbell"]


class Doorbell(Protocol):
    """Rings may be lost, doubled or late: the records decide who runs what."""

    def ring(self, queue: Queue, key: str) -> None:
        """Never raises: a broker that is down is logged; sweep and polling make up for it."""

    def ping(self) -> None:
        """Raises Unavailable."""
