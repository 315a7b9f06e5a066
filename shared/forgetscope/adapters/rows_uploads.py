"""Rows of uploaded data sets."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from forgetscope.adapters._bytes import DigestCache
from forgetscope.adapters._rows_parquet import parquet_rows
from forgetscope.adapters._rows_text import jsonl_rows
from forgetscope.ports.store import Store
from forgetscope.schema.errors import InvalidInput, Unavailable
from forgetscope.schema.example import Row, UploadSource
from forgetscope.schema.stage import BlobRef

__all__ = ["UploadRows"]


class UploadRows:
    """Uploads from the store, each fetched once into a cache folder under its digest.

    Several processes may share the folder. The least recently read files go when the sum passes
    `gib`; whoever reads one meanwhile keeps it. Lines are numbered as in the file, rows of Parquet
    from 1.
    """

    def __init__(self, store: Store, folder: Path, gib: float) -> None:
        self._store = store
        self._folder = folder
        self._limit = gib * 2**30
        self._digests = DigestCache()

    def fingerprint(self, source: UploadSource) -> str:
        return source.digest

    def read(self, source: UploadSource) -> Iterator[Row]:
        """Raises NotFound and CorruptBlob for missing and wrong bytes, Unavailable, BadRow;
        InvalidInput for a source without format and size."""
        if source.format is None or source.size is None:
            raise InvalidInput(
                "format and size of the upload have not been looked up", where=source.name
            )
        with self._open(BlobRef(digest=source.digest, size=source.size)) as stream:
            reader = jsonl_rows if source.format == "jsonl" else parquet_rows
            yield from reader(stream, source.name)

    def _open(self, blob: BlobRef) -> BinaryIO:
        path = self._folder / blob.digest
        for _ in range(3):
            stream = self._cached(path)
            if stream is not None:
                return stream
            self._make_room(blob.size)
            self._store.fetch(blob, path)
        raise Unavailable("the cache of uploads loses its files", where=str(self._folder))

    def _cached(self, path: Path) -> BinaryIO | None:
        """The file, unless it is not there (any more), or its bytes have changed since."""
        try:
            if self._digests.of(path) != path.name:
                return None
            os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
            return path.open("rb")
        except FileNotFoundError:
            return None

    def _make_room(self, needed: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        found = []
        for entry in os.scandir(self._folder):
            try:
                found.append((entry.stat().st_atime, entry.stat().st_size, Path(entry.path)))
            except FileNotFoundError:
                continue
        used = sum(size for _, size, _ in found) + needed
        for _, size, path in sorted(found):
            if used <= self._limit:
                return
            path.unlink(missing_ok=True)
            used -= size
