"""The stages of an experiment or audit, and what happens to them: mounted below both."""

from typing import Annotated, get_args

from fastapi import APIRouter, Header, Query, Request, Response

from forgetscope.api.described import problems
from forgetscope.api.events import event_stream, experiment_look
from forgetscope.api.gateway import (
    CursorQuery,
    ExperimentId,
    LimitQuery,
    PlatformDep,
    StageKeyPath,
)
from forgetscope.api.strict import StrictRoute
from forgetscope.app import queries
from forgetscope.schema.errors import NotFound
from forgetscope.schema.plan import StageKind
from forgetscope.schema.stage import StageState
from forgetscope.schema.views import EventType, EventView, Page, StageDetail, StageView

__all__ = ["router"]

router = APIRouter(tags=["stages"], route_class=StrictRoute)

LAST_ID = 2**31 - 1

# OpenAPI 3.1 has no word for a stream: this is one of its events.
SSE_SCHEMA = {
    "type": "object",
    "description": "one event; `data` is an EventView as JSON",
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string", "enum": list(get_args(EventType))},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/EventView"},
        },
    },
}


@router.get("/stages", responses=problems(NotFound))
def list_stages(  # noqa: PLR0917 - each is a parameter of the request
    platform: PlatformDep,
    experiment_id: ExperimentId,
    kind: Annotated[StageKind | None, Query(description="only those of this kind")] = None,
    state: Annotated[StageState | None, Query(description="only those in this state")] = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = 50,
) -> Page[StageView]:
    """List the stages in the order of the plan."""
    return platform.records.stages(
        experiment_id, kind=kind, state=state, cursor=cursor, limit=limit
    )


@router.get("/stages/{key}", responses=problems(NotFound))
def get_stage(platform: PlatformDep, experiment_id: ExperimentId, key: StageKeyPath) -> StageDetail:
    """One stage: parameters, attempts with the end of their logs, files."""
    return queries.stage_detail(platform, experiment_id, key)


@router.get(
    "/events",
    response_model=Page[EventView],
    response_description="Server-sent events, or a JSON page when only JSON is accepted",
    responses={
        200: {
            "content": {
                "text/event-stream": {
                    "schema": SSE_SCHEMA,
                    "example": "id: 7\nevent: stage.running\ndata: "
                    '{"id":7,"type":"stage.running","at":1760000000.0,"stage":null,"data":{}}\n\n',
                }
            }
        },
        **problems(NotFound),
    },
)
def list_events(  # noqa: PLR0917 - each is a parameter of the request
    request: Request,
    platform: PlatformDep,
    experiment_id: ExperimentId,
    after: Annotated[int, Query(ge=0, le=LAST_ID, description="only events with a higher id")] = 0,
    limit: Annotated[int, Query(ge=1, le=200, description="events per JSON page")] = 200,
    last_event_id: Annotated[
        int | None,
        Header(ge=0, le=LAST_ID, description="id of the last event that was received"),
    ] = None,
) -> Page[EventView] | Response:
    """Follow what happens.

    As `text/event-stream` the answer stays open and ends after the last event of what is over;
    after a lost connection go on with `Last-Event-ID` (browsers do by themselves). With `Accept:
    application/json` it is one page, and `next_cursor` is the next page's `after`.
    """
    start = after if last_event_id is None else last_event_id
    accept = request.headers.get("accept", "")
    if "application/json" not in accept or "text/event-stream" in accept:
        return event_stream(experiment_look(platform.records, experiment_id), after=start)
    events = platform.records.events(experiment_id, after=start, limit=limit)
    more = len(events) == limit
    return Page(items=events, next_cursor=str(events[-1].id) if more else None)
