"""The object store in a folder."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from forgetscope.adapters._bytes import (
    blob_key,
    chunks,
    describe,
    sync_folder,
    verified,
    write_whole,
)
from forgetscope.schema.errors import InvalidInput, NotFound, Unavailable
from forgetscope.schema.stage import BlobRef

__all__ = ["FileStore"]

_DAY_SECONDS = 86_400


class FileStore:
    """Blobs as read-only files: `<root>/blobs/ab/cdef…` holds the bytes whose sha256 is abcdef….

    A blob is written to `<root>/unfinished`, synced and renamed, so a crash leaves at most an
    unfinished file; those older than a day are removed at the start.
    """

    def __init__(self, root: Path, now: Callable[[], float] = time.time) -> None:
        self._root = root
        self._unfinished = root / "unfinished"
        with _translated():
            (root / "blobs").mkdir(parents=True, exist_ok=True)
            self._unfinished.mkdir(exist_ok=True)
            for left in self._unfinished.iterdir():
                # Another process may clean, or write, at the same time.
                try:
                    if left.stat().st_mtime < now() - _DAY_SECONDS:
                        left.unlink(missing_ok=True)
                except FileNotFoundError:
                    continue

    def put(self, path: Path, media_type: str) -> BlobRef:
        blob = describe(path, media_type)
        target = self._path(blob.digest)
        with _translated():
            if self._size(target) == blob.size:
                return blob
            if not target.parent.exists():
                target.parent.mkdir(exist_ok=True)
                sync_folder(target.parent.parent)
            with path.open("rb") as stream:
                write_whole(
                    verified(chunks(stream), blob),
                    target,
                    scratch=self._unfinished,
                    mode=0o444,
                    durable=True,
                )
        return blob

    def fetch(self, blob: BlobRef, target: Path) -> None:
        with _translated():
            write_whole(self.read(blob), target)

    def read(self, blob: BlobRef) -> Iterator[bytes]:
        with _translated():
            try:
                stream = self._path(blob.digest).open("rb")
            except FileNotFoundError:
                raise NotFound("no such blob is stored", where=f"blob {blob.digest}") from None
            with stream:
                yield from verified(chunks(stream), blob)

    def exists(self, digest: str) -> bool:
        with _translated():
            return self._size(self._path(digest)) is not None

    def delete(self, digest: str) -> None:
        with _translated():
            self._path(digest).unlink(missing_ok=True)

    def presign(self, blob: BlobRef, *, seconds: int, filename: str) -> str | None:
        del blob, seconds, filename
        return None

    def list_folder(self, uri: str) -> dict[str, tuple[int, str]]:
        raise _no_folders(uri)

    def open_object(self, uri: str) -> BinaryIO:
        raise _no_folders(uri)

    def ping(self) -> None:
        if not os.access(self._unfinished, os.W_OK | os.X_OK):
            raise Unavailable("the folder of the store is not there, or not writable")

    def _path(self, digest: str) -> Path:
        return self._root / blob_key(digest)

    @staticmethod
    def _size(path: Path) -> int | None:
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return None


def _no_folders(uri: str) -> InvalidInput:
    return InvalidInput(
        f"{uri} cannot be read: this server keeps its objects in files, not in S3",
        hint="Use a local folder or a hub model, or a server with an S3 store.",
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"the store's disk failed: {error.strerror or error}") from error
