"""Commands on uploaded data sets."""

import json
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from forgetscope.cli.experiments import AsJson
from forgetscope.cli.talk import DEFAULT_URL, Url, err, out, talk
from forgetscope.schema.views import DatasetView

__all__ = ["datasets"]

datasets = typer.Typer(help="Data sets of your own, on the server.", no_args_is_help=True)

DigestArg = Annotated[
    str, typer.Argument(metavar="DIGEST", help="Digest of the data set, as `list` shows it.")
]


@datasets.command("upload")
def upload(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="JSONL or Parquet.", exists=True, dir_okay=False, readable=True
        ),
    ],
    name: Annotated[str | None, typer.Option(help="For people; the file's if absent.")] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Upload a data set and print its digest, by which tasks name it.

    Example: forgetscope datasets upload questions.jsonl --name "my questions"
    """
    columns = (
        TextColumn("{task.description}"),
        *(BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()),
    )
    size = file.stat().st_size
    with talk(url) as client, Progress(*columns, console=err, transient=True) as progress:
        bar = progress.add_task("sending", total=size)

        def show(sent: int) -> None:
            words = "the server reads every row" if sent >= size else "sending"
            progress.update(bar, completed=sent, description=words)

        found = client.datasets.upload(file, name=name, on_progress=show)
    err.print(f"{found.rows} rows, columns: {_columns(found)}", markup=False, soft_wrap=True)
    print(found.digest)  # noqa: T201 - bare, for scripts


@datasets.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List the uploaded data sets, newest first."""
    with talk(url) as client:
        found = list(islice(client.datasets.list(), limit))
    if as_json:
        out.print_json(json.dumps([d.model_dump(mode="json") for d in found]))
    elif found:
        out.print(_table(found))
    else:
        err.print("There are no data sets yet. Upload one: forgetscope datasets upload FILE")


@datasets.command("delete")
def delete(digest: DigestArg, url: Url = DEFAULT_URL) -> None:
    """Delete a data set that neither an experiment nor a registered task reads."""
    with talk(url) as client:
        client.datasets.delete(digest)
        out.print("Deleted.")


def _table(found: Iterable[DatasetView]) -> Table:
    table = Table(header_style="bold")
    for name in ("digest", "name", "format", "rows", "bytes", "uploaded (UTC)", "columns"):
        table.add_column(name, overflow="fold", min_width=12 if name == "digest" else None)
    for d in found:
        at = time.strftime("%Y-%m-%d %H:%M", time.gmtime(d.created_at))
        size, columns = f"{d.size:,}", escape(_columns(d))
        table.add_row(d.digest, escape(d.name), d.format, str(d.rows), size, at, columns)
    return table


def _columns(found: DatasetView) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in found.columns.items())
