"""For receivers of webhooks: is this message from the server that the secret was made by?"""

import hmac
import time
from collections.abc import Mapping

from pydantic import ValidationError

from forgetscope.client._errors import ClientError
from forgetscope.schema.signature import signature
from forgetscope.schema.webhooks import WebhookMessage

__all__ = ["BadSignature", "verify_webhook"]

TOLERANCE_SECONDS = 300.0
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


class BadSignature(ClientError):
    """A message that is not signed with this secret, or not at about this time."""


def verify_webhook(
    payload: bytes,
    headers: Mapping[str, str],
    secret: str,
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> WebhookMessage:
    """The message, if the signature by `secret` (`whsec_…`) is right and its time is near `now`
    (seconds since 1970; the clock's if None).

    `payload` are the bytes of the body as they came. The same message may come more than once:
    drop those whose header `webhook-id` was seen. Raises BadSignature; ValueError when `secret`
    is none.
    """
    given = {name.lower(): value for name, value in headers.items()}
    missing = [name for name in HEADERS if name not in given]
    if missing:
        raise BadSignature(f"the message has no header {', '.join(missing)}")
    message_id, said_at, signatures = (given[name] for name in HEADERS)
    # Only digits are signed as they stand.
    if not (said_at.isascii() and said_at.isdigit() and len(said_at) <= 12):
        raise BadSignature("the header webhook-timestamp is no number of seconds")
    right = signature(secret, message_id, int(said_at), payload).encode()
    if not any(hmac.compare_digest(right, one.encode()) for one in signatures.split()):
        raise BadSignature("no signature of the message is right: check the secret")
    present = time.time() if now is None else now
    if abs(present - int(said_at)) > tolerance_seconds:
        raise BadSignature(
            f"the message was signed {present - int(said_at):+.0f} s from now: check the clock"
        )
    try:
        return WebhookMessage.model_validate_json(payload)
    except ValidationError as error:
        raise BadSignature(
            f"the message is signed, but is not as this client knows it "
            f"({error.error_count()} fields differ)"
        ) from error
