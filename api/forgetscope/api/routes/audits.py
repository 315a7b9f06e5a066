"""Audits: plan, submit, look, cancel, retry, delete, results. Stages, events and artefacts are in
`stages` and `files`."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Response

from forgetscope.api.described import SPEC_PROBLEMS, file_of, problems
from forgetscope.api.gateway import (
    CursorQuery,
    ExperimentId,
    IfNoneMatch,
    LimitQuery,
    PlatformDep,
    TodayDep,
    only,
)
from forgetscope.api.routes.experiments import PLANNED, IdempotencyKey
from forgetscope.api.routes.files import NOT_MODIFIED, REPORT_POLICY, whole
from forgetscope.api.strict import StrictRoute
from forgetscope.app import audits, control, queries
from forgetscope.schema.audit import AuditResults, AuditSpec, AuditView
from forgetscope.schema.errors import (
    Conflict,
    CorruptBlob,
    DataChanged,
    EndpointNotAllowed,
    IdempotencyConflict,
    NotFound,
)
from forgetscope.schema.stage import ExperimentState
from forgetscope.schema.views import ExperimentSummary, Page, Submitted

__all__ = ["router"]

router = APIRouter(prefix="/v1/audits", tags=["audits"], route_class=StrictRoute)

ONLY = [Depends(only("audit"))]
AUDIT_EXAMPLE: dict[str, Any] = {
    "name": "release candidate",
    "reference": {"source": "local", "path": "/models/released"},
    "candidate": {"source": "local", "path": "/models/candidate"},
    "tasks": ["toxigen_qa", {"id": "arc", "name": "arc", "evaluation_examples": 1000}],
    "policy": {
        "name": "release",
        "tasks": [
            {
                "task": "toxigen_qa",
                "margin": 0.03,
                "group_margin": 0.05,
                "biased_margin": 0.05,
                "relative": 0.2,
                "groups": {"muslim": {"margin": 0.03}},
            },
            {"task": "arc", "margin": 0.05, "tier": "warn"},
        ],
        "waivers": [
            {
                "task": "toxigen_qa",
                "group": "mexican",
                "reason": "being mended",
                "approved_by": "safety team",
                "expires": "2026-12-31",
            }
        ],
    },
}


@router.post(
    "",
    status_code=202,
    response_model=Submitted,
    response_description="Recorded; its first stages are ready to run",
    responses={
        200: PLANNED,
        **problems(Conflict, IdempotencyConflict, DataChanged, EndpointNotAllowed, *SPEC_PROBLEMS),
    },
    openapi_extra={"x-idempotent": True},
)
def submit_audit(  # noqa: PLR0917 - each is a parameter of the request
    platform: PlatformDep,
    today: TodayDep,
    spec: Annotated[
        AuditSpec,
        Body(openapi_examples={"release": {"summary": "A release", "value": AUDIT_EXAMPLE}}),
    ],
    response: Response,
    idempotency_key: IdempotencyKey = None,
    dry_run: Annotated[
        bool, Query(description="only plan: answer 200 with the plan and leave no trace")
    ] = False,
) -> Submitted | Response:
    """Audit a candidate against a reference.

    Both answer the same items, with the same engine; the policy judges what the candidate lost, as
    a whole and in each group. What an experiment or another audit has scored is not scored again.
    With a baseline as reference, none of the reference is: engine and settings are taken from it,
    and each task must have exactly its items.
    Waivers are held against the day (UTC) of submission.
    """
    if dry_run:
        return Response(
            audits.preview_audit(platform, spec, today=today).model_dump_json(),
            media_type="application/json",
        )
    audit_id, _ = audits.submit_audit(platform, spec, today=today, idempotency_key=idempotency_key)
    links = queries.links_of(audit_id, "audit")
    response.headers["Location"] = links["self"]
    return Submitted(id=audit_id, links=links)


@router.get("", responses=problems())
def list_audits(
    platform: PlatformDep,
    state: Annotated[ExperimentState | None, Query(description="only those in this state")] = None,
    name: Annotated[
        str | None,
        Query(max_length=200, pattern=r"^[^\x00]*$", description="part of the name"),
    ] = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = 50,
) -> Page[ExperimentSummary]:
    """List audits, newest first."""
    page = platform.records.audits(state=state, name=name, cursor=cursor, limit=limit)
    return Page(
        items=tuple(queries.summary_of(row) for row in page.items), next_cursor=page.next_cursor
    )


@router.get("/{id}", responses=problems(NotFound))
def get_audit(platform: PlatformDep, audit_id: ExperimentId) -> AuditView:
    """One audit: specification, state, failures, the time that it still needs, its outcome."""
    return audits.audit_view(platform, audit_id)


@router.post(
    "/{id}/cancel", status_code=202, responses=problems(NotFound, Conflict), dependencies=ONLY
)
def cancel_audit(platform: PlatformDep, audit_id: ExperimentId) -> AuditView:
    """Cancel: waiting stages stop at once, running ones within seconds. Stages that something else
    needs go on."""
    control.cancel(platform, audit_id)
    return audits.audit_view(platform, audit_id)


@router.post(
    "/{id}/retry", status_code=202, responses=problems(NotFound, Conflict), dependencies=ONLY
)
def retry_audit(platform: PlatformDep, audit_id: ExperimentId) -> AuditView:
    """Run again what failed, was skipped or was cancelled. What succeeded stays."""
    control.retry(platform, audit_id)
    return audits.audit_view(platform, audit_id)


@router.delete("/{id}", status_code=204, responses=problems(NotFound, Conflict), dependencies=ONLY)
def delete_audit(platform: PlatformDep, audit_id: ExperimentId) -> None:
    """Delete an audit that is over and of no baseline, with every stage that nothing else uses."""
    control.delete(platform, audit_id)


@router.get(
    "/{id}/results",
    response_model=AuditResults,
    responses={
        200: file_of("The results"),
        **NOT_MODIFIED,
        **problems(NotFound, CorruptBlob),
    },
    dependencies=ONLY,
)
def get_audit_results(
    platform: PlatformDep, audit_id: ExperimentId, if_none_match: IfNoneMatch = None
) -> Response:
    """Outcome, and a verdict about every task and group, with simultaneous intervals."""
    file = queries.find_file(platform, audit_id, "audit.json")
    return whole(platform, file, if_none_match, "application/json", {})


@router.get(
    "/{id}/report",
    response_class=Response,
    responses={
        200: file_of("The page", "text/html"),
        **NOT_MODIFIED,
        **problems(NotFound, CorruptBlob),
    },
    dependencies=ONLY,
)
def get_audit_report(
    platform: PlatformDep, audit_id: ExperimentId, if_none_match: IfNoneMatch = None
) -> Response:
    """The audit as one HTML page that needs nothing else."""
    file = queries.find_file(platform, audit_id, "audit.html")
    policy = {"Content-Security-Policy": REPORT_POLICY}
    return whole(platform, file, if_none_match, "text/html; charset=utf-8", policy)
