"""Experiments: plan, submit, look, cancel, retry, delete."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Query, Response

from forgetscope.api.described import PLAN_EXAMPLE, SPEC_EXAMPLES, SPEC_PROBLEMS, problems
from forgetscope.api.gateway import CursorQuery, ExperimentId, LimitQuery, PlatformDep, only
from forgetscope.api.strict import StrictRoute
from forgetscope.app import control, queries, submit
from forgetscope.schema.errors import Conflict, IdempotencyConflict, NotFound
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import PlanView
from forgetscope.schema.stage import ExperimentState
from forgetscope.schema.views import ExperimentSummary, ExperimentView, Page, Submitted

__all__ = ["PLANNED", "IdempotencyKey", "router"]

router = APIRouter(prefix="/v1", tags=["experiments"], route_class=StrictRoute)

SpecBody = Annotated[ExperimentSpec, Body(openapi_examples=SPEC_EXAMPLES)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="any unique text: with it, a repeated request runs nothing twice",
        examples=["8f14e45f-ceea-467f-a8d5-4b1d3a3f9c11"],
    ),
]
ONLY = [Depends(only("experiment"))]
PLANNED: dict[str, Any] = {
    "description": "The plan; nothing is recorded",
    "model": PlanView,
    "content": {"application/json": {"example": PLAN_EXAMPLE}},
}


@router.post(
    "/experiments",
    status_code=202,
    response_model=Submitted,
    response_description="Recorded; its first stages are ready to run",
    responses={200: PLANNED, **problems(IdempotencyConflict, *SPEC_PROBLEMS)},
    openapi_extra={"x-idempotent": True},
)
def submit_experiment(
    platform: PlatformDep,
    spec: SpecBody,
    response: Response,
    idempotency_key: IdempotencyKey = None,
    dry_run: Annotated[
        bool, Query(description="only plan: answer 200 with the plan and leave no trace")
    ] = False,
) -> Submitted | Response:
    """Submit an experiment.

    It is planned at once; stages that another experiment has already run are shared with it.
    """
    if dry_run:
        return Response(
            submit.preview(platform, spec).model_dump_json(), media_type="application/json"
        )
    experiment_id, _ = submit.submit(platform, spec, idempotency_key=idempotency_key)
    links = queries.links_of(experiment_id)
    response.headers["Location"] = links["self"]
    return Submitted(id=experiment_id, links=links)


@router.post("/plans", responses={200: PLANNED, **problems(*SPEC_PROBLEMS)})
def plan_experiment(platform: PlatformDep, spec: SpecBody) -> PlanView:
    """Plan an experiment without submitting it: stages, what is shared, expected work and time."""
    return submit.preview(platform, spec)


@router.get("/experiments", responses=problems())
def list_experiments(
    platform: PlatformDep,
    state: Annotated[ExperimentState | None, Query(description="only those in this state")] = None,
    name: Annotated[
        str | None,
        Query(max_length=200, pattern=r"^[^\x00]*$", description="part of the name"),
    ] = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = 50,
) -> Page[ExperimentSummary]:
    """List experiments, newest first."""
    page = platform.records.experiments(state=state, name=name, cursor=cursor, limit=limit)
    return Page(
        items=tuple(queries.summary_of(row) for row in page.items), next_cursor=page.next_cursor
    )


@router.get("/experiments/{id}", responses=problems(NotFound))
def get_experiment(platform: PlatformDep, experiment_id: ExperimentId) -> ExperimentView:
    """One experiment: specification, state, failures, and the time that it still needs."""
    return queries.experiment_view(platform, experiment_id)


@router.post(
    "/experiments/{id}/cancel",
    status_code=202,
    responses=problems(NotFound, Conflict),
    dependencies=ONLY,
)
def cancel_experiment(platform: PlatformDep, experiment_id: ExperimentId) -> ExperimentView:
    """Cancel: waiting stages stop at once, running ones within seconds.

    Stages that another live experiment needs go on.
    """
    control.cancel(platform, experiment_id)
    return queries.experiment_view(platform, experiment_id)


@router.post(
    "/experiments/{id}/retry",
    status_code=202,
    responses=problems(NotFound, Conflict),
    dependencies=ONLY,
)
def retry_experiment(platform: PlatformDep, experiment_id: ExperimentId) -> ExperimentView:
    """Run again what failed, was skipped or was cancelled. What succeeded stays."""
    control.retry(platform, experiment_id)
    return queries.experiment_view(platform, experiment_id)


@router.delete(
    "/experiments/{id}",
    status_code=204,
    responses=problems(NotFound, Conflict),
    dependencies=ONLY,
)
def delete_experiment(platform: PlatformDep, experiment_id: ExperimentId) -> None:
    """Delete an experiment that is over, with every stage that no other experiment uses."""
    control.delete(platform, experiment_id)
