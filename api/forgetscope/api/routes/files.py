"""What experiments leave behind: results, report. The files of stages are mounted below audits,
too."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.responses import RedirectResponse, StreamingResponse

from forgetscope.api.described import file_of, problems
from forgetscope.api.gateway import ExperimentId, IfNoneMatch, PlatformDep, only
from forgetscope.api.streams import opened
from forgetscope.api.strict import StrictRoute
from forgetscope.app import queries
from forgetscope.app.platform import Platform
from forgetscope.app.queries import File
from forgetscope.schema.errors import CorruptBlob, NotFound
from forgetscope.schema.results import Results
from forgetscope.schema.views import ArtifactView, Page

__all__ = ["NOT_MODIFIED", "REPORT_POLICY", "router", "shared", "whole"]

router = APIRouter(
    prefix="/v1/experiments/{id}",
    tags=["results"],
    route_class=StrictRoute,
    dependencies=[Depends(only("experiment"))],
)
shared = APIRouter(tags=["results"], route_class=StrictRoute)

# The report is static: figures are inline SVG, nothing in it may run or be loaded.
REPORT_POLICY = (
    "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "font-src data:; frame-ancestors 'self'"
)
PRESIGNED_SECONDS = 300
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The copy at hand is current"}
}


@router.get(
    "/results",
    response_model=Results,
    responses={
        200: file_of("The results"),
        **NOT_MODIFIED,
        **problems(NotFound, CorruptBlob),
    },
)
def get_results(
    platform: PlatformDep, experiment_id: ExperimentId, if_none_match: IfNoneMatch = None
) -> Response:
    """Accuracy matrix, forgetting, biased forgetting per group, order effects, with intervals."""
    file = queries.find_file(platform, experiment_id, "results.json")
    return whole(platform, file, if_none_match, "application/json", {})


@router.get(
    "/report",
    response_class=Response,
    responses={
        200: file_of("The report", "text/html"),
        **NOT_MODIFIED,
        **problems(NotFound, CorruptBlob),
    },
)
def get_report(
    platform: PlatformDep, experiment_id: ExperimentId, if_none_match: IfNoneMatch = None
) -> Response:
    """The report as one HTML page that needs nothing else."""
    file = queries.find_file(platform, experiment_id, "report.html")
    policy = {"Content-Security-Policy": REPORT_POLICY}
    return whole(platform, file, if_none_match, "text/html; charset=utf-8", policy)


@shared.get("/artifacts", responses=problems(NotFound))
def list_artifacts(
    request: Request, platform: PlatformDep, experiment_id: ExperimentId
) -> Page[ArtifactView]:
    """List the files of every finished stage, in the order of the plan. One page holds all."""
    return Page(items=queries.artifacts(platform, experiment_id, request.url.path))


@shared.get(
    "/artifacts/{stage}/{path:path}",
    response_class=Response,
    responses={
        200: file_of("The file, with its own media type", "*/*"),
        307: {
            "description": "The file is at the store",
            "headers": {"Location": {"schema": {"type": "string"}}},
        },
        **NOT_MODIFIED,
        **problems(NotFound, CorruptBlob),
    },
)
def get_artifact(  # noqa: PLR0917 - each is a parameter of the request
    platform: PlatformDep,
    experiment_id: ExperimentId,
    stage: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="key of the stage")],
    path: Annotated[str, Path(max_length=1000, description="path of the file in the stage")],
    redirect: Annotated[
        bool, Query(description="answer 307 to the object store where it has such addresses")
    ] = False,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Download a file. Its bytes are checked against their sha256 on the way."""
    file = queries.find_file(platform, experiment_id, path, stage=stage)
    tag = _tag(file)
    if _is_current(if_none_match, tag):
        return Response(status_code=304, headers=tag)
    if redirect:
        url = platform.store.presign(file.blob, seconds=PRESIGNED_SECONDS, filename=file.name)
        if url is not None:
            return RedirectResponse(url, status_code=307)
    return StreamingResponse(
        opened(queries.read_file(platform, file)),
        media_type=file.blob.media_type,
        headers=tag
        | {
            "Content-Length": str(file.blob.size),
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",
        },
    )


def whole(
    platform: Platform,
    file: File,
    if_none_match: str | None,
    media_type: str,
    headers: dict[str, str],
) -> Response:
    """A file that is small enough for memory, or 304 when the copy at hand is current."""
    tag = _tag(file)
    if _is_current(if_none_match, tag):
        return Response(status_code=304, headers=tag)
    content = b"".join(queries.read_file(platform, file))
    return Response(content, media_type=media_type, headers=headers | tag)


def _tag(file: File) -> dict[str, str]:
    return {"ETag": f'"{file.blob.digest}"', "Cache-Control": "private, no-cache"}


def _is_current(if_none_match: str | None, tag: dict[str, str]) -> bool:
    held = [t.strip().removeprefix("W/") for t in (if_none_match or "").split(",")]
    return "*" in held or tag["ETag"] in held
