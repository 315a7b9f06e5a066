"""`forgetscope baseline`: models of audits under a name, to be compared with later."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from forgetscope.cli.embedded import platform
from forgetscope.cli.experiments import AsJson
from forgetscope.cli.talk import DEFAULT_URL, Url, err, out, talk
from forgetscope.client import Client
from forgetscope.schema.audit import BaselineSide
from forgetscope.schema.baseline import BaselineView

__all__ = ["baseline"]

baseline = typer.Typer(
    help="Models of audits under a name: the reference of later audits, also when they are gone.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the baseline.")]
Home = Annotated[
    Path | None,
    typer.Option(
        help="Instead of a server: folder of embedded audits, whose platform runs meanwhile.",
        exists=True,
        file_okay=False,
        show_default=False,
    ),
]


@baseline.command("set")
def set_(  # noqa: PLR0917 - each is an option
    name: Name,
    audit_id: Annotated[str, typer.Argument(metavar="AUDIT_ID", help="Audit that has succeeded.")],
    side: Annotated[BaselineSide, typer.Option(help="Which of its models.")] = "candidate",
    replace: Annotated[
        bool, typer.Option("--replace", help="Also when the name stands for another model.")
    ] = False,
    home: Home = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Name a model of an audit. While the name stands for it, the audit cannot be deleted.

    Example: forgetscope baseline set production AUDIT_ID --replace
    """
    with _client(url, home) as client:
        _show(client.baselines.put(name, audit_id, side=side, replace=replace))


@baseline.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: AsJson = False,
    home: Home = None,
    url: Url = DEFAULT_URL,
) -> None:
    """List the baselines, newest first."""
    with _client(url, home) as client:
        found = list(islice(client.baselines.list(), limit))
    if as_json:
        out.print_json(json.dumps([one.model_dump(mode="json") for one in found]))
    elif found:
        out.print(_table(found))
    else:
        err.print("There are no baselines yet. Name one: forgetscope baseline set NAME AUDIT_ID")


@baseline.command("show")
def show(name: Name, as_json: AsJson = False, home: Home = None, url: Url = DEFAULT_URL) -> None:
    """Show what a name stands for: model, settings, tasks and the digests of their items."""
    with _client(url, home) as client:
        found = client.baselines.get(name)
    if as_json:
        out.print_json(found.model_dump_json())
    else:
        _show(found)


@baseline.command("remove")
def remove(name: Name, home: Home = None, url: Url = DEFAULT_URL) -> None:
    """Forget a name. Its audit stays, and so do audits against it."""
    with _client(url, home) as client:
        client.baselines.delete(name)
    out.print("Removed.")


@contextmanager
def _client(url: str, home: Path | None) -> Iterator[Client]:
    with talk(url) if home is None else platform(home) as client:
        yield client


def _show(found: BaselineView) -> None:
    evaluation = found.evaluation
    lines = [
        f"{found.name}: the {found.side} of audit {found.audit}, since {_time(found)} UTC",
        f"model: {_model(found)}",
        f"fingerprint: {found.fingerprint}",
        f"scored with: {found.engine}, {evaluation.dtype}, up to {evaluation.max_length} tokens",
        *(f"{t.id}: {t.items} items of {t.name}, sha256 {t.examples}" for t in found.tasks),
    ]
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _table(found: Iterable[BaselineView]) -> Table:
    table = Table(header_style="bold")
    for name in ("name", "since (UTC)", "model", "tasks", "audit"):
        table.add_column(name, overflow="fold")
    for one in found:
        tasks = ", ".join(task.id for task in one.tasks)
        table.add_row(one.name, _time(one), escape(_model(one)), tasks, f"{one.audit} {one.side}")
    return table


def _model(found: BaselineView) -> str:
    said = found.model.model_dump(mode="json", exclude_none=True)
    return " ".join(str(value) for value in said.values())


def _time(found: BaselineView) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(found.created_at))
