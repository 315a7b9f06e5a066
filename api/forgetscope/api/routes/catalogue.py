"""What a specification can choose from, beside tasks."""

from fastapi import APIRouter

from forgetscope.api.described import problems
from forgetscope.api.gateway import PlatformDep
from forgetscope.api.strict import StrictRoute
from forgetscope.core.methods import METHODS
from forgetscope.schema.experiment import EvaluationSpec
from forgetscope.schema.views import CatalogueView, ComponentView

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["catalogue"], route_class=StrictRoute)

ENGINES = {
    "transformers": "Hugging Face transformers, batches sorted by length; on CPU and GPU.",
    "vllm": "vLLM with prefix caching; made for GPUs, runs on CPU for most models, too.",
}


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
