"""The whole road once: start a server, submit over HTTP, watch, show what was forgotten."""

import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from forgetscope.cli import tables
from forgetscope.cli.embedded import server, wait_until_ready
from forgetscope.cli.experiments import read_spec, watched
from forgetscope.cli.talk import EXIT_FAILED, complain, err, out, talk
from forgetscope.cli.words import duration
from forgetscope.client import Client
from forgetscope.schema.views import ExperimentView

__all__ = ["demo"]


def demo(
    spec: Annotated[
        Path, typer.Option(help="Specification of the experiment, in YAML or JSON.")
    ] = Path("examples/demo.yaml"),
    home: Annotated[Path, typer.Option(help="Folder for data, logs and reports.")] = Path(
        "forgetscope-data"
    ),
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server running at the end.")] = (
        False
    ),
) -> None:
    """Run an experiment from nothing: server, training in both orders, tables, report.

    The default takes a few minutes on two cores. What is done already is not done again.
    """
    content = read_spec(str(spec))
    began = time.monotonic()
    with server(home) as url, talk(url) as client:
        wait_until_ready(client, home)
        err.print(f"Server: {url} (API: {url}/docs)", soft_wrap=True)
        planned = client.plan(content)
        err.print(tables.plan_table(planned))
        experiment_id = client.submit(content)
        err.print(f"Experiment: {experiment_id}")
        view = watched(client, experiment_id)
        if view.state != "succeeded":
            _explain(client, view, home)
            raise typer.Exit(EXIT_FAILED)
        for table in tables.result_tables(client.results(experiment_id)):
            out.print(table, "")
        report = home.resolve() / "reports" / f"{experiment_id}.html"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(client.report_html(experiment_id), encoding="utf-8")
        out.print(f"Report: {report}", markup=False, soft_wrap=True)
        out.print(f"Finished in {duration(time.monotonic() - began)}.")
        if keep:
            err.print(f"The server stays at {url} until Ctrl-C. Try: {url}/docs", soft_wrap=True)
            _wait_for_ctrl_c()


def _explain(client: Client, view: ExperimentView, home: Path) -> None:
    complain(f"the experiment is {view.state}", hint=f"Logs are in {home / 'logs'}.")
    for key, failure in view.failures.items():
        complain(failure.detail, where=f"stage {key[:12]}", hint=failure.hint)
        attempts = client.stage(view.id, key).attempts
        if attempts and attempts[-1].log_tail:
            err.print(attempts[-1].log_tail, markup=False)


def _wait_for_ctrl_c() -> None:
    try:
        signal.pause()
    except KeyboardInterrupt:
        err.print("Stopping.")
