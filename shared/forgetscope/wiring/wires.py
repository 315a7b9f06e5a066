"""Settings become a platform. Two wirings, one code path: they differ here and nowhere else."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from forgetscope.app.platform import Fleet, Platform
from forgetscope.app.prepare import FactsMemory
from forgetscope.core.webhook_targets import AllowList
from forgetscope.ports.endpoint import Endpoints, Patience
from forgetscope.ports.inbox import Inbox
from forgetscope.ports.models import Models
from forgetscope.ports.queue import Doorbell
from forgetscope.ports.rows import Rows
from forgetscope.ports.store import Store
from forgetscope.ports.webhooks import Sender
from forgetscope.wiring.settings import Settings

if TYPE_CHECKING:
    from minio import Minio

__all__ = [
    "STAGE_PATIENCE",
    "build_endpoints",
    "build_inbox",
    "build_models",
    "build_platform",
    "build_rows",
    "build_sender",
    "build_store",
    "database_url",
    "migrate_records",
]

# Rows of Parquet are compressed: they may take so many times the bytes of the largest upload.
DECODED_FACTOR = 4

# Somebody waits for a submission; a stage waits for a server that writes, or that starts again.
LOOK_PATIENCE = Patience(seconds=20, attempts=2)
STAGE_PATIENCE = Patience(seconds=600, attempts=10)


def database_url(settings: Settings) -> str:
    """Where the records are."""
    if settings.wiring == "distributed":
        return settings.database_url
    return f"sqlite:///{settings.home_dir.resolve() / 'records.sqlite'}"


def build_store(settings: Settings) -> Store:
    """The object store."""
    if settings.wiring == "distributed":
        from forgetscope.adapters.store_s3 import S3Store, connect

        def client(endpoint: str) -> "Minio":
            secret = settings.s3_secret_key.get_secret_value()
            return connect(endpoint, settings.s3_access_key, secret, region=settings.s3_region)

        return S3Store(
            client(settings.s3_endpoint),
            settings.s3_bucket,
            settings.model_buckets,
            client(settings.s3_public_endpoint) if settings.s3_public_endpoint else None,
        )
    from forgetscope.adapters.store_files import FileStore

    return FileStore(settings.home_dir.resolve())


def build_rows(settings: Settings, store: Store) -> Rows:
    """The data sets: files, uploads, and those of the hub."""
    from forgetscope.adapters.rows import RowSources
    from forgetscope.adapters.rows_files import FileRows
    from forgetscope.adapters.rows_hub import HubRows
    from forgetscope.adapters.rows_uploads import UploadRows

    hub = HubRows(
        settings.home_dir / "hub",
        offline=settings.hub_offline,
        max_bytes=settings.hub_max_dataset_bytes,
        endpoint=settings.hub_endpoint or None,
        token=settings.hub_token.get_secret_value() or None,
    )
    uploads = UploadRows(store, settings.home_dir.resolve() / "cache/uploads", settings.cache_gib)
    return RowSources(FileRows(Path(settings.data_dir)), hub, uploads)


def build_inbox(settings: Settings) -> Inbox:
    """Where uploads wait while they are checked."""
    from forgetscope.adapters.inbox_files import FileInbox, Limits

    limits = Limits(
        rows=settings.max_dataset_rows, decoded_bytes=DECODED_FACTOR * settings.max_dataset_bytes
    )
    return FileInbox(settings.home_dir.resolve() / "inbox", limits)


def build_models(settings: Settings, store: Store) -> Models:
    """Base models by reference."""
    from forgetscope.adapters.models import ModelSources
    from forgetscope.adapters.models_endpoint import EndpointModels
    from forgetscope.adapters.models_files import FileModels
    from forgetscope.adapters.models_hub import HubModels

    hub = HubModels(
        settings.home_dir / "hub",
        offline=settings.hub_offline,
        endpoint=settings.hub_endpoint or None,
        token=settings.hub_token.get_secret_value() or None,
    )
    endpoints = EndpointModels(build_endpoints(settings, LOOK_PATIENCE))
    return ModelSources(FileModels(store, settings.roots), hub, endpoints)


def build_endpoints(settings: Settings, patience: Patience) -> Endpoints:
    """Models behind servers, as far as these may be called."""
    from forgetscope.adapters.endpoint import HttpEndpoints

    return HttpEndpoints(settings.endpoint_prefixes, settings.endpoint_secrets, patience)


def build_sender(settings: Settings) -> Sender:
    """What sends webhooks. Raises ValueError for an allow-list that cannot be read."""
    from forgetscope.adapters.webhooks_http import HttpSender

    return HttpSender(
        AllowList.parse(settings.webhook_hosts),
        seconds=settings.webhook_timeout_seconds,
        user_agent=f"forgetscope/{version('forgetscope')}",
    )


def build_platform(settings: Settings) -> Platform:
    """Everything a use case needs. Opens no connection before it is used."""
    from forgetscope.adapters import sql

    store = build_store(settings)
    engine = sql.connect(database_url(settings))
    return Platform(
        records=sql.SqlRecords(engine),
        library=sql.SqlLibrary(engine),
        searches=sql.SqlSearches(engine),
        baselines=sql.SqlBaselines(engine),
        webhooks=sql.SqlWebhooks(engine),
        sender=build_sender(settings),
        store=store,
        doorbell=_build_doorbell(settings),
        rows=build_rows(settings, store),
        inbox=build_inbox(settings),
        models=build_models(settings, store),
        fleet=Fleet(
            accelerator=settings.accelerator,
            engines=settings.available_engines,
            max_stages=settings.max_stages,
            max_attempts=settings.max_attempts,
            lease_seconds=settings.lease_seconds,
            poll_seconds=settings.poll_seconds,
        ),
        memory=FactsMemory(),
    )


def _build_doorbell(settings: Settings) -> Doorbell:
    if settings.wiring == "distributed":
        from forgetscope.adapters.queue_celery import CeleryDoorbell, celery_app

        return CeleryDoorbell(celery_app(settings.broker_url))
    from forgetscope.adapters.queue_poll import PollDoorbell

    return PollDoorbell()


def migrate_records(settings: Settings) -> None:
    """Bring database and bucket to what this version needs. Any number of processes may do so."""
    from forgetscope.adapters.sql import migrate

    if settings.wiring == "embedded":
        settings.home_dir.mkdir(parents=True, exist_ok=True)
    migrate(database_url(settings))
    store = build_store(settings)
    if settings.wiring == "distributed":
        from forgetscope.adapters.store_s3 import S3Store

        if isinstance(store, S3Store):
            store.ensure_bucket()
