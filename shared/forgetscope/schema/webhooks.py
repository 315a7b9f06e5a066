"""Webhooks: who is told of which events, what is sent, and what became of it."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from forgetscope.schema.base import JsonObject, StageKey, Text, Value
from forgetscope.schema.stage import RunKind
from forgetscope.schema.views import EventType

__all__ = [
    "DEFAULT_EVENTS",
    "DeliveryDetail",
    "DeliveryState",
    "DeliveryTry",
    "DeliveryView",
    "MessageType",
    "RunRef",
    "WebhookChange",
    "WebhookCreated",
    "WebhookMessage",
    "WebhookSecret",
    "WebhookSpec",
    "WebhookView",
]

DEFAULT_EVENTS: tuple[EventType, ...] = tuple(
    name for name in get_args(EventType) if name != "stage.progress"
)

MessageType = Literal[EventType, "webhook.test"]
"""The types of the event stream, and the message by which an address is tried out."""

DeliveryState = Literal["pending", "delivered", "failed"]

Url = Annotated[str, Field(min_length=8, max_length=2000, pattern=r"^https?://[!-~]+$")]
Events = Annotated[tuple[EventType, ...], Field(min_length=1, max_length=50)]
Description = Annotated[Text, Field(max_length=500)]


class WebhookSpec(Value):
    """An address that wants to be told."""

    url: Url = Field(
        description="http or https, without user name; in ASCII", examples=["https://ci.example/in"]
    )
    events: Events = Field(
        default=DEFAULT_EVENTS, description="types to be told of; by default all but stage.progress"
    )
    run: RunKind | None = Field(
        default=None, description="only what happens in experiments, or only in audits"
    )
    description: Description = ""


class WebhookChange(Value):
    """What is to change; what is absent or null stays."""

    url: Url | None = None
    events: Events | None = None
    run: RunKind | Literal["any"] | None = None
    description: Description | None = None
    active: bool | None = Field(
        default=None,
        description="false: no events are recorded for it, and what is pending waits until true",
    )


class WebhookView(WebhookSpec):
    """A webhook, and how its deliveries went of late. Its secret is never shown again."""

    id: str
    active: bool
    created_at: float = Field(description="seconds since 1970, UTC")
    failures: int = Field(description="attempts that have failed since one succeeded")
    last_delivered_at: float | None = None
    last_failed_at: float | None = None
    last_error: str | None = None
    previous_secret_until: float | None = Field(
        default=None, description="until then the secret before the present one signs, too"
    )
    links: dict[str, str]


class WebhookSecret(Value):
    """A new secret, shown this once: `whsec_` and base64, as the Standard Webhooks specification
    has it."""

    secret: str
    previous_secret_until: float | None = None


class WebhookCreated(WebhookView):
    """A new webhook with its secret, which is shown this once."""

    secret: str


class RunRef(Value):
    """The experiment or audit that a message is about."""

    id: str
    kind: RunKind
    name: str


class WebhookMessage(Value):
    """The body of a delivery: an event as the event stream has it, with what it is about.

    The header `webhook-id` names the event: receivers that have seen it drop it.
    """

    id: int = Field(description="counts from 1 within the run; 0 in a test")
    type: MessageType
    at: float = Field(description="seconds since 1970, UTC")
    stage: StageKey | None = None
    data: JsonObject = {}
    run: RunRef | None = Field(default=None, description="null in a test")
    links: dict[str, str] = Field(default={}, description="paths on the server")


class DeliveryTry(Value):
    """One attempt. It is on its way while it has neither status nor error."""

    attempt: int
    at: float
    seconds: float | None = None
    status: int | None = Field(default=None, description="of the answer, if one came")
    error: str | None = Field(default=None, description="why this attempt failed")
    excerpt: str | None = Field(default=None, description="begin of the body of a failed answer")


class DeliveryView(Value):
    """A message on its way to one webhook. `id` is sent as the header `webhook-id`."""

    id: str
    type: MessageType
    run: RunRef | None = None
    event: int
    state: DeliveryState
    created_at: float
    finished_at: float | None = None
    next_attempt_at: float | None = Field(
        default=None, description="null when it has ended, or waits until the webhook is active"
    )
    attempts: tuple[DeliveryTry, ...] = Field(default=(), description="the latest fifty")
    links: dict[str, str]


class DeliveryDetail(DeliveryView):
    """A delivery with what is sent."""

    message: WebhookMessage
