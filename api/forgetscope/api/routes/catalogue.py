"""What a specification can choose from."""

from typing import Annotated

from fastapi import APIRouter, Path

from forgetscope.api.described import problems
from forgetscope.api.gateway import PlatformDep
from forgetscope.api.strict import StrictRoute
from forgetscope.core.methods import METHODS
from forgetscope.schema.errors import NotFound, UnknownName
from forgetscope.schema.experiment import EvaluationSpec
from forgetscope.schema.views import CatalogueView, ComponentView, Page, TaskView
from forgetscope.tasks.base import to_view
from forgetscope.tasks.catalogue import TASKS

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["catalogue"], route_class=StrictRoute)

ENGINES = {
    "transformers": "Hugging Face transformers, batches sorted by length; on CPU and GPU.",
    "vllm": "vLLM with prefix caching; made for GPUs, runs on CPU for most models, too.",
}


@router.get("/tasks", responses=problems())
def list_tasks() -> Page[TaskView]:
    """List the tasks. One page holds all."""
    return Page(items=tuple(to_view(task) for task in TASKS))


@router.get("/tasks/{name}", responses=problems(NotFound))
def get_task(
    name: Annotated[
        str, Path(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$", description="name of the task")
    ],
) -> TaskView:
    """One task: data, licence, chance level, groups, and the JSON Schema of its parameters."""
    try:
        return to_view(TASKS.get(name))
    except UnknownName as error:
        raise NotFound(error.detail, hint=error.hint) from None


@router.get("/catalogue", responses=problems())
def get_catalogue(platform: PlatformDep) -> CatalogueView:
    """Tuning methods with the JSON Schemas of their parameters, and this fleet's engines."""
    return CatalogueView(
        methods=tuple(
            ComponentView(
                name=method.name,
                summary=method.summary,
                params_schema=method.params.model_json_schema(),
            )
            for method in METHODS
        ),
        engines=tuple(
            ComponentView(
                name=name,
                summary=ENGINES.get(name, ""),
                params_schema=EvaluationSpec.model_json_schema(),
            )
            for name in sorted(platform.fleet.engines)
        ),
    )
