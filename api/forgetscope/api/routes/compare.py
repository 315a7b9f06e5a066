"""Two experiments side by side: as JSON, as a page, and as a table."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from forgetscope.api import compare_page, compare_table
from forgetscope.api.described import problems
from forgetscope.api.gateway import ExperimentId, PlatformDep
from forgetscope.api.routes.files import REPORT_POLICY
from forgetscope.api.strict import StrictRoute
from forgetscope.app.compare import compare_experiments
from forgetscope.schema.compare import Comparison
from forgetscope.schema.errors import CorruptBlob, NotFound

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/experiments/{id}/compare/{other}", tags=["results"], route_class=StrictRoute
)

OtherId = Annotated[
    str,
    Path(
        alias="other",
        description="id of the experiment to compare it with",
        pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        examples=["3f2c9a58-6f0d-4c1b-8f5e-7c9e0b1d2a34"],
    ),
]


@router.get("", responses=problems(NotFound, CorruptBlob))
def compare(platform: PlatformDep, experiment_id: ExperimentId, other: OtherId) -> Comparison:
    """Compare two finished experiments: shared tasks, chains and groups with both numbers and
    their intervals, and the settings that differ.

    Numbers are subtracted only where both scored the same items. Nothing in common is an empty
    comparison, with a note.
    """
    return compare_experiments(platform, experiment_id, other)


@router.get(
    "/report",
    response_class=Response,
    responses={
        200: {
            "description": "The comparison as a page",
            "content": {"text/html": {"schema": {"type": "string"}}},
        },
        **problems(NotFound, CorruptBlob),
    },
)
def compare_report(platform: PlatformDep, experiment_id: ExperimentId, other: OtherId) -> Response:
    """The comparison as one HTML page that needs nothing else."""
    page = compare_page.render(compare_experiments(platform, experiment_id, other))
    return Response(
        page,
        media_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": REPORT_POLICY, "Cache-Control": "private, no-cache"},
    )


@router.get(
    "/csv",
    response_class=Response,
    responses={
        200: {
            "description": "The comparison as a table",
            "content": {"text/csv": {"schema": {"type": "string"}}},
        },
        **problems(NotFound, CorruptBlob),
    },
)
def compare_csv(platform: PlatformDep, experiment_id: ExperimentId, other: OtherId) -> Response:
    """Forgetting in both experiments as a CSV table, a line for each number of each row and group.

    Fractions, not percent; an undefined number is an empty field.
    """
    table = compare_table.render(compare_experiments(platform, experiment_id, other))
    return Response(
        table,
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": 'attachment; filename="comparison.csv"',
            "Cache-Control": "private, no-cache",
        },
    )
