"""Ed25519 keys in PEM files: made, and read with messages that say what is wrong."""

import os
from pathlib import Path

import typer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from forgetscope.cli.talk import EXIT_INVALID, complain

__all__ = ["make_keys", "private_key", "public_key"]


def make_keys(private: Path, public: Path, passphrase: str | None) -> None:
    """Write a new pair; the private key is for its owner only. Nothing is overwritten."""
    key = Ed25519PrivateKey.generate()
    lock: KeySerializationEncryption = (
        BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    )
    _write(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock), 0o600)
    open_part = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write(public, open_part, 0o644)


def private_key(path: Path, passphrase: str | None) -> Ed25519PrivateKey:
    """Leaves with a message when the file holds no such key or the passphrase is wrong."""
    secret = passphrase.encode() if passphrase else None
    try:
        key = load_pem_private_key(path.read_bytes(), secret)
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _refused(path, "is no private key, or the passphrase is wrong or missing") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _refused(path, "is no Ed25519 key")
    return key


def public_key(path: Path) -> Ed25519PublicKey:
    """Leaves with a message when the file holds no such key."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _refused(path, "is no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise _refused(path, "is no Ed25519 key")
    return key


def _write(path: Path, content: bytes, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except FileExistsError:
        raise _refused(path, "is there already; keys are not overwritten") from None
    except OSError as error:
        raise _refused(path, f"cannot be written: {error.strerror}") from None


def _refused(path: Path, why: str) -> typer.Exit:
    complain(why, where=str(path), hint="Make a pair: forgetscope certificate keygen")
    return typer.Exit(EXIT_INVALID)
