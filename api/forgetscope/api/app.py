"""The application: routes, error handlers and layers put together."""

from typing import Any, get_args

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from pydantic.json_schema import models_json_schema

from forgetscope.api.errors import HANDLERS
from forgetscope.api.gateway import Gateway, only
from forgetscope.api.middleware import BodyLimit, CatchAll, SecurityHeaders
from forgetscope.api.routes import (
    audits,
    catalogue,
    compare,
    datasets,
    experiments,
    files,
    power,
    searches,
    service,
    stages,
    tasks,
)
from forgetscope.app.platform import Platform
from forgetscope.schema.stage import RunKind
from forgetscope.schema.views import Problem

__all__ = ["bare_app", "create_app"]

DESCRIPTION = """
Measures what fine-tuning makes a language model forget, and about whom.

Submit an experiment, follow its events, read its results and its report. Lists are paged by
`cursor`; errors are problems as RFC 9457 has them, with a stable `type` that explains itself.
"""


def create_app(
    platform: Platform, *, version: str, wiring: str, max_body_bytes: int, max_dataset_bytes: int
) -> FastAPI:
    """The gateway over a platform. Opens no connection before the first request."""
    app = bare_app(version)
    app.state.gateway = Gateway(platform, version, wiring)
    # The last one added is the outermost.
    app.add_middleware(CatchAll)
    uploads = {("POST", datasets.PATH): max_dataset_bytes}
    app.add_middleware(BodyLimit, limit=max_body_bytes, own_limits=uploads)
    app.add_middleware(SecurityHeaders)
    return app


def bare_app(version: str) -> FastAPI:
    """Routes and their description, without anything behind them."""
    app: FastAPI = FastAPIOffline(
        title="ForgetScope",
        version=version,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        redirect_slashes=False,
        exception_handlers=HANDLERS,
        strict_content_type=False,
    )
    for part in (
        *(experiments, audits, power, files, compare, searches),
        *(tasks, datasets, catalogue, service),
    ):
        app.include_router(part.router)
    for kind in get_args(RunKind):
        for shared in (stages.router, files.shared):
            app.include_router(
                shared, prefix=f"/v1/{kind}s/{{id}}", dependencies=[Depends(only(kind))]
            )
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1, with the problem's own schema, which no route names as its model."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            license_info=app.license_info,
            routes=app.routes,
        )
        _, problem = models_json_schema(
            [(Problem, "serialization")], ref_template="#/components/schemas/{model}"
        )
        document["components"]["schemas"] |= problem["$defs"]
        for operation in (o for path in document["paths"].values() for o in path.values()):
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _without_null(parameter["schema"])
        app.openapi_schema = document
    return app.openapi_schema


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter can be left out, but there is no way to write null into a URL or a header."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    return {**kinds[0], **{key: value for key, value in schema.items() if key != "anyOf"}}
