"""The signature of webhooks, as sender and receiver compute it.

Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body` with the bytes of the secret, written as
`v1,` and base64. A secret is `whsec_` and the base64 of its bytes.
"""

import base64
import binascii
import hashlib
import hmac

__all__ = ["PREFIX", "secret_of", "signature"]

PREFIX = "whsec_"


def secret_of(key: bytes) -> str:
    """A key of 24 to 64 bytes as people keep it."""
    return PREFIX + base64.b64encode(key).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`timestamp`: seconds since 1970. Raises ValueError for what is not a secret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError(f"a secret is {PREFIX} and base64")
    signed = b".".join([message_id.encode(), str(timestamp).encode(), body])
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
