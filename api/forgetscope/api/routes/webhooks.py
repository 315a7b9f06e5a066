"""Webhooks: register, look, change, try out; what was delivered, and once more."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Response

from forgetscope.api.described import problems
from forgetscope.api.errors import MalformedBody, UnsupportedMediaType
from forgetscope.api.gateway import CursorQuery, LimitQuery, PlatformDep
from forgetscope.api.strict import StrictRoute
from forgetscope.app import webhooks
from forgetscope.schema.errors import Conflict, NotFound, TargetNotAllowed, TooLarge
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

__all__ = ["router"]

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=StrictRoute)

WebhookId = Annotated[
    str,
    Path(
        alias="id",
        description="id of the webhook",
        pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        examples=["0b0f5c1e-4a3e-4a55-9d55-5a3b0c6d7e8f"],
    ),
]
DeliveryId = Annotated[
    str,
    Path(
        alias="delivery",
        description="id of the delivery",
        pattern=r"^evt_[A-Za-z0-9_-]{1,100}$",
        examples=["evt_0b0f5c1e-4a3e-4a55-9d55-5a3b0c6d7e8f_00000001"],
    ),
]
BODY = (MalformedBody, TooLarge, UnsupportedMediaType)
SPEC_EXAMPLE: dict[str, Any] = {
    "url": "https://ci.example/forgetscope",
    "events": ["audit.succeeded", "audit.failed"],
    "run": "audit",
    "description": "release pipeline",
}

callbacks = APIRouter()


@callbacks.post(
    "{$request.body#/url}",
    operation_id="receive_event",
    status_code=204,
    response_description="It arrived, as any 2xx says",
    responses={"default": {"description": "It did not: it is sent again later"}},
)
def receive_event(message: WebhookMessage) -> None:
    """What is sent to `url`: POST with the headers `webhook-id`, `webhook-timestamp` and
    `webhook-signature` of the Standard Webhooks specification."""


@router.post(
    "",
    status_code=201,
    response_description="Registered; the secret is shown this once",
    responses=problems(TargetNotAllowed, Conflict, *BODY),
    callbacks=callbacks.routes,
)
def add_webhook(
    platform: PlatformDep,
    spec: Annotated[
        WebhookSpec,
        Body(openapi_examples={"ci": {"summary": "The ends of audits", "value": SPEC_EXAMPLE}}),
    ],
    response: Response,
) -> WebhookCreated:
    """Register an address that is told of events, signed with a secret of its own.

    Private addresses are refused unless the server's allow-list has their host. At most a hundred
    webhooks can be registered.
    """
    created = webhooks.add(platform, spec)
    response.headers["Location"] = created.links["self"]
    return created


@router.get("", responses=problems())
def list_webhooks(
    platform: PlatformDep, cursor: CursorQuery = None, limit: LimitQuery = 50
) -> Page[WebhookView]:
    """List webhooks, newest first, with how their deliveries went of late."""
    page = platform.webhooks.webhooks(cursor=cursor, limit=limit)
    return Page(items=tuple(map(webhooks.view_of, page.items)), next_cursor=page.next_cursor)


@router.get("/{id}", responses=problems(NotFound))
def get_webhook(platform: PlatformDep, webhook_id: WebhookId) -> WebhookView:
    """One webhook. Its secret is never shown again."""
    return webhooks.view_of(platform.webhooks.webhook(webhook_id))


@router.patch("/{id}", responses=problems(NotFound, TargetNotAllowed, *BODY))
def change_webhook(
    platform: PlatformDep, webhook_id: WebhookId, change: WebhookChange
) -> WebhookView:
    """Change address, events, or whether it is active. What is absent or null stays."""
    return webhooks.change(platform, webhook_id, change)


@router.delete("/{id}", status_code=204, responses=problems(NotFound))
def delete_webhook(platform: PlatformDep, webhook_id: WebhookId) -> None:
    """Delete a webhook with its deliveries; what is pending is not sent any more."""
    platform.webhooks.delete_webhook(webhook_id)


@router.post("/{id}/test", status_code=202, responses=problems(NotFound))
def test_webhook(platform: PlatformDep, webhook_id: WebhookId) -> DeliveryView:
    """Send a `webhook.test`; the delivery tells how it went."""
    return webhooks.test(platform, webhook_id)


@router.post("/{id}/rotate", responses=problems(NotFound))
def rotate_webhook_secret(platform: PlatformDep, webhook_id: WebhookId) -> WebhookSecret:
    """Replace the secret. For a day every message is signed with both."""
    return webhooks.rotate(platform, webhook_id)


@router.get("/{id}/deliveries", responses=problems(NotFound))
def list_deliveries(
    platform: PlatformDep,
    webhook_id: WebhookId,
    state: Annotated[DeliveryState | None, Query(description="only those in this state")] = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = 50,
) -> Page[DeliveryView]:
    """List what was sent and is to be sent, newest first, with every attempt."""
    return webhooks.deliveries(platform, webhook_id, state=state, cursor=cursor, limit=limit)


@router.get("/{id}/deliveries/{delivery}", responses=problems(NotFound))
def get_delivery(
    platform: PlatformDep, webhook_id: WebhookId, delivery_id: DeliveryId
) -> DeliveryDetail:
    """One delivery with its attempts and its body."""
    return webhooks.delivery(platform, webhook_id, delivery_id)


@router.post(
    "/{id}/deliveries/{delivery}/redeliver",
    status_code=202,
    responses=problems(NotFound, Conflict),
)
def redeliver(
    platform: PlatformDep, webhook_id: WebhookId, delivery_id: DeliveryId
) -> DeliveryView:
    """Send once more under the same id, at once and with every attempt anew."""
    return webhooks.redeliver(platform, webhook_id, delivery_id)
