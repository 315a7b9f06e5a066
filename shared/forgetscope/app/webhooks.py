"""Webhooks: register, look, change, try out, redeliver."""

import secrets
import uuid

from pydantic import SecretStr

from forgetscope.app.platform import Platform
from forgetscope.app.queries import links_of
from forgetscope.ports.webhooks import DeliveryRow, EventCopy, WebhookRow
from forgetscope.schema.signature import secret_of
from forgetscope.schema.views import Page
from forgetscope.schema.webhooks import (
    DeliveryDetail,
    DeliveryState,
    DeliveryView,
    WebhookChange,
    WebhookCreated,
    WebhookMessage,
    WebhookSecret,
    WebhookSpec,
    WebhookView,
)

__all__ = [
    "add",
    "change",
    "deliveries",
    "delivery",
    "message_of",
    "redeliver",
    "rotate",
    "test",
    "view_of",
]

# Every event asks each of them.
MOST_WEBHOOKS = 100
KEY_BYTES = 32
# As long as a receiver may take to learn the new secret.
OVERLAP_SECONDS = 24 * 3600.0


def add(platform: Platform, spec: WebhookSpec) -> WebhookCreated:
    """Register an address; only this answer holds its secret. Raises TargetNotAllowed, Conflict."""
    platform.sender.check(spec.url)
    secret = secret_of(secrets.token_bytes(KEY_BYTES))
    row = platform.webhooks.add_webhook(
        str(uuid.uuid4()), spec, SecretStr(secret), most=MOST_WEBHOOKS
    )
    return WebhookCreated(**dict(view_of(row)), secret=secret)


def change(platform: Platform, webhook_id: str, change: WebhookChange) -> WebhookView:
    """Change what is given. Raises NotFound, TargetNotAllowed."""
    platform.webhooks.webhook(webhook_id)
    if change.url is not None:
        platform.sender.check(change.url)
    return view_of(platform.webhooks.change_webhook(webhook_id, change))


def rotate(platform: Platform, webhook_id: str) -> WebhookSecret:
    """A new secret. For a day the one before signs, too. Raises NotFound."""
    secret = secret_of(secrets.token_bytes(KEY_BYTES))
    row = platform.webhooks.rotate_secret(
        webhook_id, SecretStr(secret), overlap_seconds=OVERLAP_SECONDS
    )
    return WebhookSecret(secret=secret, previous_secret_until=row.previous_secret_until)


def test(platform: Platform, webhook_id: str) -> DeliveryView:
    """Send a message that says nothing. Raises NotFound."""
    name = f"evt_test_{uuid.uuid4()}"
    return _delivery_view(platform.webhooks.add_test(webhook_id, name))


def deliveries(
    platform: Platform,
    webhook_id: str,
    *,
    state: DeliveryState | None,
    cursor: str | None,
    limit: int,
) -> Page[DeliveryView]:
    """The log of a webhook, newest first. Raises NotFound, InvalidInput."""
    page = platform.webhooks.deliveries(webhook_id, state=state, cursor=cursor, limit=limit)
    return Page(items=tuple(map(_delivery_view, page.items)), next_cursor=page.next_cursor)


def delivery(platform: Platform, webhook_id: str, delivery_id: str) -> DeliveryDetail:
    """One delivery with what is sent. Raises NotFound."""
    row = platform.webhooks.delivery(webhook_id, delivery_id)
    return DeliveryDetail(
        **dict(_delivery_view(row)), message=message_of(row.event, row.webhook_id)
    )


def redeliver(platform: Platform, webhook_id: str, delivery_id: str) -> DeliveryView:
    """Send once more, whatever became of it. Raises NotFound, Conflict."""
    return _delivery_view(platform.webhooks.redeliver(webhook_id, delivery_id))


def message_of(event: EventCopy, webhook_id: str) -> WebhookMessage:
    """The body of a delivery."""
    if event.run is None:
        links = {"webhook": f"/v1/webhooks/{webhook_id}"}
    else:
        every = links_of(event.run.id, event.run.kind)
        links = {name: every[name] for name in ("self", "events", "results", "report")}
    return WebhookMessage(**event._asdict(), links=links)


def view_of(row: WebhookRow) -> WebhookView:
    """A webhook as it is shown."""
    root = f"/v1/webhooks/{row.id}"
    links = {name: f"{root}/{name}" for name in ("deliveries", "test", "rotate")}
    return WebhookView(**row._asdict(), links={"self": root, **links})


def _delivery_view(row: DeliveryRow) -> DeliveryView:
    webhook = f"/v1/webhooks/{row.webhook_id}"
    root = f"{webhook}/deliveries/{row.id}"
    return DeliveryView(
        id=row.id,
        type=row.event.type,
        run=row.event.run,
        event=row.event.id,
        state=row.state,
        created_at=row.created_at,
        finished_at=row.finished_at,
        next_attempt_at=row.next_attempt_at,
        attempts=row.attempts,
        links={"self": root, "webhook": webhook, "redeliver": f"{root}/redeliver"},
    )
