"""Commands over the public API."""

import json
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from forgetscope.cli import tables
from forgetscope.cli.files import read_object, with_task_files, write_text
from forgetscope.cli.tables_memory import memory_table
from forgetscope.cli.talk import (
    DEFAULT_URL,
    EXIT_FAILED,
    ExperimentArg,
    Url,
    complain,
    err,
    out,
    talk,
)
from forgetscope.cli.watch import watch as follow
from forgetscope.client import Client
from forgetscope.schema.stage import ExperimentState
from forgetscope.schema.views import ExperimentView

__all__ = ["read_spec", "register", "show_end", "watched"]

EXIT_INTERRUPTED = 130

SpecFile = Annotated[
    str, typer.Argument(metavar="FILE", help="Specification in YAML or JSON; - is standard input.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    panel = "Experiments"
    for command in (submit, plan, list_, watch, results, report, cancel, retry, delete):
        name = command.__name__.rstrip("_")
        app.command(name, rich_help_panel=panel, no_args_is_help=False)(command)


def submit(
    file: SpecFile,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it to its end.")] = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Submit an experiment and print its id.

    Example: forgetscope submit examples/demo.yaml --watch
    """
    spec = read_spec(file)
    with talk(url) as client:
        experiment_id = client.submit(spec)
        print(experiment_id, flush=True)  # noqa: T201 - bare, for scripts
        if watch:
            show_end(watched(client, experiment_id))


def plan(file: SpecFile, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Show what submitting would run, what is done already, and expected time and memory.

    Example: forgetscope plan examples/demo.yaml
    """
    spec = read_spec(file)
    with talk(url) as client:
        planned = client.plan(spec)
    if as_json:
        out.print_json(planned.model_dump_json())
    else:
        out.print(tables.plan_table(planned))
        if planned.memory:
            out.print(memory_table(planned))


def list_(
    state: Annotated[ExperimentState | None, typer.Option(help="Only those in this state.")] = None,
    name: Annotated[str | None, typer.Option(help="Only those with this in their name.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List experiments, newest first.

    Example: forgetscope list --state running
    """
    with talk(url) as client:
        found = list(islice(client.list(state=state, name=name), limit))
    if as_json:
        out.print_json(json.dumps([e.model_dump(mode="json") for e in found]))
    elif found:
        out.print(tables.experiments_table(found))
    else:
        err.print("There are no experiments yet. Submit one: forgetscope submit FILE")


def watch(experiment_id: ExperimentArg, url: Url = DEFAULT_URL) -> None:
    """Follow an experiment to its end: stages at work, time left, failures.

    Ctrl-C stops watching, not the experiment.
    """
    with talk(url) as client:
        show_end(watched(client, experiment_id))


def results(experiment_id: ExperimentArg, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Show accuracy, forgetting and biased forgetting of a finished experiment.

    Example: forgetscope results ID --json > results.json
    """
    with talk(url) as client:
        found = client.results(experiment_id)
    if as_json:
        print(found.model_dump_json(indent=1))  # noqa: T201 - exact, for scripts
        return
    for table in tables.result_tables(found):
        out.print(table, "")
    for note in found.notes:
        out.print(f"Note: {note}", markup=False, soft_wrap=True)


def report(
    experiment_id: ExperimentArg,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to save it; default ID.html")
    ] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Save the HTML report and print where it is.

    Example: forgetscope report ID --output report.html
    """
    with talk(url) as client:
        html = client.report_html(experiment_id)
        target = output or Path(f"{experiment_id}.html")
        write_text(target, html)
        out.print(f"{target.resolve()}", markup=False, soft_wrap=True)
        out.print(
            f"{client.base_url}/v1/experiments/{experiment_id}/report", markup=False, soft_wrap=True
        )


def cancel(experiment_id: ExperimentArg, url: Url = DEFAULT_URL) -> None:
    """Stop an experiment. Stages that another experiment needs go on."""
    with talk(url) as client:
        out.print(f"The experiment is {client.cancel(experiment_id).state}.")


def retry(experiment_id: ExperimentArg, url: Url = DEFAULT_URL) -> None:
    """Run again what failed, was skipped or cancelled. What succeeded stays."""
    with talk(url) as client:
        out.print(f"The experiment is {client.retry(experiment_id).state}.")


def delete(experiment_id: ExperimentArg, url: Url = DEFAULT_URL) -> None:
    """Delete an experiment that is over, with the stages that no other one uses."""
    with talk(url) as client:
        client.delete(experiment_id)
        out.print("Deleted.")


def watched(client: Client, experiment_id: str) -> ExperimentView:
    """Follow to the end; Ctrl-C leaves the experiment running and says so."""
    try:
        return follow(client, experiment_id, out if out.is_terminal else err)
    except KeyboardInterrupt:
        err.print(
            f"The experiment goes on. Watch it again: forgetscope watch {experiment_id}\n"
            f"Stop it: forgetscope cancel {experiment_id}",
            soft_wrap=True,
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None


def show_end(view: ExperimentView) -> None:
    """How it ended and what to do next; leaves with 1 unless it succeeded."""
    if view.state == "succeeded":
        err.print(
            f"[bold green]Succeeded.[/] Results: forgetscope results {view.id}\n"
            f"Report: forgetscope report {view.id}",
            soft_wrap=True,
        )
        return
    complain(
        f"the experiment has {view.state}" if view.state == "failed" else f"it is {view.state}",
        hint=f"Run what is missing again: forgetscope retry {view.id}",
    )
    for key, failure in view.failures.items():
        complain(failure.detail, where=f"stage {key[:12]}", hint=failure.hint)
    raise typer.Exit(EXIT_FAILED)


def read_spec(file: str) -> dict[str, object]:
    """A YAML or JSON file with the task files that it names. Its content is checked by the server,
    which knows the catalogue."""
    what = "a specification is an object with fields such as tasks and chains"
    return with_task_files(read_object(file, what), file)
