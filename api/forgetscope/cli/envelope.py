"""Signed envelopes: DSSE v1.0 around one payload, with one Ed25519 signature.

Dead Simple Signing Envelope, protocol v1.0.2: the signature is over the pre-authentication encoding
of type and payload, so that no canonical form is needed to check it. Stricter than the protocol:
the file must be exactly what `seal` writes, so that any changed byte is seen, signed or not.
"""

import base64
import binascii
import hashlib
import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from forgetscope.schema.errors import InvalidInput

__all__ = ["PAYLOAD_TYPE", "opened", "pre_authentication", "seal"]

PAYLOAD_TYPE = "application/vnd.in-toto+json"


def seal(payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """The envelope as the bytes of a file."""
    return _written(payload, key.sign(pre_authentication(payload)), _key_id(key.public_key()))


def opened(envelope: bytes, key: Ed25519PublicKey) -> bytes:
    """The payload. Raises InvalidInput for another key, and for any byte that was changed."""
    try:
        found = json.loads(envelope)
        payload = base64.b64decode(found["payload"], validate=True)
        signature = base64.b64decode(found["signatures"][0]["sig"], validate=True)
        key_id = str(found["signatures"][0]["keyid"])
        as_written = _written(payload, signature, key_id) == envelope
    except (ValueError, KeyError, IndexError, TypeError, RecursionError, binascii.Error):
        raise InvalidInput("this is no envelope of a certificate") from None
    if not as_written:
        raise InvalidInput("the file is not as it was written: something in it has changed")
    try:
        key.verify(signature, pre_authentication(payload))
    except InvalidSignature:
        other = key_id != _key_id(key)
        why = f"the signature is by another key ({key_id[:12]})" if other else "it has changed"
        raise InvalidInput(f"the signature does not fit: {why}") from None
    if key_id != _key_id(key):
        raise InvalidInput("the id of the key has changed")
    return payload


def pre_authentication(payload: bytes) -> bytes:
    """What is signed: PAE(type, payload) of DSSE."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _written(payload: bytes, signature: bytes, key_id: str) -> bytes:
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key_id, "sig": base64.b64encode(signature).decode()}],
    }
    return (json.dumps(envelope, indent=1) + "\n").encode()


def _key_id(key: Ed25519PublicKey) -> str:
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()
