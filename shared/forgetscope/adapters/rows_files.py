"""Raw rows from JSON files below the data folder."""

import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NoReturn, cast

from pydantic import ValidationError

from forgetscope.adapters._bytes import DigestCache
from forgetscope.schema.errors import BadRow, PathNotAllowed, UnknownName
from forgetscope.schema.example import FileSource, Row

__all__ = ["FileRows"]

_BLANK = " \t\r\n"


class FileRows:
    """Data sets as files; a name that ends in `.gz` is decompressed on the way.

    `jsonl` is one object a line (blank lines are skipped, and rows are numbered by line); `json`
    is an array of objects, numbered by position, or again one object a line: several published
    data sets have lines in files that are called .json.
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
        with _open(path) as stream:
            if source.format == "json" and _first(stream, source) == b"[":
                yield from _array(stream, source)
            else:
                yield from _lines(stream, source)

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


def _first(stream: BinaryIO, source: FileSource) -> bytes:
    """The first byte that is not blank; the stream stands at its beginning again."""
    with _unpacked(source, 1):
        head = stream.read(1 << 16).removeprefix(b"\xef\xbb\xbf").lstrip()
        stream.seek(0)
    return head[:1]


def _lines(stream: BinaryIO, source: FileSource) -> Iterator[Row]:
    number = 1
    while True:
        with _unpacked(source, number):
            line = stream.readline()
        if not line:
            return
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            text = _decoded(line, source, number)
            data, end = _value(text, _skip(text, 0), source, number)
            if text[end:].strip():
                _bad(source, number, "there is more on the line than one JSON object")
            yield _row(data, source, number)
        number += 1


def _array(stream: BinaryIO, source: FileSource) -> Iterator[Row]:
    with _unpacked(source, 1):
        content = stream.read().removeprefix(b"\xef\xbb\xbf")
    # Wrong bytes pass here, and are refused in the row that holds them.
    text = content.decode("utf-8", "surrogateescape")
    number, at = 0, _skip(text, _skip(text, 0) + 1)
    while text[at : at + 1] != "]" or number:
        number += 1
        data, end = _value(text, at, source, number)
        _decoded(text[at:end].encode("utf-8", "surrogateescape"), source, number)
        yield _row(data, source, number)
        at = _skip(text, end)
        if text[at : at + 1] == "]":
            break
        if text[at : at + 1] != ",":
            _bad(source, number, "the JSON array breaks off, or lacks a comma, after this row")
        at = _skip(text, at + 1)
    if text[at + 1 :].strip():
        _bad(source, number + 1, "there is more in the file than one JSON array")


def _skip(text: str, at: int) -> int:
    """The next place that is not blank."""
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _decoded(piece: bytes, source: FileSource, number: int) -> str:
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError as error:
        _bad(source, number, f"byte 0x{piece[error.start]:02x} is not UTF-8")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    if math.isfinite(value := float(text)):
        return value
    raise ValueError(f"{text[:40]} is too large a number")


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


def _value(text: str, at: int, source: FileSource, number: int) -> tuple[object, int]:
    try:
        value, end = _DECODER.raw_decode(text, at)
        if "\\u" in text[at:end]:
            json.dumps(value, ensure_ascii=False).encode()
        return value, end
    except UnicodeEncodeError:
        _bad(source, number, "half of a surrogate pair is no unicode character")
    except json.JSONDecodeError as error:
        _bad(source, number, f"broken JSON at character {error.pos - at + 1}: {error.msg}")
    except ValueError as error:
        _bad(source, number, str(error))
    except RecursionError:
        _bad(source, number, "the JSON is nested too deeply")


def _row(data: object, source: FileSource, number: int) -> Row:
    if not isinstance(data, dict):
        _bad(source, number, f"a row must be a JSON object, not {type(data).__name__}")
    try:
        return Row(file=source.path, number=number, data=data)
    except ValidationError as error:
        _bad(source, number, error.errors(include_input=False)[0]["msg"])


@contextmanager
def _unpacked(source: FileSource, number: int) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        _bad(source, number, f"the gzip file is broken: {error}")


def _bad(source: FileSource, number: int, detail: str) -> NoReturn:
    raise BadRow(detail, where=f"{source.path}, row {number}")
