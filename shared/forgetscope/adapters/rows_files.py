"""Raw rows from files below the data folder."""

import gzip
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from forgetscope.adapters._bytes import DigestCache
from forgetscope.adapters._rows_parquet import parquet_rows
from forgetscope.adapters._rows_text import csv_rows, json_rows, jsonl_rows, line_rows
from forgetscope.schema.errors import InvalidInput, PathNotAllowed, UnknownName
from forgetscope.schema.example import FileSource, Row

__all__ = ["FileRows"]

_READERS: Mapping[str, Callable[[BinaryIO, str], Iterator[Row]]] = {
    "jsonl": jsonl_rows,
    "json": json_rows,
    "csv": csv_rows,
    "parquet": parquet_rows,
    "lines": line_rows,
}


class FileRows:
    """Data sets as files; text in a file whose name ends in `.gz` is decompressed on the way.

    `forgetscope.adapters._rows_text` and `_rows_parquet` say how the rows of each format are
    numbered. Errors name file and row.
    """

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir.resolve()
        self._digests = DigestCache()

    def fingerprint(self, sources: tuple[FileSource, ...]) -> str:
        sha256 = hashlib.sha256()
        for source in sources:
            sha256.update(f"{source.path}\0{self._digests.of(self._path(source))}\n".encode())
        return sha256.hexdigest()

    def read(self, source: FileSource) -> Iterator[Row]:
        path = self._path(source)
        if source.format == "parquet" and path.suffix == ".gz":
            raise InvalidInput(
                "Parquet files are compressed inside, and not read through gzip",
                where=source.path,
                hint="Unpack the file.",
            )
        with _open(path) as stream:
            yield from _READERS[source.format](stream, source.path)

    def _path(self, source: FileSource) -> Path:
        name = PurePosixPath(source.path)
        if name.is_absolute() or ".." in name.parts or "\0" in source.path:
            raise PathNotAllowed(
                "data files are named by their path below the data folder", where=source.path
            )
        path = (self._root / name).resolve()
        if not path.is_relative_to(self._root):
            raise PathNotAllowed("this link leads out of the data folder", where=source.path)
        if not path.is_file():
            folder = str(name.parent)
            into = "it" if folder == "." else f"its folder {folder!r}"
            raise UnknownName(
                "the data folder of the server has no such file.",
                where=source.path,
                hint=f"Put the data set's file {name.name!r} into {into}.",
            )
        return path


def _open(path: Path) -> BinaryIO:
    opener = gzip.open if path.suffix == ".gz" else open
    return cast(BinaryIO, opener(path, "rb"))
