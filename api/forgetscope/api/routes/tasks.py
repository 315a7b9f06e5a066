"""Tasks: built in and registered; look at one before anything is trained on it."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Response
from starlette.convertors import Convertor, register_url_convertor

from forgetscope.api.described import TASK_EXAMPLES, problems
from forgetscope.api.errors import MalformedBody, UnsupportedMediaType
from forgetscope.api.gateway import PlatformDep
from forgetscope.api.strict import StrictRoute, parse_json
from forgetscope.app import tasks
from forgetscope.schema.base import JsonObject
from forgetscope.schema.custom import CustomTask
from forgetscope.schema.errors import (
    BadRow,
    Conflict,
    InvalidInput,
    InvalidSpec,
    NotFound,
    PathNotAllowed,
    TooLarge,
    UnknownName,
)
from forgetscope.schema.preview import TaskPreview
from forgetscope.schema.views import Page, TaskView

__all__ = ["router"]


class _TaskName(Convertor[str]):
    """Any name but that of the resource beside it."""

    regex = "(?!preview$)[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("task", _TaskName())

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], route_class=StrictRoute)

Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$", description="name of the task")]
Examples = Annotated[int, Query(ge=0, le=50, description="how many of each split are shown")]
Definition = Annotated[CustomTask, Body(openapi_examples=TASK_EXAMPLES)]

READING = (InvalidSpec, UnknownName, BadRow, PathNotAllowed)
BODY = (MalformedBody, TooLarge, UnsupportedMediaType)


@router.get("", responses=problems())
def list_tasks(platform: PlatformDep) -> Page[TaskView]:
    """List the tasks: built-in ones, then registered ones. One page holds all."""
    return Page(items=tasks.list_tasks(platform.library))


@router.post(
    "",
    status_code=201,
    response_description="Registered",
    responses={
        200: {"model": TaskView, "description": "The same definition was there already"},
        **problems(Conflict, NotFound, *READING, *BODY),
    },
    openapi_extra={"x-idempotent": True},
)
def register_task(platform: PlatformDep, definition: Definition, response: Response) -> TaskView:
    """Register a task without code: from now on experiments can name it.

    Its data are read first; they must be without the errors that a preview shows.
    """
    view, created = tasks.register(platform, definition)
    if created:
        response.headers["Location"] = f"/v1/tasks/{view.name}"
    else:
        response.status_code = 200
    return view


@router.post("/preview", responses=problems(*READING, *BODY))
def preview_definition(
    platform: PlatformDep, definition: Definition, examples: Examples = 3
) -> TaskPreview:
    """Look at a definition: counts, first examples, doubts. Nothing is recorded."""
    return tasks.preview_definition(platform, definition, examples=examples)


@router.get("/{name:task}", responses=problems(NotFound))
def get_task(platform: PlatformDep, name: Name) -> TaskView:
    """One task: data, licence, chance level, groups, and the JSON Schema of its parameters."""
    return tasks.show(name, platform.library)


@router.delete("/{name:task}", status_code=204, responses=problems(NotFound, Conflict))
def delete_task(platform: PlatformDep, name: Name) -> None:
    """Delete a registered task. Experiments keep the definition that they were planned with."""
    tasks.delete(name, platform.library)


@router.get("/{name:task}/preview", responses=problems(NotFound, *READING))
def preview_task(
    platform: PlatformDep,
    name: Name,
    examples: Examples = 3,
    parameters: Annotated[
        str,
        Query(
            max_length=4000,
            description="parameters of the task, as a JSON object; those of a registered task "
            "replace fields of its definition",
            examples=['{"subset": "easy"}'],
        ),
    ] = "{}",
) -> TaskPreview:
    """Look at a task: counts, first examples, doubts."""
    return tasks.preview(platform, name, _params(parameters), examples=examples)


def _params(text: str) -> JsonObject:
    try:
        parsed: Any = parse_json(text.encode("utf-8", "surrogatepass"))
    except MalformedBody as error:
        raise InvalidInput(f"query parameter 'parameters': {error.detail}") from None
    if not isinstance(parsed, dict):
        raise InvalidInput("query parameter 'parameters': it is not a JSON object")
    return parsed
