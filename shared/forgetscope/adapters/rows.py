"""Rows of every kind of source: each kind has an adapter of its own."""

from collections.abc import Iterator

from forgetscope.adapters.rows_files import FileRows
from forgetscope.adapters.rows_hub import HubRows
from forgetscope.adapters.rows_uploads import UploadRows
from forgetscope.core.identity import digest_of
from forgetscope.schema.example import FileSource, HubSource, Row, Source

__all__ = ["RowSources"]


class RowSources:
    """`forgetscope.ports.rows.Rows`: hands each source to the adapter of its kind."""

    def __init__(self, files: FileRows, hub: HubRows, uploads: UploadRows) -> None:
        self._files = files
        self._hub = hub
        self._uploads = uploads

    def fingerprint(self, sources: tuple[Source, ...]) -> str:
        return digest_of([self._fingerprint(source) for source in sources])

    def read(self, source: Source) -> Iterator[Row]:
        if isinstance(source, FileSource):
            return self._files.read(source)
        if isinstance(source, HubSource):
            return self._hub.read(source)
        return self._uploads.read(source)

    def _fingerprint(self, source: Source) -> str:
        if isinstance(source, FileSource):
            return self._files.fingerprint((source,))
        if isinstance(source, HubSource):
            return self._hub.fingerprint(source)
        return self._uploads.fingerprint(source)
