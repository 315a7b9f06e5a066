"""Rows of Parquet files."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from forgetscope.adapters._plain import plain
from forgetscope.adapters._rows_text import bad, make_row
from forgetscope.schema.example import Row

__all__ = ["parquet_rows"]

_BATCH_ROWS = 1024


def parquet_rows(stream: BinaryIO, file: str) -> Iterator[Row]:
    """Rows in their order, numbered from 1, read in batches; values as `plain` makes them.

    The stream must be seekable. Damage is reported at the first row that cannot be read.
    """
    import pyarrow as pa  # noqa: PLC0415 - takes a quarter of a second
    import pyarrow.parquet as pq  # noqa: PLC0415

    number = 1
    try:
        table = pq.ParquetFile(stream)
        names = table.schema_arrow.names
        if len(set(names)) < len(names):
            bad(file, 1, "two columns have the same name")
        for batch in table.iter_batches(_BATCH_ROWS):
            for data in _records(batch, file, number):
                yield make_row(data, file, number)
                number += 1
    except MemoryError:  # Arrow's own is an ArrowException, too
        raise
    except (pa.ArrowException, OSError) as error:
        bad(file, number, f"the Parquet file is broken ({type(error).__name__})")


def _records(batch: Any, file: str, first: int) -> Iterator[dict[str, object]]:
    """A batch as records. Text that is not UTF-8 shows only here, hence row by row."""
    for i in range(batch.num_rows):
        try:
            (record,) = batch.slice(i, 1).to_pylist()
        except UnicodeDecodeError:
            bad(file, first + i, "a text is not UTF-8")
        except ValueError as error:
            bad(file, first + i, str(error))
        for name, value in record.items():
            try:
                record[name] = plain(value)
            except ValueError as error:
                bad(file, first + i, f"column {name!r}: {error}")
        yield record
