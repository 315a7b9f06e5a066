"""CSV, Parquet and plain lines: rows as an editor numbers them, and no fault without its place."""

import gzip
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forgetscope.adapters.rows_files import FileRows
from forgetscope.schema.errors import BadRow, InvalidInput
from forgetscope.schema.example import FileSource, Row


def read(folder: Path, content: bytes, format_: str, name: str = "set/a.data") -> list[Row]:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    source = FileSource.model_validate({"path": name, "format": format_})
    return list(FileRows(folder).read(source))


def numbered(rows: list[Row]) -> list[tuple[int, dict[str, Any]]]:
    return [(row.number, dict(row.data)) for row in rows]


def refused(folder: Path, content: bytes, format_: str, reason: str, row: int, **name: str) -> None:
    with pytest.raises(BadRow, match=reason) as caught:
        read(folder, content, format_, **name)
    assert caught.value.where == f"{name.get('name', 'set/a.data')}, row {row}"
    assert "secret" not in str(caught.value)


# CSV


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_rows_are_numbered_by_the_line_that_they_begin_on(tmp_path: Path, end: str) -> None:
    text = end.join(['\ufeffq,"a, b"', "é,1", "", f'"two{end}lines ""x""",2', " ,", ""])
    found = numbered(read(tmp_path, text.encode(), "csv"))
    assert found == [
        (2, {"q": "é", "a, b": "1"}),
        (4, {"q": f'two{end}lines "x"', "a, b": "2"}),
        (6, {"q": " ", "a, b": ""}),
    ]


def test_a_csv_file_may_have_a_header_alone_but_not_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, b"q,a\n", "csv") == []
    refused(tmp_path, b"", "csv", "no line with the names of the columns", 1)


@pytest.mark.parametrize(
    ("content", "reason", "row"),
    [
        (b"q,a\n1,2\nsecret\n", "1 columns instead of the header's 2", 3),
        (b"q,a\n1,2\n\n1,2,secret\n", "3 columns instead", 4),
        (b'q,a\n1,2\n"secret,2\n3,4\n', "broken CSV: unexpected end of data", 3),
        (b'q,a\n"1"secret,2\n', "broken CSV", 2),
        (b"q,a\n1,2\nsecret\xe9,2\n", "byte 0xe9 is not UTF-8", 3),
        (b"\xff\xfeq\0,\0a\0\n", "byte 0xff is not UTF-8", 1),
        (b"q,a\n" + b"x" * 200_000 + b",2\n", "larger than field limit", 2),
        (b"q,a,q\n1,2,3\n", "names a column twice: 'q'", 1),
        (b"q,,a\n1,2,3\n", "a column without a name", 1),
    ],
    ids=["short", "long", "open", "quote", "latin-1", "utf-16", "huge", "twice", "nameless"],
)
def test_a_csv_row_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes, reason: str, row: int
) -> None:
    refused(tmp_path, content, "csv", reason, row)
    refused(tmp_path, gzip.compress(content), "csv", reason, row, name="a.csv.gz")


# Lines


def test_every_line_is_a_row_also_a_blank_one(tmp_path: Path) -> None:
    content = "\ufeffone\n\n two\u2028still two \r\nthree".encode()
    for name, data in (("a.txt", content), ("a.txt.gz", gzip.compress(content))):
        assert numbered(read(tmp_path, data, "lines", name)) == [
            (1, {"line": "one"}),
            (2, {"line": ""}),
            (3, {"line": " two\u2028still two "}),
            (4, {"line": "three"}),
        ]


def test_a_line_in_another_encoding_is_named(tmp_path: Path) -> None:
    refused(tmp_path, b"one\nsecret \x80\n", "lines", "byte 0x80", 2)


