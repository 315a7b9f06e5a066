"""The object store: bytes under their sha256."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from forgetscope.schema.stage import BlobRef

__all__ = ["Store"]


class Store(Protocol):
    """Content-addressed bytes. Complete or absent, never half-written; never overwritten.

    Raises `Unavailable` when the store does not answer.
    """

    def put(self, path: Path, media_type: str) -> BlobRef:
        """Store a file; cheap when its digest is there already."""

    def fetch(self, blob: BlobRef, target: Path) -> None:
        """Write the bytes to `target` (appears whole or not at all).

        Raises NotFound; CorruptBlob when size or sha256 differ.
        """

    def read(self, blob: BlobRef) -> Iterator[bytes]:
        """Stream the bytes in chunks; CorruptBlob is raised after the last one if they differ."""

    def exists(self, digest: str) -> bool: ...

    def delete(self, digest: str) -> None:
        """Deleting what is not there is no error."""

    def presign(self, blob: BlobRef, *, seconds: int, filename: str) -> str | None:
        """A URL that anybody can read for a while; None where the store has no such thing."""

    def list_folder(self, uri: str) -> dict[str, tuple[int, str]]:
        """Relative path → (size, etag) of the objects below an s3:// folder; {} when empty.

        Raises InvalidInput where the store has no such folders.
        """

    def open_object(self, uri: str) -> BinaryIO:
        """Read an object by s3:// address. Raises NotFound."""

    def ping(self) -> None:
        """Raises Unavailable."""
