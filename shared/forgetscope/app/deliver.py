"""Delivering webhooks: take, sign, send, record; again and again."""

import time
from collections.abc import Callable
from random import Random
from threading import Event
from typing import NamedTuple

import structlog

from forgetscope.app.webhooks import message_of
from forgetscope.core.webhooks import headers_of, pause_before
from forgetscope.ports.webhooks import Answer, Sender, Sending, Webhooks
from forgetscope.schema.errors import ForgetScopeError, Unavailable

__all__ = ["DeliveryPolicy", "deliver_next", "serve_deliveries", "serve_pruning"]

log = structlog.get_logger(__name__)

PRUNE_EVERY_SECONDS = 3600.0
PRUNED_AT_ONCE = 500
DAY = 24 * 3600.0


class DeliveryPolicy(NamedTuple):
    """How often and how long: the settings say what each means."""

    attempts: int = 10
    first_pause_seconds: float = 5.0
    timeout_seconds: float = 10.0
    log_days: float = 30.0
    poll_seconds: float = 2.0

    @property
    def lease_seconds(self) -> float:
        """An attempt takes a quarter of it; resolving a name and recording have the rest."""
        return 4 * self.timeout_seconds


def deliver_next(
    webhooks: Webhooks,
    sender: Sender,
    policy: DeliveryPolicy,
    random: Random,
    now: Callable[[], float] = time.time,
) -> bool:
    """Make one attempt of whatever is due; False when nothing is."""
    sending = webhooks.take(lease_seconds=policy.lease_seconds)
    if sending is None:
        return False
    if sending.tries > policy.attempts:
        answer = Answer(0.0, error="no attempt came to its end")
    else:
        answer = _attempt(sender, sending, now)
    error = answer.error or _refusal(answer.status)
    pause = pause_before(
        sending.tries, most=policy.attempts, first_seconds=policy.first_pause_seconds, random=random
    )
    webhooks.end_attempt(sending, answer, error=error, pause_seconds=pause)
    log.info(
        "webhook.attempted",
        webhook=sending.webhook_id,
        delivery=sending.id,
        attempt=sending.attempt,
        status=answer.status,
        error=error,
    )
    return True


def _attempt(sender: Sender, sending: Sending, now: Callable[[], float]) -> Answer:
    body = message_of(sending.event, sending.webhook_id).model_dump_json().encode()
    headers = headers_of(
        sending.id,
        body,
        timestamp=int(now()),
        secrets=[secret.get_secret_value() for secret in sending.secrets],
    )
    answer = sender.send(sending.url, headers, body)
    return answer._replace(excerpt=None) if _refusal(answer.status) is None else answer


def _refusal(status: int | None) -> str | None:
    """Only 2xx says that the message arrived."""
    if status is None or 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"answered by {status}: redirects are not followed"
    return f"answered by {status}"


def serve_deliveries(
    webhooks: Webhooks, sender: Sender, policy: DeliveryPolicy, stop: Event
) -> None:
    """Deliver until `stop` is set. Any number of threads and processes may do so at once."""
    random = Random()  # noqa: S311 - spreads retries
    while not stop.is_set():
        try:
            busy = deliver_next(webhooks, sender, policy, random)
        except Unavailable as error:
            log.warning("webhooks.waiting", reason=str(error))
            busy = False
        except Exception:
            log.exception("webhooks.failed")  # the lease ends, and the delivery is due again
            busy = False
        if not busy:
            stop.wait(policy.poll_seconds)


def serve_pruning(webhooks: Webhooks, policy: DeliveryPolicy, stop: Event) -> None:
    """Forget old deliveries until `stop` is set."""
    while not stop.is_set():
        try:
            left = PRUNED_AT_ONCE
            while left == PRUNED_AT_ONCE:
                left = webhooks.prune(
                    older_than_seconds=policy.log_days * DAY, limit=PRUNED_AT_ONCE
                )
        except ForgetScopeError as error:
            log.warning("webhooks.not_pruned", reason=str(error))
        stop.wait(PRUNE_EVERY_SECONDS)
