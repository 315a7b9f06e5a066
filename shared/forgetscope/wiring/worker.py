"""One worker of one service."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import structlog

from forgetscope.app.work import work
from forgetscope.schema.plan import Queue
from forgetscope.wiring.logs import configure_logs
from forgetscope.wiring.process_runner import ProcessRunner
from forgetscope.wiring.settings import Settings
from forgetscope.wiring.slots import worker_slot
from forgetscope.wiring.wires import build_platform

__all__ = ["run_worker", "worker_is_alive"]

log = structlog.get_logger(__name__)

# The loop passes at least once per poll interval, and once per heartbeat while a stage runs.
ALIVE_WITHIN_SECONDS = 60.0


def run_worker(queue: Queue, settings: Settings) -> None:
    """Serve a queue until SIGTERM or SIGINT; a claimed stage is given back unharmed.

    Embedded, the loop looks for work by itself. Distributed, it runs beside a Celery worker whose
    only task rings the bell.
    """
    configure_logs(settings.log_level)
    home = settings.home_dir.resolve()
    with worker_slot(home, queue) as slot:
        worker = f"{socket.gethostname()}-{os.getpid()}"
        structlog.contextvars.bind_contextvars(service=queue, worker=worker)
        log.info("worker.started", wiring=settings.wiring)
        _run(queue, slot, worker, settings)
        log.info("worker.stopped")


def _run(queue: Queue, slot: str, worker: str, settings: Settings) -> None:
    home = settings.home_dir.resolve()
    bell, stop = threading.Event(), threading.Event()
    platform = build_platform(settings)
    runner = ProcessRunner(queue, slot, home / "logs" / f"{slot}-stages.log")
    beat = _alive_file(queue, settings)
    beat.parent.mkdir(parents=True, exist_ok=True)

    def loop() -> None:
        work(platform, queue, worker, runner, bell=bell, stop=stop, alive=beat.touch)

    if settings.wiring == "embedded":

        def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
            stop.set()
            bell.set()

        signal.signal(signal.SIGTERM, ask_to_stop)
        signal.signal(signal.SIGINT, ask_to_stop)
        loop()
    else:
        _serve_celery(queue, settings, worker, bell=bell, stop=stop, loop=loop)


def _serve_celery(
    queue: Queue,
    settings: Settings,
    worker: str,
    *,
    bell: threading.Event,
    stop: threading.Event,
    loop: Callable[[], None],
) -> None:
    from forgetscope.adapters.queue_celery import celery_app, serve

    thread = threading.Thread(target=loop, name="work")
    thread.start()
    try:
        serve(celery_app(settings.broker_url), queue, lambda _key: bell.set(), name=worker)
    finally:
        stop.set()
        bell.set()
        thread.join()


def _alive_file(queue: Queue, settings: Settings) -> Path:
    return settings.home_dir.resolve() / "alive" / queue


def worker_is_alive(queue: Queue, settings: Settings) -> bool:
    """Whether the worker of this host has passed its loop lately."""
    try:
        age = time.time() - _alive_file(queue, settings).stat().st_mtime
    except FileNotFoundError:
        return False
    return age < ALIVE_WITHIN_SECONDS
