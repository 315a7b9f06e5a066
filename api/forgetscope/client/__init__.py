"""The typed client of the HTTP API."""

from forgetscope.client._client import Client
from forgetscope.client._errors import (
    Answered,
    BadAnswer,
    ClientError,
    Conflict,
    InvalidRequest,
    NotFound,
    ServerFailed,
    Unreachable,
)
from forgetscope.client._verify import BadSignature, verify_webhook

__all__ = [
    "Answered",
    "BadAnswer",
    "BadSignature",
    "Client",
    "ClientError",
    "Conflict",
    "InvalidRequest",
    "NotFound",
    "ServerFailed",
    "Unreachable",
    "verify_webhook",
]
