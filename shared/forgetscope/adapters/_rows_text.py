"""Rows from streams of bytes in one of the text formats: JSON, CSV, plain lines.

`file` is the name that rows and errors carry. Text is UTF-8; a byte order mark is passed over.
"""

import csv
import gzip
import json
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NoReturn

from pydantic import JsonValue, ValidationError

from forgetscope.schema.errors import BadRow
from forgetscope.schema.example import Row

__all__ = ["bad", "csv_rows", "json_rows", "jsonl_rows", "line_rows", "make_row", "unpacked"]

_BLANK = " \t\r\n"
_MARK = b"\xef\xbb\xbf"


def jsonl_rows(stream: BinaryIO, file: str) -> Iterator[Row]:
    """One object a line, numbered by line; blank lines are passed over."""
    for number, line in _lines(stream, file):
        if (start := _skip(line, 0)) < len(line):
            data, end = _value(line, start, file, number)
            if _skip(line, end) < len(line):
                bad(file, number, "there is more on the line than one JSON object")
            yield make_row(data, file, number)


def json_rows(stream: BinaryIO, file: str) -> Iterator[Row]:
    """An array of objects, numbered by position, or one object a line: several published data
    sets have lines in files that are called .json. The stream must be seekable."""
    return (_array if _first(stream, file) == b"[" else jsonl_rows)(stream, file)


def line_rows(stream: BinaryIO, file: str) -> Iterator[Row]:
    """Each line, a blank one too, as the field `line`, without the characters that end it."""
    for number, line in _lines(stream, file):
        text = line.removesuffix("\n").removesuffix("\r")
        yield make_row({"line": text}, file, number)


def csv_rows(stream: BinaryIO, file: str) -> Iterator[Row]:
    """Rows below a header, as RFC 4180 has them; every value is text.

    A quoted field may hold line ends: a row is numbered by the line that it begins on. Blank lines
    are passed over.
    """
    reader = csv.reader((line for _, line in _lines(stream, file)), strict=True)
    header: list[str] | None = None
    while True:
        number = reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error as error:
            bad(file, number, f"broken CSV: {error}")
        if fields is None:
            break
        if not fields:
            continue
        if header is None:
            header = _header(fields, file, number)
        else:
            if len(fields) != len(header):
                bad(file, number, f"{len(fields)} columns instead of the header's {len(header)}")
            data: dict[str, JsonValue] = dict(zip(header, fields, strict=True))
            yield make_row(data, file, number)
    if header is None:
        bad(file, 1, "there is no line with the names of the columns")


def _header(names: list[str], file: str, number: int) -> list[str]:
    if not all(name.strip() for name in names):
        bad(file, number, "the header has a column without a name")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        bad(file, number, f"the header names a column twice: {twice[0]!r}")
    return names


def _first(stream: BinaryIO, file: str) -> bytes:
    """The first byte that is not blank; the stream stands at its beginning again."""
    with unpacked(file, 1):
        head = stream.read(1 << 16).removeprefix(_MARK).lstrip()
        stream.seek(0)
    return head[:1]


def _lines(stream: BinaryIO, file: str) -> Iterator[tuple[int, str]]:
    """Numbered from 1, each with the line feed that ends it: no other character does."""
    number = 1
    while True:
        with unpacked(file, number):
            line = stream.readline()
        if not line:
            return
        yield number, _decoded(line.removeprefix(_MARK) if number == 1 else line, file, number)
        number += 1


def _array(stream: BinaryIO, file: str) -> Iterator[Row]:
    with unpacked(file, 1):
        content = stream.read().removeprefix(_MARK)
    # Wrong bytes pass here, and are refused in the row that holds them.
    text = content.decode("utf-8", "surrogateescape")
    number, at = 0, _skip(text, _skip(text, 0) + 1)
    while text[at : at + 1] != "]" or number:
        number += 1
        data, end = _value(text, at, file, number)
        _decoded(text[at:end].encode("utf-8", "surrogateescape"), file, number)
        yield make_row(data, file, number)
        at = _skip(text, end)
        if text[at : at + 1] == "]":
            break
        if text[at : at + 1] != ",":
            bad(file, number, "the JSON array breaks off, or lacks a comma, after this row")
        at = _skip(text, at + 1)
    if text[at + 1 :].strip():
        bad(file, number + 1, "there is more in the file than one JSON array")


def _skip(text: str, at: int) -> int:
    """The next place that is not blank."""
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _decoded(piece: bytes, file: str, number: int) -> str:
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError as error:
        bad(file, number, f"byte 0x{piece[error.start]:02x} is not UTF-8")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    if math.isfinite(value := float(text)):
        return value
    raise ValueError(f"{text[:40]} is too large a number")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("an object has the same name twice")
    return made


_DECODER = json.JSONDecoder(
    parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_unique
)


def _value(text: str, at: int, file: str, number: int) -> tuple[object, int]:
    try:
        value, end = _DECODER.raw_decode(text, at)
        if "\\u" in text[at:end]:
            json.dumps(value, ensure_ascii=False).encode()
        return value, end
    except UnicodeEncodeError:
        bad(file, number, "half of a surrogate pair is no unicode character")
    except json.JSONDecodeError as error:
        bad(file, number, f"broken JSON at character {error.pos - at + 1}: {error.msg}")
    except ValueError as error:
        bad(file, number, str(error))
    except RecursionError:
        bad(file, number, "the JSON is nested too deeply")


def make_row(data: object, file: str, number: int) -> Row:
    if not isinstance(data, dict):
        bad(file, number, f"a row must be a JSON object, not {type(data).__name__}")
    try:
        return Row(file=file, number=number, data=data)
    except ValidationError as error:
        bad(file, number, error.errors(include_input=False)[0]["msg"])


@contextmanager
def unpacked(file: str, number: int) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        bad(file, number, f"the gzip file is broken: {error}")


def bad(file: str, number: int, detail: str) -> NoReturn:
    raise BadRow(detail, where=f"{file}, row {number}")
