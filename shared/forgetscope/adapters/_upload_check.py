"""`python -m forgetscope.adapters._upload_check`: read an upload that nobody has looked at yet.

A process of its own: a hostile file can take a reader's memory or time, or crash it, and then
takes no more than this process. It asks the kernel for its own limits, and answers with one
`Answer` as JSON on standard output.
"""

import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

from forgetscope.adapters._rows_parquet import parquet_rows
from forgetscope.adapters._rows_text import jsonl_rows
from forgetscope.core.columns import Columns
from forgetscope.schema.base import Value
from forgetscope.schema.errors import BadRow, TooLarge
from forgetscope.schema.example import Row
from forgetscope.schema.views import DatasetFormat

__all__ = ["Answer", "Limits", "Order", "check"]


class Limits(Value):
    """`row_bytes`: of one line of JSONL; `decoded_bytes`: of all rows of a Parquet file;
    `memory_bytes`: beyond what an idle process takes."""

    rows: int = 1_000_000
    row_bytes: int = 1 << 20
    decoded_bytes: int = 1 << 30
    memory_bytes: int = 1 << 30
    seconds: int = 600


class Order(Value):
    """What to read. `name` is the file's name in errors."""

    path: Path
    name: str
    format: DatasetFormat
    limits: Limits


class Answer(Value):
    """Rows and columns, or what is wrong."""

    rows: int = 0
    columns: dict[str, str] = {}
    code: str | None = None
    detail: str = ""
    where: str | None = None
    hint: str | None = None


def check(order: Order) -> Answer:
    """Read every row, keeping none. Errors are part of the answer."""
    limits, columns = order.limits, Columns()
    try:
        with order.path.open("rb") as stream:
            if order.format == "jsonl":
                rows = jsonl_rows(cast(BinaryIO, _Lines(stream, order)), order.name)
            else:
                rows = _parquet(stream, order)
            for row in rows:
                columns.add(row)
                if columns.rows > limits.rows:
                    _too_large(order, f"there are more than {limits.rows} rows")
                if columns.size > limits.decoded_bytes:
                    _too_large(order, f"the rows take more than {limits.decoded_bytes} bytes")
    except (BadRow, TooLarge) as error:
        return Answer(code=error.code, detail=error.detail, where=error.where, hint=error.hint)
    except MemoryError:
        return Answer(code=TooLarge.code, detail="the rows take too much memory", where=order.name)
    if columns.rows == 0:
        return Answer(code=BadRow.code, detail="there are no rows", where=order.name)
    return Answer(rows=columns.rows, columns=columns.kinds())


class _Lines:
    """A stream of lines, none of them longer than a row may be."""

    def __init__(self, stream: BinaryIO, order: Order) -> None:
        self._stream = stream
        self._order = order
        self._number = 0

    def readline(self) -> bytes:
        self._number += 1
        limit = self._order.limits.row_bytes
        line = self._stream.readline(limit + 1)
        if len(line) > limit:
            where = f"{self._order.name}, row {self._number}"
            raise BadRow(f"the row has more than {limit} bytes", where=where)
        return line


def _parquet(stream: BinaryIO, order: Order) -> Iterator[Row]:
    import pyarrow as pa  # noqa: PLC0415 - takes longer than to read a small file of lines
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        facts = pq.read_metadata(stream)
        size = sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups))
    except (pa.ArrowException, OSError):
        raise BadRow(
            "this is no Parquet file, or it breaks off", where=f"{order.name}, row 1"
        ) from None
    limits = order.limits
    if facts.num_rows > limits.rows:
        _too_large(order, f"there are more than {limits.rows} rows")
    if size > limits.decoded_bytes:
        _too_large(order, f"the rows take more than {limits.decoded_bytes} bytes")
    stream.seek(0)
    return parquet_rows(stream, order.name)


def _too_large(order: Order, detail: str) -> NoReturn:
    raise TooLarge(detail, where=order.name, hint="Upload it as several data sets.")


def main(order: Order) -> None:
    """Check within the limits, and say what was found."""
    if order.format == "parquet":
        import pyarrow as pa  # noqa: PLC0415

        pa.set_cpu_count(1)
        pa.set_memory_pool(pa.system_memory_pool())
    resource.setrlimit(resource.RLIMIT_CPU, (order.limits.seconds, order.limits.seconds))
    pages = Path("/proc/self/statm")  # Linux only: elsewhere memory is not limited
    if pages.exists():
        idle = int(pages.read_text().split()[0]) * resource.getpagesize()
        allowed = idle + order.limits.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    sys.stdout.write(check(order).model_dump_json())


if __name__ == "__main__":
    main(Order.model_validate_json(sys.argv[1]))
