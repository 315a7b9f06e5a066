"""The whole road once: start a server, submit over HTTP, watch, show what was forgotten."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from forgetscope.cli import tables
from forgetscope.cli.experiments import read_spec, watched
from forgetscope.cli.talk import EXIT_FAILED, complain, err, out, talk
from forgetscope.cli.words import duration
from forgetscope.client import Client, ClientError
from forgetscope.schema.views import ExperimentView

__all__ = ["demo"]

READY_WITHIN_SECONDS = 60.0
STOP_WITHIN_SECONDS = 20.0


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
    with _server(home) as url, talk(url) as client:
        _wait_until_ready(client, home)
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


@contextmanager
def _server(home: Path) -> Iterator[str]:
    """The platform in a process group of its own, on a free port; stopped at the end, and by itself
    when this process is killed: its standard input closes."""
    home.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    with (home / "up.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "forgetscope.wiring", "up"],
            env={
                **os.environ,
                "FORGETSCOPE_WIRING": "embedded",
                "FORGETSCOPE_HOME_DIR": str(home.resolve()),
                "FORGETSCOPE_HOST": "127.0.0.1",
                "FORGETSCOPE_PORT": str(port),
            },
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(STOP_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(client: Client, home: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while True:
        with suppress(ClientError):  # it does not listen yet
            if client.health().status == "ok":
                return
        if time.monotonic() > deadline:
            complain(
                "the server did not start", hint=f"Look into {home / 'up.log'} and {home / 'logs'}."
            )
            raise typer.Exit(EXIT_FAILED)
        time.sleep(0.1)


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
