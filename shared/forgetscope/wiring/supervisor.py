"""The embedded platform: gateway and workers as processes of their own under one parent."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import structlog

from forgetscope.schema.errors import Conflict
from forgetscope.wiring.logs import configure_logs
from forgetscope.wiring.settings import Settings
from forgetscope.wiring.wires import migrate_records

__all__ = ["up"]

log = structlog.get_logger(__name__)

SERVICES: Mapping[str, tuple[str, ...]] = {
    "gateway": ("serve",),
    "trainer": ("worker", "train"),
    "evaluator": ("worker", "evaluate"),
    "analysis": ("worker", "analyse"),
}
STOP_SECONDS = 10.0
MAX_BACKOFF_SECONDS = 30.0


def up(settings: Settings) -> None:
    """Run everything below one folder until SIGTERM or SIGINT.

    A process that ends is started again, later each time. Raises Conflict when another platform
    already uses the folder.
    """
    configure_logs(settings.log_level)
    home = settings.home_dir.resolve()
    (home / "logs").mkdir(parents=True, exist_ok=True)
    with _locked(home / "lock"):
        migrate_records(settings)
        _supervise(home)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"another platform already runs in {path.parent}",
                hint="Stop it, or choose another folder with FORGETSCOPE_HOME_DIR.",
            ) from None
        yield


class _Service:
    """One child with its restarts."""

    def __init__(self, name: str, command: tuple[str, ...], log_path: Path) -> None:
        self.name = name
        self._command = command
        self._log_path = log_path
        self._backoff = 0.5
        self._start_at = 0.0
        self._started = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def tend(self) -> None:
        """Start it when it does not run and its pause is over."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            if now - self._started > MAX_BACKOFF_SECONDS:
                self._backoff = 0.5
            log.warning(
                "service.ended",
                service=self.name,
                status=self.process.returncode,
                restart_in=self._backoff,
            )
            self.process = None
            self._start_at = now + self._backoff
            self._backoff = min(self._backoff * 2, MAX_BACKOFF_SECONDS)
        if self.process is None and now >= self._start_at:
            self._started = now
            with self._log_path.open("ab") as out:
                self.process = subprocess.Popen(  # noqa: S603 - our own module
                    [sys.executable, "-m", "forgetscope.wiring", *self._command],
                    stdin=subprocess.PIPE,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )

    def end(self, how: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, how)


def _supervise(home: Path) -> None:
    stopping = False

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    services = [
        _Service(name, command, home / "logs" / f"{name}.log") for name, command in SERVICES.items()
    ]
    while not stopping:
        for service in services:
            service.tend()
        time.sleep(0.2)
    for service in services:
        service.end(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for service in services:
        if service.process is not None:
            try:
                service.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                service.end(signal.SIGKILL)
                service.process.wait()
