"""The platform in a process of its own, for one command: started, waited for, ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import typer

from forgetscope.cli.talk import EXIT_FAILED, complain, talk
from forgetscope.client import Client, ClientError

__all__ = ["platform", "server", "wait_until_ready"]

READY_WITHIN_SECONDS = 60.0
STOP_WITHIN_SECONDS = 20.0


@contextmanager
def server(home: Path, roots: Sequence[Path] = ()) -> Iterator[str]:
    """The platform in a process group of its own, on a free port; stopped at the end, and by itself
    when this process is killed: its standard input closes. `roots` are folders that models may be
    read from, beside those of the environment."""
    home.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    allowed = [os.environ.get("FORGETSCOPE_ALLOWED_ROOTS", ""), *map(str, roots)]
    with (home / "up.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "forgetscope.wiring", "up"],
            env={
                **os.environ,
                "FORGETSCOPE_WIRING": "embedded",
                "FORGETSCOPE_HOME_DIR": str(home.resolve()),
                "FORGETSCOPE_HOST": "127.0.0.1",
                "FORGETSCOPE_PORT": str(port),
                "FORGETSCOPE_ALLOWED_ROOTS": ":".join(filter(None, allowed)),
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


@contextmanager
def platform(home: Path, roots: Sequence[Path] = ()) -> Iterator[Client]:
    """A client of a platform in `home` that runs as long as it is used; see `server`."""
    with server(home, roots) as url, talk(url) as client:
        wait_until_ready(client, home)
        yield client


def wait_until_ready(client: Client, home: Path) -> None:
    """Leaves with a message when the platform does not answer in time."""
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
