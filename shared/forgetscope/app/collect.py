"""Delete stored bytes that nothing names any more."""

import time
from collections.abc import Callable

from forgetscope.app.platform import Platform

__all__ = ["collect_garbage"]

BATCH = 20
# The records keep other collectors away for a quarter of an hour.
STOP_AFTER_SECONDS = 60.0


def collect_garbage(platform: Platform, *, monotonic: Callable[[], float] = time.monotonic) -> None:
    """Delete a batch of garbage; what a slow store leaves comes later. Raises Unavailable."""
    stop_at = monotonic() + STOP_AFTER_SECONDS
    deleted = []
    for digest in platform.records.garbage(BATCH):
        if monotonic() > stop_at:
            break
        platform.store.delete(digest)
        deleted.append(digest)
    if deleted:
        platform.records.collected(deleted)
