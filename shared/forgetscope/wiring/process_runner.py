"""The runner port over a warm child process in a process group of its own."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path

from forgetscope.ports.records import Claim
from forgetscope.ports.runner import Died, Message
from forgetscope.schema.plan import Queue
from forgetscope.wiring.messages import Order, read_word, to_message, write

__all__ = ["ALLOCATOR", "ProcessRunner"]

LOG_TAIL_BYTES = 16_384
LOG_LIMIT_BYTES = 64 << 20
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
"""For glibc. By default it hands the memory of a freed graph back and faults it in again for the
next one, which made a Hessian-vector product 5 % slower; now a stage process keeps up to 1 GiB.
Blocks above 32 MiB, the most that glibc itself would choose, are still handed back."""


class ProcessRunner:
    """Runs stages of one service in a child that stays warm (imports, a loaded model).

    Killing the whole group is how a stage is cancelled; an out-of-memory kill of the child leaves
    the worker alive. The child writes its log to `log_path`; `slot` names its cache.
    """

    def __init__(self, service: Queue, slot: str, log_path: Path) -> None:
        self._service = service
        self._slot = slot
        self._log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._log_start = 0
        log_path.parent.mkdir(parents=True, exist_ok=True)

    def warm(self) -> None:
        """See Runner."""
        if self._process is None or self._process.poll() is not None:
            self.stop()
            self._spawn()

    def start(self, claim: Claim) -> None:
        """See Runner."""
        self.warm()
        if self._process is None or self._process.stdin is None:
            raise RuntimeError("the stage process has no standard input")
        self._log_start = self._log_path.stat().st_size
        order = Order(
            key=claim.key,
            kind=claim.kind,
            params=claim.params,
            inputs=claim.inputs,
            resume=claim.resume,
        )
        try:
            self._process.stdin.write(write(order))
            self._process.stdin.flush()
        except OSError:
            return  # it died between poll and write: the reader reports it

    def _spawn(self) -> None:
        if self._log_path.exists() and self._log_path.stat().st_size > LOG_LIMIT_BYTES:
            self._log_path.rename(self._log_path.with_suffix(".log.1"))
        read_fd, write_fd = os.pipe()
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [
                    sys.executable,
                    "-m",
                    "forgetscope.wiring.child",
                    self._service,
                    self._slot,
                    str(write_fd),
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(write_fd,),
                start_new_session=True,
                env={**ALLOCATOR, **os.environ},
            )
        os.close(write_fd)
        self._lines = queue.Queue()
        threading.Thread(target=_read, args=(read_fd, self._lines), daemon=True).start()

    def poll(self, seconds: float) -> Message | None:
        """See Runner."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            return None
        if line is not None:
            return to_message(read_word(line))
        process = self._process
        code = _wait(process) if process is not None else None
        self.stop()
        return Died(_reason(code))

    def stop(self) -> None:
        """See Runner."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        process.wait()

    def log_tail(self) -> str:
        """See Runner."""
        with self._log_path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - LOG_TAIL_BYTES))
            return log.read().decode(errors="replace").replace("\x00", "�")


def _read(fd: int, lines: "queue.Queue[bytes | None]") -> None:
    with os.fdopen(fd, "rb") as pipe:
        for line in pipe:
            lines.put(line)
    lines.put(None)


def _wait(process: "subprocess.Popen[bytes]") -> int | None:
    """The exit status, if it comes soon after the pipe has closed."""
    try:
        return process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return None


def _reason(code: int | None) -> str:
    if code is None:
        return "unknown"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit status {code}"
