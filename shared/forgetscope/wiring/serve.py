"""The gateway process."""

from importlib.metadata import version

from forgetscope.wiring.deliveries import delivering
from forgetscope.wiring.logs import configure_logs
from forgetscope.wiring.settings import Settings
from forgetscope.wiring.wires import build_platform, migrate_records

__all__ = ["serve"]


def serve(settings: Settings) -> None:
    """Serve HTTP and deliver webhooks until SIGTERM or SIGINT. Embedded, the database is migrated
    first."""
    import uvicorn

    from forgetscope.api.app import create_app

    configure_logs(settings.log_level)
    if settings.wiring == "embedded":
        migrate_records(settings)
    platform = build_platform(settings)
    app = create_app(
        platform,
        version=version("forgetscope"),
        wiring=settings.wiring,
        max_body_bytes=settings.max_body_bytes,
        max_dataset_bytes=settings.max_dataset_bytes,
    )
    with delivering(platform, settings):
        uvicorn.run(
            app,
            host=settings.host,
            port=settings.port,
            log_level="warning",
            timeout_graceful_shutdown=3,
        )
