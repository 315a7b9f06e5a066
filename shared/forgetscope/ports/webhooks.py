"""Webhooks: the record of who is told and what became of it, and the sender of requests.

Deliveries are recorded by the records, in the transaction of the event that they tell of. Every
method of `Webhooks` is one transaction, by the database's own clock; those that end an attempt are
fenced by its number. Raises `Unavailable` when the database does not answer.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from pydantic import SecretStr

from forgetscope.schema.base import JsonObject
from forgetscope.schema.stage import RunKind
from forgetscope.schema.views import EventType, Page
from forgetscope.schema.webhooks import (
    DeliveryState,
    DeliveryTry,
    MessageType,
    RunRef,
    WebhookChange,
    WebhookSpec,
)

__all__ = [
    "Answer",
    "DeliveryRow",
    "EventCopy",
    "Sender",
    "Sending",
    "WebhookRow",
    "Webhooks",
]


class WebhookRow(NamedTuple):
    """A webhook as recorded, without its secrets."""

    id: str
    url: str
    events: tuple[EventType, ...]
    run: RunKind | None
    description: str
    active: bool
    created_at: float
    failures: int
    last_delivered_at: float | None
    last_failed_at: float | None
    last_error: str | None
    previous_secret_until: float | None


class EventCopy(NamedTuple):
    """What a delivery tells."""

    id: int
    type: MessageType
    at: float
    stage: str | None
    data: JsonObject
    run: RunRef | None


class DeliveryRow(NamedTuple):
    """A delivery as recorded."""

    webhook_id: str
    id: str
    event: EventCopy
    state: DeliveryState
    created_at: float
    finished_at: float | None
    next_attempt_at: float | None
    attempts: tuple[DeliveryTry, ...]


class Sending(NamedTuple):
    """An attempt that was taken: nobody else gets this delivery until the lease is over.

    `tries` counts the attempts since the delivery was recorded or asked for again, with this one.
    """

    webhook_id: str
    id: str
    attempt: int
    tries: int
    url: str
    secrets: tuple[SecretStr, ...]
    event: EventCopy


class Answer(NamedTuple):
    """What came back from a target: a status, or why there is none."""

    seconds: float
    status: int | None = None
    error: str | None = None
    excerpt: str | None = None


class Webhooks(Protocol):
    """See the module's docstring."""

    def add_webhook(
        self, webhook_id: str, spec: WebhookSpec, secret: SecretStr, *, most: int
    ) -> WebhookRow:
        """Raises Conflict when there are `most` already."""

    def webhook(self, webhook_id: str) -> WebhookRow:
        """Raises NotFound."""

    def webhooks(self, *, cursor: str | None, limit: int) -> Page[WebhookRow]:
        """Newest first. Raises InvalidInput for a foreign cursor."""

    def change_webhook(self, webhook_id: str, change: WebhookChange) -> WebhookRow:
        """Raises NotFound."""

    def rotate_secret(
        self, webhook_id: str, secret: SecretStr, *, overlap_seconds: float
    ) -> WebhookRow:
        """Sign with a new secret; with the one before, too, for so long. Raises NotFound."""

    def delete_webhook(self, webhook_id: str) -> None:
        """With its deliveries. Raises NotFound."""

    def add_test(self, webhook_id: str, delivery_id: str) -> DeliveryRow:
        """Record a `webhook.test`, to be sent now. Raises NotFound."""

    def deliveries(
        self, webhook_id: str, *, state: DeliveryState | None, cursor: str | None, limit: int
    ) -> Page[DeliveryRow]:
        """Newest first. Raises NotFound, InvalidInput for a foreign cursor."""

    def delivery(self, webhook_id: str, delivery_id: str) -> DeliveryRow:
        """Raises NotFound."""

    def redeliver(self, webhook_id: str, delivery_id: str) -> DeliveryRow:
        """Make a delivery due now, with all its attempts anew. Raises NotFound; Conflict while it
        is being sent."""

    def take(self, *, lease_seconds: float) -> Sending | None:
        """Take a delivery that is due, of a webhook to which nothing is being sent: one that hangs
        holds up no other. At most one caller gets it."""

    def end_attempt(
        self, sending: Sending, answer: Answer, *, error: str | None, pause_seconds: float | None
    ) -> bool:
        """Record how an attempt ended: well without `error`; else badly, with the next one after
        the pause, or none. False when the fence refused it."""

    def prune(self, *, older_than_seconds: float, limit: int) -> int:
        """Forget deliveries that ended so long ago; how many."""


class Sender(Protocol):
    """Sends to permitted addresses only."""

    def check(self, url: str) -> None:
        """Whether the address may be sent to, as its name resolves now. Raises TargetNotAllowed."""

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST. Never raises for what the target does or is."""
