"""Rows are read from files below the data folder, and from nowhere else."""

import gzip
import json
import os
from pathlib import Path

import pytest

from forgetscope.adapters.rows_files import FileRows
from forgetscope.ports.rows import Rows
from forgetscope.schema.errors import BadRow, PathNotAllowed, UnknownName
from forgetscope.schema.example import FileSource, Row


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "set").mkdir(parents=True)
    return folder


@pytest.fixture
def rows(data: Path) -> Rows:
    return FileRows(data)


def lines(*values: object) -> bytes:
    return "".join(json.dumps(value) + "\n" for value in values).encode()


def test_rows_are_numbered_by_line_as_an_editor_shows_them(rows: Rows, data: Path) -> None:
    (data / "set/a.jsonl").write_bytes(
        b"\xef\xbb\xbf" + lines({"q": 1}) + b"\n" + lines({"q": "é"})
    )
    found = list(rows.read(FileSource(path="set/a.jsonl")))
    assert [(row.number, row.data) for row in found] == [(1, {"q": 1}), (3, {"q": "é"})]
    assert {row.file for row in found} == {"set/a.jsonl"}


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
@pytest.mark.parametrize(
    "content",
    [
        lines({"q": 1}, {"q": [2]}),
        b' [\n{"q": 1},\n  {"q": [2]} ]\n',
        b'\xef\xbb\xbf[{"q":1},{"q":[2]}]',
    ],
    ids=["lines", "array", "array after a byte order mark"],
)
def test_json_is_an_array_or_lines_and_may_be_compressed(
    rows: Rows, data: Path, name: str, content: bytes
) -> None:
    (data / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    found = list(rows.read(FileSource(path=name, format="json")))
    assert [(row.number, row.data) for row in found] == [(1, {"q": 1}), (2, {"q": [2]})]


@pytest.mark.parametrize("content", [b"", b"\n \n", b"[]", b" [ ] \n"])
def test_a_file_may_hold_no_rows(rows: Rows, data: Path, content: bytes) -> None:
    (data / "a.json").write_bytes(content)
    assert list(rows.read(FileSource(path="a.json", format="json"))) == []


GOOD = b'{"q": 1}'


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"q": ', "broken JSON"),
        (b'{"q": 1} {"q": 2}', "more|comma"),
        (b'{"q": "\xff"}', "byte 0xff is not UTF-8"),
        (b"[1]", "must be a JSON object, not list"),
        (b"null", "must be a JSON object, not NoneType"),
        (b'{"q": NaN}', "NaN is not JSON"),
        (b'{"q": "\\ud800"}', "unicode"),
        (b'{"q": 1e999}', "too large"),
        (b'{"q": ' + b"9" * 5000 + b"}", "digits"),
        (b'{"q": ' + b"[" * 100_000, "nested|broken"),
    ],
    ids=[
        "cut",
        "two",
        "latin-1",
        "list",
        "null",
        "NaN",
        "surrogate",
        "infinite",
        "digits",
        "depth",
    ],
)
@pytest.mark.parametrize("format_", ["jsonl", "json"])
def test_a_row_that_cannot_be_read_is_named_by_file_and_number(
    rows: Rows, data: Path, bad: bytes, reason: str, format_: str
) -> None:
    content = b"[" + GOOD + b",\n" + bad + b"]" if format_ == "json" else GOOD + b"\n" + bad + b"\n"
    (data / "a.file").write_bytes(content)
    source = FileSource.model_validate({"path": "a.file", "format": format_})
    found: list[Row] = []
    with pytest.raises(BadRow, match=f"(?i){reason}") as caught:
        found.extend(rows.read(source))
    assert [row.number for row in found] in ([1], [1, 2])
    assert caught.value.where in ("a.file, row 2", "a.file, row 3")
    if b'} {"q": 2}' not in bad:
        assert (len(found), caught.value.where) == (1, "a.file, row 2")


@pytest.mark.parametrize("cut", [b"[", b'[{"q":1}', b'[{"q":1},', b'[{"q":1},]', b'[{"q":1}] x'])
def test_an_array_that_breaks_off_is_refused(rows: Rows, data: Path, cut: bytes) -> None:
    (data / "a.json").write_bytes(cut)
    with pytest.raises(BadRow):
        list(rows.read(FileSource(path="a.json", format="json")))


def test_a_broken_gzip_file_is_a_bad_row(rows: Rows, data: Path) -> None:
    whole = gzip.compress(lines(*({"q": os.urandom(9).hex()} for _ in range(999))))
    (data / "cut.jsonl.gz").write_bytes(whole[:-4000])
    (data / "not.jsonl.gz").write_bytes(lines({"q": 1}))
    for name in ("cut", "not"):
        with pytest.raises(BadRow, match="gzip"):
            list(rows.read(FileSource(path=f"{name}.jsonl.gz")))


def test_a_missing_file_says_where_it_is_expected(rows: Rows) -> None:
    for look in (lambda s: list(rows.read(s)), lambda s: rows.fingerprint((s,))):
        with pytest.raises(UnknownName, match="folder 'nowhere'") as caught:
            look(FileSource(path="nowhere/a.jsonl"))
        assert caught.value.where == "nowhere/a.jsonl"
    with pytest.raises(UnknownName):
        list(rows.read(FileSource(path="set")))


@pytest.mark.parametrize("path", ["../a.jsonl", "set/../../a.jsonl", "link/a.jsonl", "a\0b"])
def test_no_path_leads_out_of_the_data_folder(rows: Rows, data: Path, path: str) -> None:
    (data.parent / "a.jsonl").write_bytes(lines({"q": "secret"}))
    (data / "link").symlink_to(data.parent)
    with pytest.raises(PathNotAllowed):
        list(rows.read(FileSource(path=path)))


def test_an_absolute_path_is_refused_even_inside(rows: Rows, data: Path) -> None:
    (data / "a.jsonl").write_bytes(lines({"q": 1}))
    with pytest.raises(PathNotAllowed):
        list(rows.read(FileSource(path=str(data / "a.jsonl"))))


def test_a_link_inside_the_data_folder_is_followed(rows: Rows, data: Path) -> None:
    (data / "a.jsonl").write_bytes(lines({"q": 1}))
    (data / "set/b.jsonl").symlink_to(data / "a.jsonl")
    assert len(list(rows.read(FileSource(path="set/b.jsonl")))) == 1


def test_the_fingerprint_follows_bytes_and_names(data: Path) -> None:
    (data / "a.jsonl").write_bytes(lines({"q": 1}))
    (data / "b.jsonl").write_bytes(lines({"q": 1}))
    rows = FileRows(data)
    first = rows.fingerprint((FileSource(path="a.jsonl"),))
    assert len(first) == 64
    assert (
        first
        == rows.fingerprint((FileSource(path="a.jsonl"),))
        == FileRows(data).fingerprint((FileSource(path="a.jsonl"),))
    )
    assert first != rows.fingerprint((FileSource(path="b.jsonl"),))
    (data / "a.jsonl").write_bytes(lines({"q": 2}))
    os.utime(data / "a.jsonl", ns=(1, 1))
    changed = rows.fingerprint((FileSource(path="a.jsonl"),))
    assert changed != first
    (data / "a.jsonl").write_bytes(lines({"q": 1}))
    assert rows.fingerprint((FileSource(path="a.jsonl"),)) == first
