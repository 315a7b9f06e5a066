"""The stage process: gets orders on standard input, runs stage functions, reports on one pipe.

It never touches the records. It ends itself when its worker is gone (standard input closes), so
nothing is orphaned, and it may be killed at any moment.
"""

import mimetypes
import os
import queue
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import structlog
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_exponential

from forgetscope.core.identity import seed_of
from forgetscope.ports.stage import Machine, StageTable, Work
from forgetscope.ports.store import Store
from forgetscope.schema.base import Value
from forgetscope.schema.errors import CorruptBlob, ForgetScopeError, NotFound, Unavailable
from forgetscope.schema.plan import Queue
from forgetscope.schema.stage import BlobRef, Breach, Failure, Manifest, Progress
from forgetscope.wiring.cache import InputCache
from forgetscope.wiring.logs import configure_logs
from forgetscope.wiring.messages import (
    BreachWord,
    DoneWord,
    FailedWord,
    Order,
    ProgressWord,
    SavedWord,
    read_order,
    write,
)
from forgetscope.wiring.settings import Settings
from forgetscope.wiring.tables import stage_table
from forgetscope.wiring.wires import build_store

__all__ = ["main"]

log = structlog.get_logger(__name__)

PROGRESS_EVERY_SECONDS = 0.5

_patient = retry(
    retry=retry_if_exception_type(Unavailable),
    wait=wait_exponential(multiplier=0.2, max=5),
    stop=stop_after_delay(300),
    reraise=True,
)


class ProcessIO:
    """`forgetscope.ports.stage.StageIO` over the object store and a scratch folder."""

    def __init__(
        self,
        order: Order,
        store: Store,
        cache: InputCache,
        folder: Path,
        machine: Machine,
        *,
        say: Callable[[Value], None],
    ) -> None:
        self.machine = machine
        self.output = folder / "output"
        self.scratch = folder / "scratch"
        self.output.mkdir()
        self.scratch.mkdir()
        self._order = order
        self._store = store
        self._cache = cache
        self._folder = folder
        self._say = say
        self._started = time.monotonic()
        self._first: float | None = None
        self._next = 0.0

    def input(self, role: str) -> Path:
        """See StageIO."""
        return _patient(self._cache.folder)(self._order.inputs[role])

    def input_file(self, role: str, path: str) -> Path:
        """See StageIO."""
        manifest = self._order.inputs[role]
        alone = manifest.model_copy(update={"files": {path: manifest.files[path]}})
        return _patient(self._cache.folder)(alone) / path

    def progress(self, done: float, total: float, unit: str, **metrics: float) -> None:
        """See StageIO."""
        now = time.monotonic()
        if self._first is None:
            self._first, self._started = done, now
        if now < self._next and done < total:
            return
        self._next = now + PROGRESS_EVERY_SECONDS
        gained = done - self._first
        eta = (now - self._started) / gained * (total - done) if gained > 0 else None
        finite = {k: v for k, v in metrics.items() if abs(v) < float("inf")}
        self._say(
            ProgressWord(
                progress=Progress(
                    done=done, total=total, unit=unit, eta_seconds=eta, metrics=finite
                )
            )
        )

    def breach(self, breach: Breach) -> None:
        """See StageIO."""
        self._say(BreachWord(breach=breach))

    def save_resume(self, folder: Path) -> None:
        """See StageIO."""
        self._say(SavedWord(manifest=self.stored(folder, {})))

    def resume(self) -> Path | None:
        """See StageIO. A point that cannot be read is no point: the stage starts anew."""
        manifest = self._order.resume
        if manifest is None:
            return None
        target = self._folder / "resume"
        try:
            for path, blob in manifest.files.items():
                _patient(self._store.fetch)(blob, target / path)
        except (NotFound, CorruptBlob) as error:
            log.warning("resume.unreadable", error=str(error))
            return None
        return target

    def stored(self, folder: Path, meta: dict[str, object]) -> Manifest:
        """Put every file of a folder into the store."""
        files: dict[str, BlobRef] = {}
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            files[path.relative_to(folder).as_posix()] = _patient(self._store.put)(path, media_type)
        return Manifest.model_validate(
            {"stage": self._order.key, "kind": self._order.kind, "files": files, "meta": meta}
        )


def _failure_of(error: BaseException) -> Failure:
    if isinstance(error, ForgetScopeError):
        return Failure(
            code=error.code,
            detail=error.detail[:4000],
            where=error.where,
            hint=error.hint,
            permanent=error.permanent,
        )
    return Failure(code="internal-error", detail=f"{type(error).__name__}: {error}"[:4000])


def _run(order: Order, table: StageTable, io: ProcessIO, say: Callable[[Value], None]) -> None:
    work = Work(order.key, order.kind, order.params, order.inputs, seed_of(order.key))
    meta = table[order.kind](work, io)
    say(DoneWord(manifest=io.stored(io.output, dict(meta))))


def main(service: Queue, slot: str, out_fd: int) -> None:
    """Serve orders until standard input closes."""
    settings = Settings()
    configure_logs(settings.log_level)
    out = os.fdopen(out_fd, "wb", buffering=0)
    orders: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()

    def say(value: Value) -> None:
        out.write(write(value))

    try:
        store = build_store(settings)
        table = stage_table(service, settings, store)
    except Exception as error:  # noqa: BLE001 - a library that is missing or broken, for one
        traceback.print_exc()
        failure = _failure_of(error)
        said = f"the stage process cannot start: {failure.detail}"
        hint = failure.hint or "Look at its log: a library may be missing or broken."
        say(FailedWord(failure=failure.model_copy(update={"detail": said[:4000], "hint": hint})))
        sys.stderr.flush()
        os._exit(1)  # an ordinary exit would wait for the thread that reads, and abort
    machine = Machine(
        device=settings.accelerator,
        processes=settings.train_processes,
        threads=settings.torch_threads,
        batch_tokens=settings.batch_tokens,
        resume_seconds=settings.resume_seconds,
    )
    work_dir = settings.home_dir.resolve() / "work"
    work_dir.mkdir(parents=True, exist_ok=True)
    for left_by_a_kill in work_dir.glob(f"{slot}-*"):
        shutil.rmtree(left_by_a_kill, ignore_errors=True)
    cache = InputCache(work_dir / f"inputs-{slot}", store, settings.cache_gib)
    while True:
        order = read_order(orders.get())
        folder = Path(tempfile.mkdtemp(prefix=f"{slot}-{os.getpid()}-", dir=work_dir))
        try:
            _run(order, table, ProcessIO(order, store, cache, folder, machine, say=say), say)
        except Exception as error:  # noqa: BLE001 - whatever a stage raises is its outcome
            traceback.print_exc()
            say(FailedWord(failure=_failure_of(error)))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            sys.stderr.flush()


def _listen(orders: "queue.Queue[bytes]") -> None:
    for line in sys.stdin.buffer:
        orders.put(line)
    # The worker is gone: so are we, in whatever we are, with everything we started.
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))  # type: ignore[arg-type]
