"""A place of its own for each worker of a host, so that several may share one folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from forgetscope.schema.plan import Queue

__all__ = ["worker_slot"]


@contextmanager
def worker_slot(home: Path, queue: Queue) -> Iterator[str]:
    """The first free name `train-0`, `train-1`, … below `home`, held while the worker lives.

    The operating system frees it when the process ends, however it ends.
    """
    folder = home / "slots"
    folder.mkdir(parents=True, exist_ok=True)
    for number in count():
        name = f"{queue}-{number}"
        with (folder / name).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield name
            return
