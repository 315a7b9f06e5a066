"""An upload that nobody has looked at yet is read by a process that may do no harm."""

import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forgetscope.adapters._upload_check import Answer, Order, check
from forgetscope.adapters.inbox_files import FileInbox, Limits
from forgetscope.core.columns import Columns
from forgetscope.ports.inbox import Inbox
from forgetscope.schema.errors import BadRow, TooLarge
from forgetscope.schema.example import Row

GOOD = b'{"q": "secret", "n": 1}\n'


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, store_schema=False)
    return out.getvalue()


def checked(folder: Path, content: bytes, format_: Any = "jsonl", **limits: int) -> Answer:
    path = folder / "upload"
    path.write_bytes(content)
    return check(Order(path=path, name="set", format=format_, limits=Limits(**limits)))


@pytest.mark.parametrize(
    ("bad", "reason", "column"),
    [
        (b'{"q": "secret', "broken JSON", None),
        (b'{"q": 1} {"q": "secret"}', "more on the line", None),
        (b'["secret"]', "must be a JSON object", None),
        (b'{"q": "secret\xff"}', "not UTF-8", None),
        (b'{"q": "secret\\u0000"}', "NUL", "q"),
        (b'{"q": "a", "n": {"secret\\u0000": 1}}', "NUL", "n"),
        (b'{"q": "secret\\ud800"}', "surrogate", None),
        (b'{"n": NaN}', "NaN", None),
        (b'{"n": -1e999}', "too large", None),
        (b'{"n": ' + b"9" * 5000 + b"}", "digits", None),
        (b'{"q": "secret", "q": "secret"}', "twice", None),
        (b'{"q": "a", "n": {"k": 1, "k": 1}}', "twice", None),
        (b'{"q": "a", "n": "secret"}', "kind string; in the rows before it was integer", "n"),
        (b'{"q": "a", "n": true}', "kind boolean", "n"),
        (b'{"q": ["secret"]}', "kind array", "q"),
        (b'{"q": "a", "l": ' + b"[" * 70 + b"]" * 70 + b"}", "nested", "l"),
        (b'{"q": ' + b"[" * 50_000, "nested|broken", None),
        (json.dumps({f"c{i}": 1 for i in range(1001)}).encode(), "1000 columns", "c998"),
        (b'{"' + b"x" * 600 + b'": 1}', "500 characters", "x" * 80 + "…"),
        (b'{"q": "' + b"x" * (1 << 20), "more than 1048576 bytes", None),
    ],
    ids=range(20),
)
def test_a_bad_line_is_named_by_its_number_and_its_column(
    tmp_path: Path, bad: bytes, reason: str, column: str | None
) -> None:
    found = checked(tmp_path, GOOD + b"\n" + bad + b"\n" + GOOD)
    assert found.code == BadRow.code
    assert any(word in found.detail for word in reason.split("|"))
    assert found.where == "set, row 3" + (f", column {column!r}" if column else "")
    assert "secret" not in found.detail


@pytest.mark.parametrize("content", [b"", b"\n \r\n", b"\xef\xbb\xbf"])
def test_a_file_without_rows_is_refused(tmp_path: Path, content: bytes) -> None:
    assert checked(tmp_path, content).detail == "there are no rows"
    assert checked(tmp_path, parquet(q=pa.array([], pa.string())), "parquet").code == BadRow.code


WHOLE = parquet(q=["secret"] * 3)


@pytest.mark.parametrize(
    ("content", "row"),
    [
        (b"", 1),
        (b"PAR1", 1),
        (GOOD, 1),
        (WHOLE[:-20], 1),
        (WHOLE[:-8] + b"\xff\xff\xff\x7fPAR1", 1),
        (WHOLE[:30] + b"\xff" * 40 + WHOLE[70:], 1),
        (parquet(q=[b"secret"]), 1),
        (parquet(q=[1.5, float("nan")]), 2),
        (parquet(q=["a", "b\0"]), 2),
        (parquet(q=[["a"], ["b", "\0"]]), 2),
    ],
    ids=[
        *("empty", "mark", "lines", "cut", "footer", "damaged"),
        *("bytes", "NaN", "NUL", "nested NUL"),
    ],
)
def test_broken_parquet_is_a_bad_row(tmp_path: Path, content: bytes, row: int) -> None:
    found = checked(tmp_path, content, "parquet")
    assert found.code == BadRow.code
    assert (found.where or "").startswith(f"set, row {row}")
    assert "secret" not in found.detail


