"""Uploads as temporary files, checked by a process of its own."""

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from forgetscope.adapters._upload_check import Answer, Limits, Order
from forgetscope.ports.inbox import Arrival, Contents
from forgetscope.schema.errors import BadRow, ForgetScopeError, TooLarge, Unavailable
from forgetscope.schema.views import DatasetFormat

__all__ = ["FileInbox", "Limits"]

# Each may take the memory of the limits.
CHECKS_AT_ONCE = 2
WAIT_SECONDS = 60.0


class FileInbox:
    """`forgetscope.ports.inbox.Inbox` in a folder.

    An arriving file is locked while its process lives, so what a killed one left behind is known
    by its free lock; it is removed when the next inbox is made over the folder.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits
        self._checks = threading.BoundedSemaphore(CHECKS_AT_ONCE)
        for left in folder.glob("*.upload"):
            _remove_abandoned(left)

    @contextmanager
    def arrival(self) -> Iterator[Arrival]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            stream, path = _locked_file(self._folder)
        except OSError as error:
            raise _disk(error) from error
        try:
            yield _FileArrival(stream, path, self._limits, self._checks)
        finally:
            path.unlink(missing_ok=True)
            stream.close()


class _FileArrival:
    def __init__(
        self, stream: BinaryIO, path: Path, limits: Limits, checks: threading.BoundedSemaphore
    ) -> None:
        self.path = path
        self._stream = stream
        self._limits = limits
        self._checks = checks
        self._sha256 = hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._sha256.hexdigest()

    def write(self, piece: bytes) -> None:
        self._sha256.update(piece)
        left = memoryview(piece)
        try:
            while left:
                left = left[self._stream.write(left) :]
        except OSError as error:
            raise _disk(error) from error

    def contents(self, name: str, format: DatasetFormat) -> Contents:
        order = Order(path=self.path, name=name, format=format, limits=self._limits)
        if not self._checks.acquire(timeout=WAIT_SECONDS):
            raise Unavailable("other uploads are being checked", hint="Upload it again later.")
        try:
            answer = _ask(order)
        finally:
            self._checks.release()
        if answer.code is None:
            return Contents(answer.rows, answer.columns)
        kind: type[ForgetScopeError] = TooLarge if answer.code == TooLarge.code else BadRow
        raise kind(answer.detail, where=answer.where, hint=answer.hint)


def _ask(order: Order) -> Answer:
    command = [sys.executable, "-m", "forgetscope.adapters._upload_check", order.model_dump_json()]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=2 * order.limits.seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode < 0:
        return Answer(
            code=TooLarge.code,
            detail="to read its rows takes more memory or time than is allowed",
            where=order.name,
            hint="Upload it as several data sets, or as JSONL.",
        )
    if done.returncode:
        raise ForgetScopeError(f"the check of an upload failed: {done.stderr[-1000:]!r}")
    return Answer.model_validate_json(done.stdout)


def _locked_file(folder: Path) -> tuple[BinaryIO, Path]:
    """A new file that this process holds locked. Every write goes to the file at once."""
    while True:
        number, name = tempfile.mkstemp(dir=folder, suffix=".upload")
        stream = os.fdopen(number, "wb", buffering=0)
        fcntl.flock(number, fcntl.LOCK_EX)
        if os.fstat(number).st_nlink:
            return stream, Path(name)
        stream.close()  # another process that cleans up was quicker than the lock


def _remove_abandoned(path: Path) -> None:
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
    except (BlockingIOError, FileNotFoundError):
        return


def _disk(error: OSError) -> Unavailable:
    return Unavailable(f"the disk does not take the upload: {error.strerror or error}")
