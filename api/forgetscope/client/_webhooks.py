"""The part of the client that handles webhooks."""

from collections.abc import Iterator, Sequence
from urllib.parse import quote

import httpx

from forgetscope.client._answers import pages, parse
from forgetscope.client._transport import Transport
from forgetscope.schema.stage import RunKind
from forgetscope.schema.views import EventType, Page
from forgetscope.schema.webhooks import (
    DEFAULT_EVENTS,
    DeliveryDetail,
    DeliveryState,
    DeliveryView,
    WebhookChange,
    WebhookCreated,
    WebhookSecret,
    WebhookSpec,
    WebhookView,
)

__all__ = ["Webhooks"]

PATH = "/v1/webhooks"
JSON = {"Content-Type": "application/json"}


class Webhooks:
    """`Client.webhooks`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def add(
        self,
        url: str,
        *,
        events: Sequence[EventType] = DEFAULT_EVENTS,
        run: RunKind | None = None,
        description: str = "",
    ) -> WebhookCreated:
        """Register an address. Keep the secret: it is not shown again."""
        spec = WebhookSpec(url=url, events=tuple(events), run=run, description=description)
        content = spec.model_dump_json()
        response = self._transport.send(
            "POST", PATH, content=content, headers=JSON, repeatable=False
        )
        return parse(response, WebhookCreated)

    def list(self) -> Iterator[WebhookView]:
        """Newest first, page by page as they are asked for."""
        return pages(self._transport, PATH, Page[WebhookView], {})

    def get(self, webhook_id: str) -> WebhookView:
        """One webhook, and how its deliveries went of late."""
        response = self._transport.send("GET", _path(webhook_id), repeatable=True)
        return parse(response, WebhookView)

    def change(self, webhook_id: str, change: WebhookChange) -> WebhookView:
        """Change what is given; a repetition changes nothing more."""
        content = change.model_dump_json(exclude_none=True)
        response = self._transport.send(
            "PATCH", _path(webhook_id), content=content, headers=JSON, repeatable=True
        )
        return parse(response, WebhookView)

    def delete(self, webhook_id: str) -> None:
        """Delete a webhook with its deliveries."""
        self._transport.send("DELETE", _path(webhook_id), repeatable=False)

    def test(self, webhook_id: str) -> DeliveryView:
        """Have a `webhook.test` sent; `delivery` tells how it went."""
        return parse(self._post(webhook_id, "test"), DeliveryView)

    def rotate(self, webhook_id: str) -> WebhookSecret:
        """A new secret; the one before signs for a day, too."""
        return parse(self._post(webhook_id, "rotate"), WebhookSecret)

    def deliveries(
        self, webhook_id: str, *, state: DeliveryState | None = None
    ) -> Iterator[DeliveryView]:
        """The log, newest first, page by page as they are asked for."""
        path = _path(webhook_id, "deliveries")
        return pages(self._transport, path, Page[DeliveryView], {"state": state})

    def delivery(self, webhook_id: str, delivery_id: str) -> DeliveryDetail:
        """One delivery with its attempts and its body."""
        path = _path(webhook_id, "deliveries", delivery_id)
        return parse(self._transport.send("GET", path, repeatable=True), DeliveryDetail)

    def redeliver(self, webhook_id: str, delivery_id: str) -> DeliveryView:
        """Have it sent once more, under the same id."""
        answer = self._post(webhook_id, "deliveries", delivery_id, "redeliver")
        return parse(answer, DeliveryView)

    def _post(self, *parts: str) -> httpx.Response:
        return self._transport.send("POST", _path(*parts), repeatable=False)


def _path(*parts: str) -> str:
    return "/".join([PATH, *(quote(part, safe="") for part in parts)])
