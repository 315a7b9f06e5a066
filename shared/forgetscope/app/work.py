"""The loop of a worker: hear the bell or look by yourself, claim, run, sweep."""

import time
from collections.abc import Callable
from threading import Event

import structlog

from forgetscope.app.collect import collect_garbage
from forgetscope.app.execute import execute
from forgetscope.app.platform import Platform
from forgetscope.app.ring import ring_all
from forgetscope.app.search import advance_searches
from forgetscope.ports.runner import Runner
from forgetscope.schema.errors import Unavailable
from forgetscope.schema.plan import Queue

__all__ = ["reconcile", "work"]

log = structlog.get_logger(__name__)


def work(
    platform: Platform,
    queue: Queue,
    worker: str,
    runner: Runner,
    *,
    bell: Event,
    stop: Event,
    alive: Callable[[], None],
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Serve one queue until `stop` is set. A component that is away is waited for."""
    sweep_every = platform.fleet.lease_seconds / 3
    next_sweep = monotonic()
    loaded: str | None = None
    try:
        runner.warm()
        while not stop.is_set():
            alive()
            bell.clear()
            try:
                if monotonic() >= next_sweep:
                    next_sweep = monotonic() + sweep_every
                    reconcile(platform)
                claim = platform.records.claim(
                    queue,
                    worker,
                    lease_seconds=platform.fleet.lease_seconds,
                    prefer_base=loaded,
                )
                if claim is None:
                    bell.wait(platform.fleet.poll_seconds)
                    continue
                log.info("stage.claimed", stage=claim.key, kind=claim.kind, attempt=claim.attempt)
                outcome = execute(platform, claim, runner, stopping=stop.is_set, alive=alive)
                log.info("stage.ended", stage=claim.key, kind=claim.kind, outcome=outcome)
                if claim.kind == "report":
                    advance_searches(platform)  # an experiment has ended: do not wait for the sweep
                base = claim.inputs.get("base")
                loaded = base.stage if base is not None else loaded
            except Unavailable as error:
                log.warning("worker.waiting", error=str(error))
                runner.stop()
                stop.wait(platform.fleet.poll_seconds)
    finally:
        runner.stop()


def reconcile(platform: Platform) -> None:
    """Free dead leases, ring lost bells, move searches on, delete what nothing names any more. Any
    worker may."""
    sweep = platform.records.sweep(
        max_attempts=platform.fleet.max_attempts,
        ring_after_seconds=platform.fleet.lease_seconds,
    )
    if sweep.lost:
        log.warning("leases.expired", count=sweep.lost)
    ring_all(platform, sweep.bells)
    advance_searches(platform)
    collect_garbage(platform)
