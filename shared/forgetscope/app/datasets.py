"""Uploaded data sets: take one in, look at them, forget one; complete a source that names one."""

import time
from collections.abc import Callable

from forgetscope.app.collect import collect_garbage
from forgetscope.app.platform import Platform
from forgetscope.ports.inbox import Arrival
from forgetscope.ports.library import DatasetRow, Library
from forgetscope.schema.errors import Conflict, InvalidInput, NotFound, Unavailable, UnknownName
from forgetscope.schema.example import Source, UploadSource
from forgetscope.schema.views import DatasetFormat, DatasetView

__all__ = ["MEDIA_TYPES", "complete_source", "receive", "view_of"]

MEDIA_TYPES: dict[DatasetFormat, str] = {
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
TRIES = 10
PAUSE_SECONDS = 0.5


def receive(
    platform: Platform,
    arrival: Arrival,
    *,
    name: str,
    format: DatasetFormat,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[DatasetRow, bool]:
    """Check, store and record an upload that has arrived whole. Returns (record, created).

    Raises BadRow, TooLarge; Unavailable, too, when the same bytes are being deleted for long.
    """
    contents = arrival.contents(name, format)
    for _ in range(TRIES):
        blob = platform.store.put(arrival.path, MEDIA_TYPES[format])
        try:
            row, created = platform.library.add_dataset(
                blob, name=name, format=format, rows=contents.rows, columns=contents.columns
            )
        except Conflict:
            # A deleted data set, or experiment, left the same bytes behind.
            collect_garbage(platform)
            sleep(PAUSE_SECONDS)
            continue
        if not platform.store.exists(blob.digest):
            # They were deleted after the store took them for present, and before they were
            # recorded. From now on no collector touches them.
            platform.store.put(arrival.path, MEDIA_TYPES[format])
        return row, created
    raise Unavailable(
        "the same bytes are being deleted at this moment.", hint="Upload them again in a while."
    )


def view_of(row: DatasetRow) -> DatasetView:
    """The public form of a record."""
    links = {"self": f"/v1/datasets/{row.digest}"}
    return DatasetView.model_validate({**row._asdict(), "links": links})


def complete_source(source: Source, library: Library, where: str) -> Source:
    """A source as stages need it: that of an upload gets format and size from the library.

    `where` points to the source in the input. Raises UnknownName when there is no such upload,
    InvalidInput when the source says something else of it than the library.
    """
    if not isinstance(source, UploadSource):
        return source
    try:
        row = library.dataset(source.digest)
    except NotFound:
        raise UnknownName(
            f"there is no uploaded data set {source.digest!r}.",
            where=where,
            hint="Upload it first: POST /v1/datasets.",
        ) from None
    completed = UploadSource.model_validate(
        {"kind": "upload", "digest": row.digest, "format": row.format, "size": row.size}
    )
    for field in ("format", "size"):
        said, is_so = getattr(source, field), getattr(completed, field)
        if said not in (None, is_so):
            raise InvalidInput(
                f"the {field} of this data set is {is_so}, not {said}.",
                where=where,
                hint="Leave format and size out: they are looked up.",
            )
    return completed
