"""One server process: started in a process group of its own, ended with all it started."""

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

# Ends a server whose starter died without stopping it (SIGKILL, a test runner's time limit):
# the starter holds the other end of stdin. A parent-death signal would not do: it follows the
# thread that started the server, and unshare clears it.
_GUARD = (
    "read -r _ && exit; kill -s TERM -- -$1; sleep 5; kill -s KILL -- -$1",
    "forgetscope-server-guard",
)


class ServerError(Exception):
    """A server did not start or did not answer; the message quotes the end of its log."""


class Server(ABC):
    """What all test servers can do. `start` after `kill` finds the data of before."""

    @abstractmethod
    def start(self) -> None:
        """Start on loopback and return when the server really answers, else ServerError."""

    @abstractmethod
    def stop(self) -> None:
        """End it in an orderly way; the folder stays."""

    @abstractmethod
    def kill(self) -> None:
        """SIGKILL, as a power cut would end it."""

    def restart(self) -> None:
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class Process:
    """A program of a server; `log` receives its output."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self._command = list(command)
        self.log = log
        self._env = env
        self._stop_signal = stop_signal
        self._popen: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def pid(self) -> int | None:
        return self._popen.pid if self._popen and self.running else None

    def start(self) -> None:
        if self.running:
            raise ServerError(f"{self._command[0]} runs already as process {self.pid}")
        with self.log.open("ab") as log:
            self._popen = _spawn(self._command, self._env, subprocess.DEVNULL, log)
        guard = ["/bin/sh", "-c", *_GUARD, str(self._popen.pid)]
        self._guard = _spawn(guard, None, subprocess.PIPE, subprocess.DEVNULL)

    def stop(self, grace_seconds: float = 20) -> None:
        self._end(self._stop_signal, grace_seconds)

    def kill(self) -> None:
        self._end(signal.SIGKILL, 5)

    def _end(self, first_signal: signal.Signals, grace_seconds: float) -> None:
        if self._popen is None:
            return
        # Taken before the signal: orphans can no longer be found by their parent, and
        # PostgreSQL's and Erlang's children leave the process group.
        family = _family(self._popen.pid) if self.running else []
        if self.running:
            self._popen.send_signal(first_signal)
            if first_signal == signal.SIGKILL:
                _kill(family)
        try:
            self._popen.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        deadline = time.monotonic() + 1
        while any(map(_lives, family)) and time.monotonic() < deadline:
            time.sleep(0.01)
        _kill(family)
        self._popen = None
        self._dismiss_guard()

    def _dismiss_guard(self) -> None:
        if self._guard is not None:
            self._guard.communicate(b"stopped\n")
            self._guard = None


def wait_ready(
    what: str, ready: Callable[[], bool], processes: Sequence[Process], deadline_seconds: float
) -> None:
    """Return when `ready()`; ServerError when a process ends first or the deadline passes."""
    end = time.monotonic() + deadline_seconds
    while not ready():
        dead = [process for process in processes if not process.running]
        if not dead and time.monotonic() < end:
            time.sleep(0.05)
            continue
        reason = "ended while starting" if dead else f"was not ready in {deadline_seconds:.0f} s"
        raise ServerError(f"{what} {reason}\n" + "\n".join(quote(p.log) for p in dead or processes))


def run(
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    timeout_seconds: float = 60,
) -> str:
    """What a command says, both streams; ServerError when it fails."""
    try:
        done = subprocess.run(
            command,
            env=env,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ServerError(f"{command[0]} took more than {timeout_seconds:.0f} s") from error
    if done.returncode != 0:
        raise ServerError(f"{' '.join(command)} failed with {done.returncode}:\n{done.stdout}")
    return done.stdout


def quote(log: Path, lines: int = 20) -> str:
    text = log.read_text(errors="replace") if log.exists() else ""
    return f"--- end of {log}:\n" + "\n".join(text.splitlines()[-lines:])


def _spawn(
    command: Sequence[str], env: Mapping[str, str] | None, stdin: int, output: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env=env,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _family(pid: int) -> list[tuple[int, str]]:
    """The process and all its descendants, each with its start time: a pid alone can be reused."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    family, ahead = [], [pid]
    while ahead:
        member = ahead.pop()
        if stat := _stat(member):
            family.append((member, stat[19]))
        ahead += children.get(member, [])
    return family


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third (state) on; None when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _lives(member: tuple[int, str]) -> bool:
    stat = _stat(member[0])
    return stat is not None and stat[19] == member[1] and stat[0] != "Z"


def _kill(family: Sequence[tuple[int, str]]) -> None:
    for member in family:
        if _lives(member):
            try:
                os.kill(member[0], signal.SIGKILL)
            except ProcessLookupError:
                continue
