"""Streams of bytes: hashed, checked against their digest, written so that files appear whole."""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from forgetscope.schema.errors import CorruptBlob, InvalidInput
from forgetscope.schema.stage import BlobRef

__all__ = [
    "CHUNK_BYTES",
    "DigestCache",
    "blob_key",
    "chunks",
    "describe",
    "sync_folder",
    "verified",
    "write_whole",
]

CHUNK_BYTES = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def blob_key(digest: str) -> str:
    """Relative name of a blob. Raises InvalidInput for anything that is no sha256 in hex."""
    if not _DIGEST.fullmatch(digest):
        raise InvalidInput(f"{digest[:80]!r} is not a sha256 digest of 64 hexadecimal digits")
    return f"blobs/{digest[:2]}/{digest[2:]}"


def chunks(stream: _Readable) -> Iterator[bytes]:
    """What is left of a stream, piece by piece."""
    while piece := stream.read(CHUNK_BYTES):
        yield piece


def describe(path: Path, media_type: str) -> BlobRef:
    """Digest and size of a file, read once."""
    sha256, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        for piece in chunks(stream):
            sha256.update(piece)
            size += len(piece)
    return BlobRef(digest=sha256.hexdigest(), size=size, media_type=media_type)


def verified(pieces: Iterable[bytes], blob: BlobRef) -> Iterator[bytes]:
    """The same pieces; raises CorruptBlob as soon as they cannot be the blob's bytes."""
    sha256, size = hashlib.sha256(), 0
    for piece in pieces:
        sha256.update(piece)
        size += len(piece)
        if size > blob.size:
            raise _corrupt(blob, f"more than {blob.size} bytes")
        yield piece
    if size != blob.size:
        raise _corrupt(blob, f"{size} bytes instead of {blob.size}")
    if sha256.hexdigest() != blob.digest:
        raise _corrupt(blob, f"bytes with sha256 {sha256.hexdigest()}")


def _corrupt(blob: BlobRef, found: str) -> CorruptBlob:
    return CorruptBlob(
        f"{found} are stored",
        where=f"blob {blob.digest}",
        hint="Delete the blob and run the stage that made it again.",
    )


def write_whole(
    pieces: Iterable[bytes],
    target: Path,
    *,
    scratch: Path | None = None,
    mode: int = 0o644,
    durable: bool = False,
) -> None:
    """Write a file that is at `target` whole or not at all, whatever `pieces` raises.

    `scratch` is a folder on the same file system for the unfinished file (the target's own by
    default). `durable`: still there after a power cut once this returns.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=scratch or target.parent, prefix=".", suffix=".part")
    unfinished = Path(name)
    try:
        with os.fdopen(number, "wb") as stream:
            stream.writelines(pieces)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            if durable:
                os.fsync(stream.fileno())
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class DigestCache:
    """sha256 of files, computed again only when size or modification time changed."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int], str]] = {}

    def of(self, path: Path) -> str:
        status = path.stat()
        state = (status.st_mtime_ns, status.st_size)
        known = self._known.get(path)
        if known is None or known[0] != state:
            known = (state, describe(path, "").digest)
            self._known[path] = known
        return known[1]
