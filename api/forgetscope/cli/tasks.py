"""Commands on tasks: built-in ones and those of users."""

import json
from pathlib import Path
from typing import Annotated

import typer

from forgetscope.cli import tables
from forgetscope.cli.experiments import AsJson
from forgetscope.cli.files import read_object
from forgetscope.cli.talk import (
    DEFAULT_URL,
    EXIT_FAILED,
    EXIT_INVALID,
    Url,
    complain,
    err,
    out,
    reported,
    talk,
)
from forgetscope.cli.task_tables import preview_parts, task_parts
from forgetscope.schema.base import JsonObject
from forgetscope.schema.custom import CustomTask
from forgetscope.schema.errors import InvalidInput, NotFound
from forgetscope.schema.preview import TaskPreview

__all__ = ["tasks"]

tasks = typer.Typer(
    help="Tasks: built-in ones, and your own without code.", invoke_without_command=True
)

NameArg = Annotated[str, typer.Argument(metavar="NAME", help="Name of the task.")]
FileArg = Annotated[
    str, typer.Argument(metavar="FILE", help="Definition in YAML or JSON; - is standard input.")
]


@tasks.callback()
def group(context: typer.Context, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    if context.invoked_subcommand is None:
        list_(as_json, url)


@tasks.command("list")
def list_(as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """List the tasks that a specification can name."""
    with talk(url) as client:
        found = list(client.tasks.list())
    if as_json:
        out.print_json(json.dumps([t.model_dump(mode="json") for t in found]))
    else:
        out.print(tables.tasks_table(found))


@tasks.command("show")
def show(name: NameArg, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Show one task: licence, citation, sizes, groups, and its parameters or its definition."""
    with talk(url) as client:
        found = client.tasks.get(name)
    if as_json:
        out.print_json(found.model_dump_json())
        return
    for part in task_parts(found):
        out.print(part)


@tasks.command("register")
def register(file: FileArg, url: Url = DEFAULT_URL) -> None:
    """Register a task file with the server: experiments can then name it.

    Example: forgetscope tasks register examples/tasks/diasafety-judgement.yaml
    """
    definition = _definition(file)
    with talk(url) as client:
        print(client.tasks.register(definition).name)  # noqa: T201 - bare, for scripts


@tasks.command("delete")
def delete(name: NameArg, url: Url = DEFAULT_URL) -> None:
    """Delete a registered task. Experiments keep the definition that they were planned with."""
    with talk(url) as client:
        client.tasks.delete(name)
        out.print("Deleted.")


@tasks.command("schema")
def schema() -> None:
    """Print the JSON Schema of task files, for editors that check while one types."""
    print(json.dumps(CustomTask.model_json_schema(), indent=1))  # noqa: T201 - exact


@tasks.command("preview")
def preview(  # noqa: PLR0917 - each is an option
    task: Annotated[
        str, typer.Argument(metavar="FILE|NAME", help="A task file, or the name of a task.")
    ],
    examples: Annotated[int, typer.Option(min=0, max=50, help="So many of each split.")] = 3,
    params: Annotated[str, typer.Option(help="Parameters of a named task, as JSON.")] = "{}",
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the data; FORGETSCOPE_DATA_DIR by default.")
    ] = None,
    server: Annotated[
        bool, typer.Option("--server", help="Let the server read its data, not this machine.")
    ] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Show the first examples of a task, its counts, and what is doubtful about its data.

    Needs no server, unless --server is given. Leaves with 1 when there is an error among the
    doubts. Example: forgetscope tasks preview examples/tasks/diasafety-judgement.yaml
    """
    found = (
        _from_server(task, _params(params), examples, url)
        if server
        else _from_here(task, _params(params), examples, data_dir)
    )
    if as_json:
        out.print_json(found.model_dump_json())
    else:
        for part in preview_parts(found):
            out.print(part)
    if any(flag.severity == "error" for flag in found.flags):
        raise typer.Exit(EXIT_FAILED)


def _from_server(task: str, params: JsonObject, examples: int, url: str) -> TaskPreview:
    definition = {**_definition(task), **params} if _is_file(task) else None
    with talk(url) as client:
        if definition is not None:
            return client.tasks.preview_definition(definition, examples=examples)
        return client.tasks.preview(task, params=params, examples=examples)


def _from_here(task: str, params: JsonObject, examples: int, data_dir: Path | None) -> TaskPreview:
    definition = {**_definition(task), **params} if _is_file(task) else None
    with reported():
        # A client's machine may have none of what the wiring imports.
        from forgetscope.wiring.previews import local_preview  # noqa: PLC0415

        try:
            if definition is not None:
                whole = CustomTask.model_validate(definition)
                return local_preview(whole, {}, examples=examples, data_dir=data_dir)
            return local_preview(task, params, examples=examples, data_dir=data_dir)
        except (InvalidInput, NotFound) as error:
            complain(error.detail, where=error.where, hint=error.hint)
            raise typer.Exit(EXIT_INVALID) from None


def _is_file(task: str) -> bool:
    path = Path(task)
    return task == "-" or path.suffix in (".yaml", ".yml", ".json") or path.is_file()


def _definition(file: str) -> dict[str, object]:
    return read_object(file, "a task is an object with fields such as prompt and answer")


def _params(text: str) -> JsonObject:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        err.print(f"--params is not JSON: {error}", markup=False)
        raise typer.Exit(2) from None
    if not isinstance(found, dict):
        err.print("--params is not a JSON object")
        raise typer.Exit(2)
    return found
