"""Deliveries of webhooks as pure functions: who is told, when the next attempt is due, headers."""

from collections.abc import Iterable, Mapping
from random import Random

from forgetscope.schema.signature import signature
from forgetscope.schema.stage import RunKind
from forgetscope.schema.views import EventType

__all__ = ["delivery_id", "headers_of", "pause_before", "wants"]

FACTOR = 4.0
LONGEST_SECONDS = 6 * 3600.0
JITTER = 0.2


def wants(events: Iterable[str], only: RunKind | None, kind: RunKind, event: EventType) -> bool:
    """Whether a webhook is told of an event of a run of this kind."""
    return only in {None, kind} and event in events


def delivery_id(run_id: str, event_id: int) -> str:
    """Names the event in the header `webhook-id`: the same in every attempt and to everybody.
    Ids of one run sort in the order of its events."""
    return f"evt_{run_id}_{event_id:08d}"


def pause_before(tries: int, *, most: int, first_seconds: float, random: Random) -> float | None:
    """Seconds until the next attempt after `tries` failed ones; None when there is none.

    `first_seconds`, then four times longer each time, at most six hours; ±20 % at random, so that
    what failed together does not come back together.
    """
    if tries >= most:
        return None
    pause = min(first_seconds * FACTOR ** (tries - 1), LONGEST_SECONDS)
    return pause * random.uniform(1 - JITTER, 1 + JITTER)


def headers_of(
    message_id: str, body: bytes, *, timestamp: int, secrets: Iterable[str]
) -> Mapping[str, str]:
    """The headers of Standard Webhooks, with a signature by each secret."""
    signatures = (signature(secret, message_id, timestamp, body) for secret in secrets)
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
