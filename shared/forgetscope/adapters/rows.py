"""Rows of every kind of source: each kind has an adapter of its own."""

from collections.abc import Iterator

from forgetscope.adapters.rows_files import FileRows
from forgetscope.core.identity import digest_of
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.example import FileSource, Row, Source

__all__ = ["RowSources"]


class RowSources:
    """`forgetscope.ports.rows.Rows`: hands each source to the adapter of its kind."""

    def __init__(self, files: FileRows) -> None:
        self._files = files

    def fingerprint(self, sources: tuple[Source, ...]) -> str:
        return digest_of([self._fingerprint(source) for source in sources])

    def read(self, source: Source) -> Iterator[Row]:
        if isinstance(source, FileSource):
            return self._files.read(source)
        raise InvalidInput(f"sources of kind {source.kind!r} are not known", where=source.name)

    def _fingerprint(self, source: Source) -> str:
        if isinstance(source, FileSource):
            return self._files.fingerprint((source,))
        raise InvalidInput(f"sources of kind {source.kind!r} are not known", where=source.name)
