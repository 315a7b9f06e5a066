"""Baselines: name the model of an audit, look, delete."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Response

from forgetscope.api.described import problems
from forgetscope.api.errors import MalformedBody, UnsupportedMediaType
from forgetscope.api.gateway import CursorQuery, LimitQuery, PlatformDep
from forgetscope.api.strict import StrictRoute
from forgetscope.app import baselines
from forgetscope.schema.baseline import BaselineRequest, BaselineView
from forgetscope.schema.errors import Conflict, InvalidInput, NotFound, TooLarge, UnknownName
from forgetscope.schema.views import Page

__all__ = ["router"]

router = APIRouter(prefix="/v1/baselines", tags=["baselines"], route_class=StrictRoute)

NAME = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
Name = Annotated[
    str, Path(pattern=NAME, description="name of the baseline", examples=["production"])
]
NewName = Annotated[
    str,
    Path(
        description="a lower-case letter or digit, then up to 63 of these, `_`, `.` and `-`",
        examples=["production"],
        json_schema_extra={"pattern": NAME},
    ),
]
EXAMPLE: dict[str, Any] = {
    "summary": "The candidate of a release's audit",
    "value": {"audit": "0b0f5c1e-4a3e-4a55-9d55-5a3b0c6d7e8f", "side": "candidate"},
}


@router.put(
    "/{name}",
    response_description="Replaced, or the same as before",
    responses={
        201: {"model": BaselineView, "description": "Recorded"},
        **problems(UnknownName, Conflict, MalformedBody, TooLarge, UnsupportedMediaType),
    },
    openapi_extra={"x-idempotent": True},
)
def put_baseline(
    platform: PlatformDep,
    name: NewName,
    request: Annotated[BaselineRequest, Body(openapi_examples={"release": EXAMPLE})],
    response: Response,
    replace: Annotated[
        bool, Query(description="give the name to this model though it stands for another one")
    ] = False,
) -> BaselineView:
    """Name a model of an audit that has succeeded, so that later audits can take it as reference.

    Nothing of it is scored again then, and the model need not be there any more. A name that
    stands for another model is only replaced when `replace` says so; audits against it keep what
    they were submitted with. While a baseline names it, an audit cannot be deleted.
    """
    if not re.fullmatch(NAME, name):
        raise InvalidInput(
            f"{name!r} cannot be the name of a baseline",
            where="name",
            hint="Lower-case letters, digits, and after the first one `_`, `.` and `-`: 64 in all.",
        )
    view, created = baselines.put_baseline(platform, name, request, replace=replace)
    if created:
        response.status_code = 201
        response.headers["Location"] = view.links["self"]
    return view


@router.get("", responses=problems())
def list_baselines(
    platform: PlatformDep, cursor: CursorQuery = None, limit: LimitQuery = 50
) -> Page[BaselineView]:
    """List the baselines, newest first."""
    page = platform.baselines.baselines(cursor=cursor, limit=limit)
    return Page(
        items=tuple(baselines.baseline_view(row) for row in page.items),
        next_cursor=page.next_cursor,
    )


@router.get("/{name}", responses=problems(NotFound))
def get_baseline(platform: PlatformDep, name: Name) -> BaselineView:
    """One baseline: model, engine and settings, the digest of each task's items, its audit."""
    return baselines.baseline_view(platform.baselines.baseline(name))


@router.delete("/{name}", status_code=204, responses=problems(NotFound))
def delete_baseline(platform: PlatformDep, name: Name) -> None:
    """Delete a baseline. Its audit stays, and so do audits against it."""
    platform.baselines.delete_baseline(name)
