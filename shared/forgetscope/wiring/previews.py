"""Look at a task on this machine, without a server."""

from pathlib import Path

from forgetscope.app.tasks import preview, preview_definition
from forgetscope.core.uploads import uploads_in
from forgetscope.schema.base import JsonObject
from forgetscope.schema.custom import CustomTask
from forgetscope.schema.preview import TaskPreview
from forgetscope.tasks.catalogue import TASKS
from forgetscope.wiring.settings import Settings
from forgetscope.wiring.wires import build_platform, migrate_records

__all__ = ["local_preview"]


def local_preview(
    task: CustomTask | str, params: JsonObject, *, examples: int, data_dir: Path | None = None
) -> TaskPreview:
    """A definition, or a task by name with parameters, over the data folder of the settings or
    another one. Uploads and registered tasks are those of the settings' database."""
    settings = Settings() if data_dir is None else Settings(data_dir=data_dir)
    platform = build_platform(settings)
    if settings.wiring == "embedded" and _asks_the_library(task):
        migrate_records(settings)
    if isinstance(task, CustomTask):
        return preview_definition(platform, task, examples=examples)
    return preview(platform, task, params, examples=examples)


def _asks_the_library(task: CustomTask | str) -> bool:
    if isinstance(task, CustomTask):
        return bool(uploads_in(task.model_dump(mode="json")))
    return task not in TASKS
