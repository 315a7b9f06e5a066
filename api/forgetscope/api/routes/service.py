"""The gateway itself: health and problem types."""

from collections.abc import Callable
from html import escape

from fastapi import APIRouter, Request, Response
from starlette.responses import HTMLResponse

from forgetscope.api.described import problems
from forgetscope.api.errors import ROWS, type_of
from forgetscope.api.gateway import GatewayDep
from forgetscope.api.strict import StrictRoute
from forgetscope.schema.errors import NotFound, Unavailable
from forgetscope.schema.views import Health, Problem

__all__ = ["router"]

router = APIRouter(tags=["service"], route_class=StrictRoute)


@router.get("/v1/health/live", responses=problems())
def get_live(gateway: GatewayDep) -> Health:
    """Whether the gateway's process serves requests."""
    return Health(status="ok", version=gateway.version, wiring=gateway.wiring)


@router.get(
    "/v1/health/ready",
    responses=problems() | {503: {"model": Health, "description": "A component does not answer"}},
)
def get_ready(gateway: GatewayDep, response: Response) -> Health:
    """Whether database, object store and doorbell answer."""
    platform = gateway.platform
    components = {
        "records": _state_of(platform.records.ping),
        "store": _state_of(platform.store.ping),
        "doorbell": _state_of(platform.doorbell.ping),
    }
    ready = all(state == "ok" for state in components.values())
    response.status_code = 200 if ready else 503
    return Health(
        status="ok" if ready else "degraded",
        version=gateway.version,
        wiring=gateway.wiring,
        components=dict(components),
    )


def _state_of(ping: Callable[[], None]) -> str:
    try:
        ping()
    except Unavailable as error:
        return str(error)
    return "ok"


@router.get(
    "/problems/{code}",
    response_model=Problem,
    responses={
        200: {"content": {"text/html": {"schema": {"type": "string"}}}},
        **problems(NotFound),
    },
)
def get_problem(request: Request, code: str) -> Problem | Response:
    """What a problem's `type` means, as JSON, or as a page for a browser."""
    for row in ROWS:
        if row.error.code == code:
            break
    else:
        known = ", ".join(row.error.code for row in ROWS)
        raise NotFound("there is no such problem type", hint=f"There are: {known}.")
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(
            f"<!doctype html><html lang=en><title>{escape(row.error.title)}</title>"
            f"<h1>{escape(row.error.title)}</h1><p>{escape(row.meaning)}</p>"
            f"<p>Type <code>{escape(type_of(row.error))}</code>, status {row.status}</p></html>"
        )
    return Problem(
        type=type_of(row.error), title=row.error.title, status=row.status, detail=row.meaning
    )
