"""Data sets that users bring along: upload, look, delete."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from forgetscope.api.described import problems
from forgetscope.api.errors import MalformedBody, UnsupportedMediaType
from forgetscope.api.gateway import CursorQuery, LimitQuery, PlatformDep
from forgetscope.api.strict import StrictRoute
from forgetscope.api.uploads import fill, format_of, verify
from forgetscope.app import datasets
from forgetscope.schema.errors import BadRow, Conflict, NotFound, TooLarge
from forgetscope.schema.views import DatasetView, Page

__all__ = ["PATH", "router"]

PATH = "/v1/datasets"

router = APIRouter(prefix=PATH, tags=["datasets"], route_class=StrictRoute)

DigestPath = Annotated[
    str, Path(alias="digest", description="sha256 of the bytes", pattern=r"^[0-9a-f]{64}$")
]
BODY: dict[str, Any] = {
    "description": "The file: JSONL (one JSON object a line, in UTF-8) or Parquet",
    "required": True,
    "content": {
        datasets.MEDIA_TYPES["parquet"]: {"schema": {"type": "string", "format": "binary"}},
        # The last one: generated clients that know bytes only send them under this name.
        datasets.MEDIA_TYPES["jsonl"]: {
            "schema": {"type": "string", "format": "binary"},
            "example": '{"question": "2 + 2?", "answer": 4}\n{"question": "3 + 3?", "answer": 6}\n',
        },
    },
}


@router.post(
    "",
    status_code=201,
    response_description="Recorded",
    responses={
        200: {"model": DatasetView, "description": "The same bytes were there already"},
        **problems(BadRow, TooLarge, MalformedBody, UnsupportedMediaType),
    },
    openapi_extra={"requestBody": BODY, "x-idempotent": True},
)
async def upload_dataset(
    request: Request,
    response: Response,
    platform: PlatformDep,
    name: Annotated[
        str,
        Query(
            min_length=1, max_length=200, pattern=r"^[^\x00]*$", description="for people to read"
        ),
    ],
    content_digest: Annotated[
        str | None,
        Header(
            pattern=r"^[\x20-\x7e]*$",
            description="RFC 9530; its sha-256 is compared with that of what arrives",
            examples=["sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"],
        ),
    ] = None,
) -> DatasetView:
    """Upload a data set: JSONL or Parquet, every row checked before it is recorded.

    A column has one kind of value in every row, or null. A bad row is named by its number, and
    then nothing is recorded. The digest of the bytes is the data set's name in tasks.
    """
    format_ = format_of(request)
    with platform.inbox.arrival() as arrival:
        await fill(arrival, request)
        verify(arrival, content_digest)
        row, created = await run_in_threadpool(
            datasets.receive, platform, arrival, name=name, format=format_
        )
    view = datasets.view_of(row)
    if created:
        response.headers["Location"] = view.links["self"]
    else:
        response.status_code = 200
    return view


@router.get("", responses=problems())
def list_datasets(
    platform: PlatformDep, cursor: CursorQuery = None, limit: LimitQuery = 50
) -> Page[DatasetView]:
    """List the uploaded data sets, newest first."""
    page = platform.library.datasets(cursor=cursor, limit=limit)
    return Page(
        items=tuple(datasets.view_of(row) for row in page.items), next_cursor=page.next_cursor
    )


@router.get("/{digest}", responses=problems(NotFound))
def get_dataset(platform: PlatformDep, digest: DigestPath) -> DatasetView:
    """One data set: format, size, rows, and the kind of value in each column."""
    return datasets.view_of(platform.library.dataset(digest))


@router.delete("/{digest}", status_code=204, responses=problems(NotFound, Conflict))
def delete_dataset(platform: PlatformDep, digest: DigestPath) -> None:
    """Delete a data set that neither an experiment nor a registered task reads."""
    platform.library.delete_dataset(digest)