def test_a_value_of_parquet_that_is_not_read_is_named_by_its_column(tmp_path: Path) -> None:
    found = checked(tmp_path, parquet(n=[1, 2], q=[b"secret"] * 2), "parquet")
    assert (found.where, found.detail[:11]) == ("set, row 1", "column 'q':")


def test_kinds_widen_and_say_where_values_are_missing() -> None:
    columns = Columns()
    rows: list[dict[str, Any]] = [
        {"always": 1, "wide": 1, "late": None},
        {"always": 2, "wide": 0.5, "late": "x", "some": {}},
        {"always": 3, "wide": 2, "never": None},
    ]
    for number, data in enumerate(rows, start=1):
        columns.add(Row(file="set", number=number, data=data))
    assert columns.kinds() == {
        "always": "integer",
        "wide": "number",
        "late": "string or null",
        "some": "object or null",
        "never": "null",
    }


def test_rows_are_limited_in_number_and_in_what_they_unpack_to(tmp_path: Path) -> None:
    many = parquet(n=list(range(1001)))
    told = parquet(q=[f"{i}" * 9000 for i in range(900)])
    # Its metadata tell of one text only: that it stands in every row shows when they are read.
    repeated = parquet(q=pa.array(["x" * 10_000] * 900).dictionary_encode())
    assert len(repeated) < 100_000
    for content in (many, told, repeated):
        found = checked(tmp_path, content, "parquet", rows=1000, decoded_bytes=5_000_000)
        assert found.code == TooLarge.code
    assert checked(tmp_path, GOOD * 1001, rows=1000).code == TooLarge.code
    assert checked(tmp_path, GOOD * 1000, rows=1000).rows == 1000


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    row = json.dumps({"q": "x" * 2000}).encode() + b"\n"
    peaks = []
    for rows in (500, 5000):
        (tmp_path / "upload").write_bytes(row * rows)
        tracemalloc.start()
        order = Order(path=tmp_path / "upload", name="set", format="jsonl", limits=Limits())
        assert check(order).rows == rows
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000 < len(row) * 500


# The process ----------------------------------------------------------------------------------


def contents_of(inbox: Inbox, content: bytes, format_: Any) -> Any:
    with inbox.arrival() as arrival:
        arrival.write(content)
        return arrival.contents("set", format_)


def test_what_takes_too_much_memory_ends_its_own_process_only(tmp_path: Path) -> None:
    one = parquet(q=pa.array(["x" * 1_000_000] * 1000).dictionary_encode())
    assert len(one) < 200_000
    limits = Limits(memory_bytes=100 << 20, decoded_bytes=1 << 40)
    with pytest.raises(TooLarge, match="memory"):
        contents_of(FileInbox(tmp_path, limits), one, "parquet")
    assert list(tmp_path.iterdir()) == []


def test_what_takes_too_long_is_stopped(tmp_path: Path) -> None:
    lines = b'{"q": 1}\n' * 900_000
    with pytest.raises(TooLarge, match="time"):
        contents_of(FileInbox(tmp_path, Limits(seconds=1)), lines, "jsonl")


def test_an_upload_is_gone_when_its_process_is(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from forgetscope.adapters.inbox_files import FileInbox, Limits\n"
        "with FileInbox(Path(sys.argv[1]), Limits()).arrival() as arrival:\n"
        "    arrival.write(b'x'); print('there', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        FileInbox(tmp_path, Limits())
        (waiting,) = tmp_path.iterdir()  # its process lives
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert waiting.exists()
    with waiting.open("rb") as other, (tmp_path / "other").open("wb"):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        FileInbox(tmp_path, Limits())
        assert waiting.exists()  # somebody holds it
    FileInbox(tmp_path, Limits())
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