@pytest.mark.parametrize("format_", ["csv", "lines", "json"])
def test_a_truncated_gzip_file_is_a_bad_row_in_every_text_format(
    tmp_path: Path, format_: str
) -> None:
    content = gzip.compress(b"".join(b'{"q": %d}\n' % i for i in range(999)))[:-40]
    with pytest.raises(BadRow, match="gzip") as caught:
        read(tmp_path, content, format_, "a.gz")
    assert (caught.value.where or "").startswith("a.gz, row ")


# Parquet


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return bytes(sink.getvalue())


def test_parquet_rows_are_numbered_by_position_over_row_groups_and_batches(tmp_path: Path) -> None:
    table = pa.table({"q": [f"é{i}" for i in range(3000)], "n": list(range(3000))})
    found = numbered(read(tmp_path, parquet(table, row_group_size=700), "parquet"))
    assert found == [(i + 1, {"q": f"é{i}", "n": i}) for i in range(3000)]


def test_parquet_values_become_plain_json(tmp_path: Path) -> None:
    moment = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
    table = pa.table(
        {
            "nothing": pa.array([None], pa.string()),
            "truth": [True],
            "share": [0.5],
            "moment": pa.array([moment], pa.timestamp("ms", tz="UTC")),
            "day": [date(2024, 2, 29)],
            "hour": [time(12, 30)],
            "long": [timedelta(seconds=90)],
            "exact": [Decimal("1.10")],
            "words": pa.array([["a", None]], pa.list_(pa.string())),
            "nested": [{"label": ["A"], "deep": {"n": 1}}],
            "pairs": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
            "code": pa.array(["x"]).dictionary_encode(),
        }
    )
    ((_, data),) = numbered(read(tmp_path, parquet(table), "parquet"))
    assert data == {
        "nothing": None,
        "truth": True,
        "share": 0.5,
        "moment": "2024-02-29T12:30:00+00:00",
        "day": "2024-02-29",
        "hour": "12:30:00",
        "long": 90.0,
        "exact": "1.10",
        "words": ["a", None],
        "nested": {"label": ["A"], "deep": {"n": 1}},
        "pairs": [["a", 1]],
        "code": "x",
    }


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (pa.array([b"x", b"secret"]), "values of type bytes are not read"),
        (pa.array([1.0, float("nan")]), "nan is no number of JSON"),
        (
            pa.Array.from_buffers(
                pa.string(),
                2,
                [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\7\0\0\0"), pa.py_buffer(b"asecre\xff")],
            ),
            "not UTF-8",
        ),
    ],
    ids=["bytes", "nan", "latin-1"],
)
def test_a_parquet_value_that_json_cannot_hold_is_named(
    tmp_path: Path, column: pa.Array, reason: str
) -> None:
    row = 1 if "bytes" in reason else 2
    refused(tmp_path, parquet(pa.table({"q": column})), "parquet", reason, row)


def test_a_damaged_parquet_file_is_a_bad_row(tmp_path: Path) -> None:
    whole = parquet(pa.table({"q": [f"{i}" * 9 for i in range(5000)]}), row_group_size=1000)
    for content, row in ((b"", 1), (b"PAR1", 1), (whole[:-9], 1), (whole[: len(whole) // 2], 1)):
        refused(tmp_path, content, "parquet", "the Parquet file is broken", row)
    spoilt = bytearray(whole)
    spoilt[len(whole) // 2 : len(whole) // 2 + 4000] = bytes(4000)
    with pytest.raises(BadRow) as caught:
        read(tmp_path, bytes(spoilt), "parquet")
    assert caught.value.where != "set/a.data, row 1"


def test_two_parquet_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["q", "q"])
    refused(tmp_path, parquet(table), "parquet", "two columns have the same name", 1)


def test_parquet_is_not_read_through_gzip(tmp_path: Path) -> None:
    content = gzip.compress(parquet(pa.table({"q": [1]})))
    with pytest.raises(InvalidInput, match="compressed inside"):
        read(tmp_path, content, "parquet", "a.parquet.gz")
