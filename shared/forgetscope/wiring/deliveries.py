"""The threads of a gateway that deliver webhooks."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from forgetscope.app.deliver import DeliveryPolicy, serve_deliveries, serve_pruning
from forgetscope.app.platform import Platform
from forgetscope.wiring.settings import Settings

__all__ = ["delivering"]

THREADS = 4
# Below what a supervisor waits. An attempt that is cut off is made again when its lease is over.
STOP_SECONDS = 5.0


@contextmanager
def delivering(platform: Platform, settings: Settings) -> Iterator[None]:
    """Deliver webhooks meanwhile."""
    policy = DeliveryPolicy(
        attempts=settings.webhook_attempts,
        first_pause_seconds=settings.webhook_retry_seconds,
        timeout_seconds=settings.webhook_timeout_seconds,
        log_days=settings.webhook_log_days,
        poll_seconds=settings.poll_seconds,
    )
    stop = threading.Event()
    hooks, sender = platform.webhooks, platform.sender
    threads = [
        threading.Thread(target=serve_deliveries, args=(hooks, sender, policy, stop), daemon=True)
        for _ in range(THREADS)
    ]
    threads.append(threading.Thread(target=serve_pruning, args=(hooks, policy, stop), daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        until = time.monotonic() + STOP_SECONDS
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
