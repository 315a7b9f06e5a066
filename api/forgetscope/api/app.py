"""The application: routes, error handlers and layers put together."""

from functools import partial
from typing import get_args

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline

from forgetscope.api.document import document_of, name_of, name_under
from forgetscope.api.errors import HANDLERS
from forgetscope.api.gateway import Gateway, only
from forgetscope.api.middleware import BodyLimit, CatchAll, SecurityHeaders
from forgetscope.api.routes import (
    audits,
    baselines,
    catalogue,
    compare,
    dashboard,
    datasets,
    experiments,
    files,
    power,
    searches,
    service,
    stages,
    tasks,
    webhooks,
)
from forgetscope.app.platform import Platform
from forgetscope.schema.stage import RunKind

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
        generate_unique_id_function=name_of,
    )
    for part in (
        *(experiments, audits, baselines, power, files, compare, searches),
        *(tasks, datasets, catalogue, webhooks, service, dashboard),
    ):
        app.include_router(part.router)
    for kind in get_args(RunKind):
        for shared in (stages.router, files.shared):
            app.include_router(
                shared,
                prefix=f"/v1/{kind}s/{{id}}",
                dependencies=[Depends(only(kind))],
                generate_unique_id_function=partial(name_under, kind),
            )
    app.openapi = lambda: document_of(app)  # type: ignore[method-assign]
    return app
