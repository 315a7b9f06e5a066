"""Ring the doorbell for stages that became ready."""

from collections.abc import Iterable

from forgetscope.app.platform import Platform
from forgetscope.ports.records import Bell

__all__ = ["ring_all"]


def ring_all(platform: Platform, bells: Iterable[Bell]) -> None:
    """After the commit, never before: a worker that hears must be able to find the stage."""
    for bell in bells:
        platform.doorbell.ring(bell.queue, bell.key)
