"""`forgetscope search` and `forgetscope searches`: the smallest mitigation that reaches a goal."""

import json
import time
from itertools import islice
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from forgetscope.cli.experiments import EXIT_INTERRUPTED, AsJson, SpecFile
from forgetscope.cli.files import read_object, with_task_files
from forgetscope.cli.search_tables import plan_table, rounds_table, verdict_mark
from forgetscope.cli.talk import DEFAULT_URL, EXIT_FAILED, Url, complain, err, out, talk
from forgetscope.cli.watch import watch as follow
from forgetscope.client import Client
from forgetscope.schema.search import SearchEventView, SearchState, SearchView

__all__ = ["search", "searches"]

searches = typer.Typer(help="Searches for the smallest mitigation.", no_args_is_help=True)

SearchArg = Annotated[str, typer.Argument(metavar="ID", help="Id of the search.")]


def search(
    file: SpecFile,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it to its end.")] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only show what it would train at most.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --plan: as JSON.")] = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Search for the smallest value of a knob with which an experiment reaches a goal; prints its
    id.

    Example: forgetscope search examples/search-replay.yaml --watch
    """
    spec = read_search(file)
    with talk(url) as client:
        if plan:
            planned = client.searches.plan(spec)
            if as_json:
                out.print_json(planned.model_dump_json())
            else:
                out.print(plan_table(planned))
            return
        search_id = client.searches.submit(spec)
        print(search_id, flush=True)  # noqa: T201 - bare, for scripts
        if watch:
            show_end(watched(client, search_id))


@searches.command("list")
def list_(
    state: Annotated[SearchState | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List searches, newest first."""
    with talk(url) as client:
        found = list(islice(client.searches.list(state=state), limit))
    if as_json:
        out.print_json(json.dumps([one.model_dump(mode="json") for one in found]))
        return
    if not found:
        err.print("There are no searches yet. Submit one: forgetscope search FILE")
        return
    table = Table(header_style="bold")
    for name in ("id", "name", "state", "rounds", "answer", "submitted (UTC)"):
        table.add_column(name, no_wrap=name in ("id", "state"), overflow="fold")
    for one in found:
        at = time.strftime("%Y-%m-%d %H:%M", time.gmtime(one.created_at))
        value = one.answer.value if one.answer is not None else None
        shown = "–" if value is None else f"{value:g}"
        table.add_row(one.id, escape(one.name), one.state, str(one.rounds_done), shown, at)
    out.print(table)


@searches.command("show")
def show(search_id: SearchArg, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Show the rounds of a search, their verdicts, and the answer."""
    with talk(url) as client:
        view = client.searches.get(search_id)
    if as_json:
        print(view.model_dump_json(indent=1))  # noqa: T201 - exact, for scripts
        return
    out.print(rounds_table(view))
    if view.answer is not None:
        out.print(escape(view.answer.text), soft_wrap=True)
        for note in view.answer.notes:
            out.print(f"Note: {note}", markup=False, soft_wrap=True)
    else:
        out.print(f"The search has {view.state}." if view.state != "running" else view.eta_basis)
    if view.failure is not None:
        complain(view.failure.detail, where=view.failure.where, hint=view.failure.hint)


@searches.command("watch")
def watch_(search_id: SearchArg, url: Url = DEFAULT_URL) -> None:
    """Follow a search to its end. Ctrl-C stops watching, not the search."""
    with talk(url) as client:
        show_end(watched(client, search_id))


@searches.command("cancel")
def cancel(search_id: SearchArg, url: Url = DEFAULT_URL) -> None:
    """Stop a search, and the experiment that it waits for."""
    with talk(url) as client:
        out.print(f"The search is {client.searches.cancel(search_id).state}.")


@searches.command("delete")
def delete(search_id: SearchArg, url: Url = DEFAULT_URL) -> None:
    """Delete a search that is over; the experiments of its rounds stay."""
    with talk(url) as client:
        client.searches.delete(search_id)
        out.print("Deleted.")


def watched(client: Client, search_id: str) -> SearchView:
    """Follow to the end, with the stages of each round; Ctrl-C leaves it running and says so."""
    most = client.searches.get(search_id).looks
    console = out if out.is_terminal else err
    try:
        for event in client.searches.events(search_id):
            line = _line(event, most)
            if line is not None:
                console.print(line, soft_wrap=True)
            experiment = event.data.get("experiment")
            if event.type == "search.round" and isinstance(experiment, str):
                follow(client, experiment, console)
    except KeyboardInterrupt:
        err.print(
            f"The search goes on. Watch it again: forgetscope searches watch {search_id}\n"
            f"Stop it: forgetscope searches cancel {search_id}",
            soft_wrap=True,
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None
    return client.searches.get(search_id)


def _line(event: SearchEventView, most: int) -> str | None:
    data = event.data
    if event.type == "search.round":
        return f"[bold]Round {data['round']} of at most {most}: {data['value']:g}[/]"
    if event.type == "search.judged":
        mark = verdict_mark(str(data["verdict"]))
        return f"{mark} with {data['value']:g}: {escape(str(data['reason']))}"
    return None


def show_end(view: SearchView) -> None:
    """The answer; leaves with 1 unless a value was found."""
    if view.answer is not None:
        colour = "green" if view.answer.outcome == "found" else "yellow"
        err.print(f"[bold {colour}]{escape(view.answer.text)}[/]", soft_wrap=True)
        for note in view.answer.notes:
            err.print(f"Note: {note}", markup=False, soft_wrap=True)
        err.print(f"All of it: forgetscope searches show {view.id}", soft_wrap=True)
        if view.answer.outcome == "found":
            return
    elif view.failure is not None:
        complain(view.failure.detail, where=view.failure.where, hint=view.failure.hint)
    else:
        complain(f"the search is {view.state}")
    raise typer.Exit(EXIT_FAILED)


def read_search(file: str) -> dict[str, object]:
    """A YAML or JSON file with the task files that its experiment names. Its content is checked by
    the server."""
    spec = read_object(file, "a search is an object with the fields experiment, knob and goal")
    experiment = spec.get("experiment")
    if isinstance(experiment, dict):
        spec = {**spec, "experiment": with_task_files(experiment, file)}
    return spec
