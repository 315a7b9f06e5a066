"""Run one claimed stage to its end: heartbeat, progress, cancellation, and the final word."""

import time
from collections.abc import Callable
from typing import Literal

import structlog
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_exponential

from forgetscope.app.collect import collect_garbage
from forgetscope.app.platform import Platform
from forgetscope.app.ring import ring_all
from forgetscope.ports.records import Claim, Directive
from forgetscope.ports.runner import Died, Done, Failed, Runner, Saved
from forgetscope.schema.errors import Unavailable, WorkerDied
from forgetscope.schema.stage import Breach, Failure, Manifest, Progress

__all__ = ["Outcome", "execute"]

log = structlog.get_logger(__name__)

Outcome = Literal["succeeded", "failed", "cancelled", "lost", "released"]

# The records may be away for a while (a restart); the work of an hour is not thrown away for it.
_patient = retry(
    retry=retry_if_exception_type(Unavailable),
    wait=wait_exponential(multiplier=0.2, max=5),
    stop=stop_after_delay(600),
    reraise=True,
)


def execute(
    platform: Platform,
    claim: Claim,
    runner: Runner,
    *,
    stopping: Callable[[], bool],
    alive: Callable[[], None],
    monotonic: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Run the claim in the runner until it ends or is taken away.

    `stopping` is asked between messages: true gives the stage back unharmed. `alive` is called
    with every heartbeat.
    """
    beat_every = min(platform.fleet.lease_seconds / 5, 2.0)
    latest: Progress | None = None
    sent: Progress | None = None
    next_beat = monotonic()
    lease_until = monotonic() + platform.fleet.lease_seconds
    runner.start(claim)
    while True:
        message = runner.poll(min(0.25, beat_every))
        if isinstance(message, Progress):
            latest = message
        elif isinstance(message, Breach):
            _patient(platform.records.breach)(claim.key, claim.attempt, message)
        elif isinstance(message, Saved):
            _patient(platform.records.save_resume)(claim.key, claim.attempt, message.manifest)
        elif message is not None:
            return _end(platform, claim, runner, message)
        if stopping():
            runner.stop()
            ring_all(platform, platform.records.release(claim.key, claim.attempt))
            return "released"
        if monotonic() < next_beat:
            continue
        next_beat = monotonic() + beat_every
        alive()
        directive = _beat(platform, claim, latest if latest is not sent else None)
        if directive is not None:
            sent = latest
            lease_until = monotonic() + platform.fleet.lease_seconds
            if directive.cancel:
                runner.stop()
                tail = runner.log_tail()
                _patient(platform.records.cancelled)(claim.key, claim.attempt, log_tail=tail)
                return "cancelled"
        if monotonic() > lease_until or (directive is not None and not directive.held):
            log.warning("lease.lost", stage=claim.key, attempt=claim.attempt)
            runner.stop()
            return "lost"


def _end(
    platform: Platform, claim: Claim, runner: Runner, message: Done | Failed | Died
) -> Outcome:
    match message:
        case Done(manifest):
            return _finish(platform, claim, runner, manifest)
        case Failed(failure):
            return _fail(platform, claim, runner, failure)
        case Died(reason):
            memory = "Out of memory is the usual cause; " if "SIGKILL" in reason else ""
            failure = Failure(
                code=WorkerDied.code,
                detail=f"the process that ran the stage ended: {reason}",
                hint=f"{memory}see the log tail.".capitalize(),
            )
            return _fail(platform, claim, runner, failure)


def _beat(platform: Platform, claim: Claim, progress: Progress | None) -> Directive | None:
    try:
        return platform.records.heartbeat(
            claim.key,
            claim.attempt,
            lease_seconds=platform.fleet.lease_seconds,
            progress=progress,
        )
    except Unavailable as error:
        log.warning("heartbeat.failed", stage=claim.key, error=str(error))
        return None


def _finish(platform: Platform, claim: Claim, runner: Runner, manifest: Manifest) -> Outcome:
    finish = _patient(platform.records.finish)(
        claim.key, claim.attempt, manifest, log_tail=runner.log_tail()
    )
    if finish.put_again:
        # A deleted experiment left the same bytes behind and they are being collected. The next
        # attempt goes on from the last resume point and stores them again. Rare, never wrong.
        collect_garbage(platform)
        ring_all(platform, _patient(platform.records.release)(claim.key, claim.attempt))
        return "released"
    ring_all(platform, finish.bells)
    return "succeeded" if finish.accepted else "lost"


def _fail(platform: Platform, claim: Claim, runner: Runner, failure: Failure) -> Outcome:
    bells = _patient(platform.records.fail)(
        claim.key,
        claim.attempt,
        failure,
        log_tail=runner.log_tail(),
        max_attempts=platform.fleet.max_attempts,
    )
    ring_all(platform, bells)
    return "failed"
