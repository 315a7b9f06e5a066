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

__all__ = [
    "Answered",
    "BadAnswer",
    "Client",
    "ClientError",
    "Conflict",
    "InvalidRequest",
    "NotFound",
    "ServerFailed",
    "Unreachable",
]
