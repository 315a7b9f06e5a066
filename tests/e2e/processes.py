"""Real processes for end-to-end tests: started, watched, killed, cleaned up."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from forgetscope.client import Client, ClientError
from forgetscope.schema.base import JsonObject

PROJECT = Path(__file__).parents[2]

# Small enough for minutes on two cores, long enough to be killed in the middle.
SPEC: JsonObject = {
    "name": "end to end",
    "tasks": [
        {"name": "synthetic_safety", "train_examples": 512, "evaluation_examples": 400},
        {"name": "synthetic_capability", "train_examples": 512, "evaluation_examples": 400},
    ],
    "chains": {"generate": "safety_capability_pairs"},
    "training": {"learning_rate": 1e-3, "epochs": 4, "batch_size": 16},
    "evaluation": {"engine": "transformers"},
    "analysis": {"bootstrap_replicates": 500},
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Service:
    """A `python -m forgetscope.wiring …` process with the environment of a test."""

    def __init__(self, *command: str, environment: Mapping[str, str], log: Path) -> None:
        self.command = command
        self.log = log
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("FORGETSCOPE_")},
            "FORGETSCOPE_DATA_DIR": os.environ.get(
                "FORGETSCOPE_DATA_DIR", str(PROJECT.parent / "shared" / "data")
            ),
            "FORGETSCOPE_LOG_LEVEL": "info",
            "FORGETSCOPE_HUB_OFFLINE": "true",
            **environment,
        }
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "forgetscope.wiring", *self.command],
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def children(self) -> list[int]:
        """Processes that this one started, at any depth."""
        return descendants(self.process.pid)

    def kill(self) -> None:
        """SIGKILL, and nothing else: what it started has to end by itself."""
        self.process.kill()
        self.process.wait()
        self._close()

    def restart(self) -> None:
        self.process = self._start()

    def _close(self) -> None:
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()

    def stop(self) -> None:
        """As an operator does it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                raise AssertionError(f"{self.command} did not stop: {self.tail()}") from None
        self._close()

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


def descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parent = int(stat.rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(what: str, condition: Callable[[], bool], *, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain until {what}")
        time.sleep(0.1)


def ready(client: Client) -> bool:
    try:
        return client.health().status == "ok"
    except ClientError:
        return False


def running(client: Client, experiment_id: str, kind: str) -> list[str]:
    """Keys of the running stages of a kind."""
    return [
        stage.key
        for stage in client.stages(experiment_id)
        if stage.kind == kind and stage.state == "running"
    ]


def finish(client: Client, experiment_id: str, *, seconds: float = 240) -> None:
    """Wait for success; the failures are the message otherwise."""

    def over() -> bool:
        view = client.get(experiment_id)
        assert view.state not in ("failed", "cancelled"), view.failures
        return view.state == "succeeded"

    wait_for(f"experiment {experiment_id} has succeeded", over, seconds=seconds)


def keys(client: Client, experiment_id: str) -> dict[str, str]:
    return {s.label.title: s.key for s in client.stages(experiment_id)}


def digests(client: Client, experiment_id: str) -> dict[str, str]:
    """Digest of every file by the title of its stage."""
    return {f"{a.label.title}/{a.path}": a.digest for a in client.artifacts(experiment_id)}
