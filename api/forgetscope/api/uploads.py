"""Bodies that are streamed into a file, and never held in memory."""

import base64
import re

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from forgetscope.api.errors import MalformedBody, UnsupportedMediaType
from forgetscope.api.strict import media_type_of
from forgetscope.app.datasets import MEDIA_TYPES
from forgetscope.ports.inbox import Arrival
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.views import DatasetFormat

__all__ = ["fill", "format_of", "verify"]

PIECE_BYTES = 1 << 20
_OTHER_NAMES: dict[str, DatasetFormat] = {
    "application/jsonl": "jsonl",
    "application/x-parquet": "parquet",
}
_SHA256 = re.compile(r"(?:^|,)[ \t]*sha-256=:([A-Za-z0-9+/]{43}=):")


def format_of(request: Request) -> DatasetFormat:
    """Raises UnsupportedMediaType, for a content coding, too."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise UnsupportedMediaType(
            f"the body was sent with the content coding {coding[:100]}",
            hint="Send it as it is. Parquet is compressed inside.",
        )
    media_type = media_type_of(request)
    known = {name: format for format, name in MEDIA_TYPES.items()} | _OTHER_NAMES
    if media_type not in known:
        raise UnsupportedMediaType(
            f"the body was sent as {media_type[:100]}",
            hint=f"Send JSONL or Parquet, as {' or '.join(MEDIA_TYPES.values())}.",
        )
    return known[media_type]


async def fill(arrival: Arrival, request: Request) -> None:
    """Write the body down, piece by piece. Raises MalformedBody when it breaks off, TooLarge."""
    piece = bytearray()
    try:
        async for chunk in request.stream():
            piece += chunk
            if len(piece) >= PIECE_BYTES:
                await run_in_threadpool(arrival.write, bytes(piece))
                piece.clear()
    except ClientDisconnect:
        raise MalformedBody("the connection was closed before the body had ended") from None
    await run_in_threadpool(arrival.write, bytes(piece))


def verify(arrival: Arrival, content_digest: str | None) -> None:
    """Compare with the sha-256 of a Content-Digest (RFC 9530), if it has one. Raises
    InvalidInput."""
    found = _SHA256.search(content_digest or "")
    if found and base64.b64decode(found[1]).hex() != arrival.digest:
        raise InvalidInput(
            f"the body that arrived has the sha-256 {arrival.digest}, not that of Content-Digest",
            hint="Send it again.",
        )
