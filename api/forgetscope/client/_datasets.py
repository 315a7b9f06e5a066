"""The part of the client that handles uploaded data sets."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from forgetscope.client._answers import pages, parse
from forgetscope.client._errors import BadAnswer
from forgetscope.client._transport import Transport
from forgetscope.schema.views import DatasetFormat, DatasetView, Page

__all__ = ["Datasets"]

PIECE_BYTES = 1 << 18
# The server reads every row before it answers.
CHECK_SECONDS = 1800.0
PATH = "/v1/datasets"
_PARQUET = b"PAR1"
_TYPES: dict[DatasetFormat, str] = {
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


class Datasets:
    """`Client.datasets`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(
        self,
        source: str | os.PathLike[str] | BinaryIO,
        *,
        name: str | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> DatasetView:
        """Upload a file by path, or an open one from where it stands, and return its record.

        It is streamed, and taken for Parquet when it begins as such files do, else for JSONL.
        `name` is the file's if absent, which an open one need not have. `on_progress` is told the
        bytes sent so far; they start again when a lost connection makes it send a path's file
        again. Raises OSError, too, when the file cannot be read, and BadAnswer when the server
        has got other bytes.
        """
        path = Path(source) if isinstance(source, str | os.PathLike) else None
        label = name or (path.name if path else "upload")
        with _opened(source) as stream:
            head = stream.read(len(_PARQUET))
        headers = {"Content-Type": _TYPES["parquet" if head == _PARQUET else "jsonl"]}
        if path is not None:
            headers["Content-Length"] = str(path.stat().st_size)
        digest = ""

        def pieces() -> Iterator[bytes]:
            nonlocal digest
            sha256, sent = hashlib.sha256(), 0
            with _opened(source) as stream:
                rest = iter(lambda: stream.read(PIECE_BYTES), b"")
                for piece in rest if path is not None else chain([head], rest):
                    sha256.update(piece)
                    yield piece
                    sent += len(piece)
                    if on_progress is not None:
                        on_progress(sent)
            digest = sha256.hexdigest()

        response = self._transport.send(
            "POST",
            PATH,
            query={"name": label},
            content=pieces,
            headers=headers,
            answer_seconds=CHECK_SECONDS,
            repeatable=path is not None,
        )
        recorded = parse(response, DatasetView)
        if recorded.digest != digest:
            raise BadAnswer(f"the server recorded other bytes of {label!r} than were sent")
        return recorded

    def list(self) -> Iterator[DatasetView]:
        """Newest first, page by page as they are asked for."""
        return pages(self._transport, PATH, Page[DatasetView], {})

    def get(self, digest: str) -> DatasetView:
        """One data set."""
        response = self._transport.send("GET", f"{PATH}/{quote(digest, safe='')}", repeatable=True)
        return parse(response, DatasetView)

    def delete(self, digest: str) -> None:
        """Delete a data set that nothing reads."""
        self._transport.send("DELETE", f"{PATH}/{quote(digest, safe='')}", repeatable=False)


def _opened(source: str | os.PathLike[str] | BinaryIO) -> AbstractContextManager[BinaryIO]:
    if isinstance(source, str | os.PathLike):
        return Path(source).open("rb")
    return nullcontext(source)
