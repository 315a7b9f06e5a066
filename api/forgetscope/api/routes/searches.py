"""Searches for the smallest mitigation that reaches a goal: plan, submit, look, follow, cancel,
delete."""

from collections.abc import Sequence
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Body, Header, Path, Query, Request, Response

from forgetscope.api.described import SPEC_PROBLEMS, problems
from forgetscope.api.events import event_stream
from forgetscope.api.gateway import CursorQuery, LimitQuery, PlatformDep
from forgetscope.api.strict import StrictRoute
from forgetscope.app import search, search_view
from forgetscope.schema.errors import Conflict, IdempotencyConflict, NotFound
from forgetscope.schema.search import (
    SearchEventType,
    SearchEventView,
    SearchPlan,
    SearchSpec,
    SearchState,
    SearchSubmitted,
    SearchSummary,
    SearchView,
)
from forgetscope.schema.views import Page

__all__ = ["SEARCH_EXAMPLE", "SEARCH_PLAN_EXAMPLE", "router"]

router = APIRouter(prefix="/v1/searches", tags=["searches"], route_class=StrictRoute)

LAST_ID = 2**31 - 1

SEARCH_EXAMPLE: dict[str, Any] = {
    "name": "The smallest replay",
    "experiment": {
        "tasks": ["synthetic_safety", "synthetic_capability"],
        "steps": {"replay": {"kind": "replay"}},
        "chains": [["synthetic_safety", "synthetic_capability", "replay"]],
        "training": {"epochs": 2, "learning_rate": 0.001},
    },
    "knob": {"step": "replay", "path": "share", "low": 0.0, "high": 1.0, "tolerance": 0.05},
    "goal": {"recover": 0.9, "of": "every_group", "price": 0.01},
}
SEARCH_PLAN_EXAMPLE: dict[str, Any] = {
    "looks": 7,
    "confidence": 0.992857142857,
    "values": [1.0, 0.0, 0.5, 0.75, 0.875, 0.9375, 0.96875],
    "chains": [["synthetic_safety", "synthetic_capability", "synthetic_safety:replay[share=1]"]],
    "trainings": 8,
    "shared_trainings": 2,
    "naive_trainings": 20,
    "stages": 43,
    "existing": 0,
    "tokens": 2400000,
    "time": {"seconds": 180.0, "basis": "measured on earlier stages with this model"},
    "compute": {"flops": None, "gpu_hours": None, "basis": "the size of the model is not known"},
    "notes": [],
}
PLANNED: dict[str, Any] = {
    "description": "The plan; nothing is recorded",
    "model": SearchPlan,
    "content": {"application/json": {"example": SEARCH_PLAN_EXAMPLE}},
}
SSE_SCHEMA = {
    "type": "object",
    "description": "one event; `data` is a SearchEventView as JSON",
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string", "enum": list(get_args(SearchEventType))},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/SearchEventView"},
        },
    },
}

SearchId = Annotated[
    str,
    Path(
        alias="id",
        description="id of the search",
        pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        examples=["0b0f5c1e-4a3e-4a55-9d55-5a3b0c6d7e8f"],
    ),
]


@router.post(
    "",
    status_code=202,
    response_model=SearchSubmitted,
    response_description="Recorded; its first experiment is submitted",
    responses={200: PLANNED, **problems(IdempotencyConflict, *SPEC_PROBLEMS)},
    openapi_extra={"x-idempotent": True},
)
def submit_search(
    platform: PlatformDep,
    spec: Annotated[
        SearchSpec,
        Body(openapi_examples={"replay": {"summary": "A share", "value": SEARCH_EXAMPLE}}),
    ],
    response: Response,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            pattern=r"^[\x21-\x7e]+$",
            description="any unique text: with it, a repeated request runs nothing twice",
            examples=["8f14e45f-ceea-467f-a8d5-4b1d3a3f9c11"],
        ),
    ] = None,
    dry_run: Annotated[
        bool, Query(description="only plan: answer 200 with the plan and leave no trace")
    ] = False,
) -> SearchSubmitted | Response:
    """Search for the smallest value of a knob with which an experiment reaches a goal.

    Each value is an ordinary experiment: the highest first, then the lowest, then bisection.
    Stages that another experiment has already run are shared with it. The longest way that the
    search can take is planned at once, so that what cannot be right is said before any training.
    """
    if dry_run:
        return Response(
            search_view.plan_search(platform, spec).model_dump_json(),
            media_type="application/json",
        )
    search_id = search.submit_search(platform, spec, idempotency_key=idempotency_key)
    links = search_view.search_links(search_id)
    response.headers["Location"] = links["self"]
    return SearchSubmitted(id=search_id, links=links)


@router.get("", responses=problems())
def list_searches(
    platform: PlatformDep,
    state: Annotated[SearchState | None, Query(description="only those in this state")] = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = 50,
) -> Page[SearchSummary]:
    """List searches, newest first."""
    page = platform.searches.searches(state=state, cursor=cursor, limit=limit)
    return Page(
        items=tuple(search_view.search_summary(row) for row in page.items),
        next_cursor=page.next_cursor,
    )


@router.get("/{id}", responses=problems(NotFound))
def get_search(platform: PlatformDep, search_id: SearchId) -> SearchView:
    """One search: rounds with their experiments and verdicts, the bracket, the answer in words."""
    return search_view.search_view(platform, search_id)


@router.post("/{id}/cancel", status_code=202, responses=problems(NotFound, Conflict))
def cancel_search(platform: PlatformDep, search_id: SearchId) -> SearchView:
    """Cancel a search together with the experiment that it waits for."""
    search.cancel_search(platform, search_id)
    return search_view.search_view(platform, search_id)


@router.delete("/{id}", status_code=204, responses=problems(NotFound, Conflict))
def delete_search(platform: PlatformDep, search_id: SearchId) -> None:
    """Delete a search that is over. The experiments of its rounds stay, and are deleted as such."""
    search.delete_search(platform, search_id)


@router.get(
    "/{id}/events",
    response_model=Page[SearchEventView],
    response_description="Server-sent events, or a JSON page when only JSON is accepted",
    responses={
        200: {
            "content": {
                "text/event-stream": {
                    "schema": SSE_SCHEMA,
                    "example": "id: 1\nevent: search.submitted\ndata: "
                    '{"id":1,"type":"search.submitted","at":1760000000.0,"data":{}}\n\n',
                }
            }
        },
        **problems(NotFound),
    },
)
def list_search_events(
    request: Request,
    platform: PlatformDep,
    search_id: SearchId,
    after: Annotated[int, Query(ge=0, le=LAST_ID, description="only events with a higher id")] = 0,
    last_event_id: Annotated[
        int | None,
        Header(ge=0, le=LAST_ID, description="id of the last event that was received"),
    ] = None,
) -> Page[SearchEventView] | Response:
    """Follow what happens: rounds that begin, their verdicts, the end.

    As `text/event-stream` the answer stays open and ends after the last event of a search that is
    over; after a lost connection go on with `Last-Event-ID`. With `Accept: application/json` it
    is one page with all of them. What happens within a round are the events of its experiment.
    """

    def look(seen: int) -> tuple[bool, Sequence[SearchEventView]]:
        row = platform.searches.search(search_id)
        events = [event for event in search_view.events_of(row) if event.id > seen]
        return row.state != "running", events

    start = after if last_event_id is None else last_event_id
    _, events = look(start)
    accept = request.headers.get("accept", "")
    if "application/json" not in accept or "text/event-stream" in accept:
        return event_stream(look, after=start)
    return Page(items=tuple(events))
