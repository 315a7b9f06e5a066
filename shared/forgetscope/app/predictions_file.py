"""Predictions as a Parquet file: written by the evaluator, read by the analysis."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from forgetscope.core.predictions import Prediction
from forgetscope.schema.errors import InvalidInput

__all__ = ["read_predictions", "write_predictions"]

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("cluster", pa.string(), nullable=False),
        pa.field("groups", pa.list_(pa.string()), nullable=False),
        pa.field("form", pa.string(), nullable=False),
        pa.field("answer", pa.int32()),
        pa.field("choice", pa.int32()),
        pa.field("correct", pa.bool_()),
        pa.field("unscored", pa.string()),
        pa.field("scores", pa.list_(pa.float64())),
        pa.field("text", pa.string()),
        pa.field("safe", pa.float64()),
    ]
)


def write_predictions(path: Path, predictions: Sequence[Prediction]) -> None:
    """Write the rows in their order. Equal rows give equal bytes (with one release of pyarrow)."""
    table = pa.Table.from_pylist([p._asdict() for p in predictions], schema=_SCHEMA)
    pq.write_table(table, path, compression="zstd")


def read_predictions(path: Path) -> list[Prediction]:
    """Read the rows in their order. Raises InvalidInput when the file is of another kind."""
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise InvalidInput(f"not a Parquet file: {error}", where=path.name) from error
    if table.schema.names != _SCHEMA.names or table.schema.types != _SCHEMA.types:
        raise InvalidInput(
            "the columns are not those of predictions",
            where=path.name,
            hint=f"Expected {', '.join(_SCHEMA.names)}.",
        )
    return [
        Prediction(
            **{
                **row,
                "groups": tuple(row["groups"]),
                "scores": None if row["scores"] is None else tuple(row["scores"]),
            }
        )
        for row in table.to_pylist()
    ]
