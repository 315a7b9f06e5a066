"""Tasks by name: built in, or registered by users. A registered task is its definition."""

from typing import TypeVar

from forgetscope.app.datasets import complete_source
from forgetscope.app.platform import Platform
from forgetscope.app.task_preview import preview_task
from forgetscope.core.registry import Registry
from forgetscope.core.uploads import uploads_in
from forgetscope.ports.library import Library, TaskRow
from forgetscope.schema.base import JsonObject
from forgetscope.schema.custom import CustomTask
from forgetscope.schema.errors import Conflict, InvalidInput, InvalidSpec, NotFound, UnknownName
from forgetscope.schema.experiment import ScoredTask, TaskUse
from forgetscope.schema.preview import TaskPreview
from forgetscope.schema.views import TaskView
from forgetscope.tasks.base import to_view
from forgetscope.tasks.catalogue import TASKS
from forgetscope.tasks.custom import CUSTOM, custom_task, parse_definition

__all__ = ["delete", "list_tasks", "preview", "preview_definition", "register", "resolve", "show"]

RESERVED = (CUSTOM, "preview")

Use = TypeVar("Use", bound=ScoredTask)


def resolve(use: Use, library: Library, *, where: str) -> Use:
    """The use of a registered task as one of its definition, under the name "custom"; uploads
    that it reads are completed. A built-in task stays as it is.

    Parameters of a registered task take the place of the fields of its definition. `where` points
    to the use in the input. Raises UnknownName with the nearest name, InvalidSpec.
    """
    if use.name in TASKS:
        return use
    given = use.params
    if use.name != CUSTOM:
        given = {**_definition(use.name, library, where=f"{where}/name"), **given}
    definition = parse_definition(given, where=f"{where}/params")
    definition = _complete(definition, library, where=f"{where}/params")
    return use.model_copy(
        update={"name": CUSTOM, "params": definition.model_dump(mode="json")},
    )


def list_tasks(library: Library) -> tuple[TaskView, ...]:
    """Built-in tasks, then registered ones."""
    return tuple(to_view(task) for task in TASKS) + tuple(map(_view, library.tasks()))


def show(name: str, library: Library) -> TaskView:
    """One task. Raises NotFound with the nearest name."""
    if name in TASKS:
        return to_view(TASKS.get(name))
    try:
        return _view(library.task(name))
    except NotFound:
        raise _unknown(name, library) from None


def register(platform: Platform, definition: CustomTask) -> tuple[TaskView, bool]:
    """Make a definition known under its name. Returns (task, created).

    Its data are read first. Raises InvalidSpec for a name that is built in, InvalidInput when the
    preview has an error, Conflict when the name stands for another definition, and what
    `preview_definition` raises.
    """
    if definition.name in TASKS or definition.name in RESERVED:
        raise InvalidSpec(
            f"{definition.name!r} is the name of a built-in task, or a word of the API.",
            where="/name",
            hint="Choose another name.",
        )
    whole = _complete(definition, platform.library, where="")
    errors = [
        flag for flag in _previewed(platform, whole, examples=0).flags if flag.severity == "error"
    ]
    if errors:
        first = errors[0]
        rows = f" ({', '.join(first.rows)})" if first.rows else ""
        raise InvalidInput(
            f"the data of the task have {len(errors)} kinds of errors; the first: {first.kind}, "
            f"{first.count} times: {first.detail}{rows}.",
            hint="Look at its preview: POST /v1/tasks/preview, or forgetscope tasks preview.",
        )
    plain = whole.model_dump(mode="json")
    row, created = platform.library.add_task(whole.name, plain, datasets=uploads_in(plain))
    return _view(row), created


def delete(name: str, library: Library) -> None:
    """Forget a registered task. Raises NotFound, and Conflict for a built-in one."""
    if name in TASKS:
        raise Conflict(f"the task {name!r} is built in and cannot be deleted.")
    try:
        library.delete_task(name)
    except NotFound:
        raise _unknown(name, library) from None


def preview(platform: Platform, name: str, params: JsonObject, *, examples: int) -> TaskPreview:
    """A task by name, with parameters. Raises NotFound, InvalidSpec, BadRow, UnknownName."""
    show(name, platform.library)
    use = resolve(TaskUse(id=name, name=name, params=params), platform.library, where="")
    return preview_task(use, platform.rows, examples=examples)


def preview_definition(platform: Platform, definition: CustomTask, *, examples: int) -> TaskPreview:
    """A definition; nothing is recorded. Raises InvalidSpec, UnknownName, BadRow."""
    whole = _complete(definition, platform.library, where="")
    return _previewed(platform, whole, examples=examples)


def _previewed(platform: Platform, definition: CustomTask, *, examples: int) -> TaskPreview:
    custom_task(definition)  # faults of templates point into the definition itself
    use = TaskUse(id=CUSTOM, name=CUSTOM, params=definition.model_dump(mode="json"))
    return preview_task(use, platform.rows, examples=examples)


def _definition(name: str, library: Library, *, where: str) -> JsonObject:
    try:
        return library.task(name).definition
    except NotFound:
        error = _unknown(name, library)
        raise UnknownName(error.detail, where=where, hint=error.hint) from None


def _unknown(name: str, library: Library) -> NotFound:
    """Says which of all names is the nearest."""
    names = (*TASKS.names(), *(row.name for row in library.tasks()))
    try:
        Registry("task", [(known, known) for known in names]).get(name)
    except UnknownName as error:
        return NotFound(error.detail, hint=error.hint)
    return NotFound(f"the task {name!r} has just been registered.", hint="Ask again.")


def _complete(definition: CustomTask, library: Library, *, where: str) -> CustomTask:
    """With format and size of the uploads that it reads. Raises UnknownName, InvalidInput."""
    completed = {
        field: complete_source(source, library, f"{where}/{field}")
        for field in ("train", "evaluation", "source")
        if (source := getattr(definition, field)) is not None
    }
    return definition.model_copy(update=completed)


def _view(row: TaskRow) -> TaskView:
    task = custom_task(parse_definition(row.definition))
    return to_view(task).model_copy(update={"registered": True, "definition": row.definition})
