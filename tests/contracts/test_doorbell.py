"""What every doorbell promises, and what the one on RabbitMQ promises beyond."""

import contextlib
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from amqp.exceptions import PreconditionFailed
from celery import Celery

from forgetscope.adapters.queue_celery import CeleryDoorbell, celery_app
from forgetscope.adapters.queue_poll import PollDoorbell
from forgetscope.ports.queue import Doorbell
from forgetscope.schema.errors import Unavailable

pytest_plugins = ["servers_fixtures"]

NOWHERE = "amqp://nobody:nothing@127.0.0.1:1/none"
KEY = "ab" * 32

_WORKER = """
import sys, threading, time
from forgetscope.adapters.queue_celery import celery_app, serve, stop

def on_ring(key):
    print(key, flush=True)
    if key == "stop":
        threading.Thread(target=stop).start()

sys.exit(serve(celery_app(sys.argv[1]), sys.argv[2], on_ring, name=sys.argv[3]))
"""


class Listener:
    """A worker process that prints what it hears."""

    def __init__(self, url: str, queue: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, url, queue, f"{queue}@{uuid.uuid4().hex}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def hears(self, seconds: float) -> str:
        """The next key within so many seconds, or ''."""
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], seconds)
        return self.process.stdout.readline().decode().strip() if readable else ""

    def end(self, seconds: float) -> int:
        return self.process.wait(seconds)


@pytest.fixture
def app(rabbitmq: Any) -> Celery:
    return celery_app(rabbitmq.create_vhost(f"doorbell-{uuid.uuid4().hex}"))


@pytest.fixture
def listen() -> Iterator[Callable[[str, str], Listener]]:
    started: list[Listener] = []

    def start(url: str, queue: str) -> Listener:
        started.append(Listener(url, queue))
        return started[-1]

    yield start
    for listener in started:
        listener.process.kill()
        listener.process.communicate()


@pytest.fixture(params=["poll", "celery"])
def doorbell(request: pytest.FixtureRequest) -> Doorbell:
    if request.param == "poll":
        return PollDoorbell()
    return CeleryDoorbell(request.getfixturevalue("app"))


def test_every_queue_can_be_rung_and_the_bell_answers(doorbell: Doorbell) -> None:
    for queue in ("train", "evaluate", "analyse"):
        doorbell.ring(queue, KEY)
    doorbell.ping()


def test_a_ring_reaches_the_worker_of_its_queue_and_no_other(
    app: Celery, listen: Callable[[str, str], Listener]
) -> None:
    train, evaluate = (listen(app.conf.broker_url, queue) for queue in ("train", "evaluate"))
    bell = CeleryDoorbell(app)
    bell.ring("train", KEY)
    bell.ring("evaluate", "cd" * 32)
    assert train.hears(20) == KEY
    assert evaluate.hears(20) == "cd" * 32
    assert train.hears(0.5) == ""


def test_a_ring_before_any_worker_lives_is_heard_later(
    app: Celery, listen: Callable[[str, str], Listener]
) -> None:
    CeleryDoorbell(app).ring("analyse", KEY)
    assert listen(app.conf.broker_url, "analyse").hears(20) == KEY


def test_the_queues_are_quorum_queues(app: Celery) -> None:
    CeleryDoorbell(app).ring("train", KEY)
    with app.connection_for_write() as connection:
        channel = connection.channel()
        with pytest.raises(PreconditionFailed, match=r"x-queue-type.*current is 'quorum'"):
            channel.queue_declare(
                "train",
                durable=True,
                auto_delete=False,
                arguments={"x-queue-type": "classic", "x-max-length": 10_000},
            )


def test_no_queues_for_delayed_messages_are_made(
    app: Celery, listen: Callable[[str, str], Listener]
) -> None:
    listener = listen(app.conf.broker_url, "train")
    CeleryDoorbell(app).ring("train", KEY)
    assert listener.hears(20) == KEY
    with app.connection_for_write() as connection:
        channel = connection.channel()
        with pytest.raises(connection.channel_errors, match="NOT_FOUND"):
            channel.queue_declare("celery_delayed_0", passive=True)


def test_a_worker_ends_soon_after_sigterm(
    app: Celery, listen: Callable[[str, str], Listener]
) -> None:
    listener = listen(app.conf.broker_url, "train")
    CeleryDoorbell(app).ring("train", KEY)
    assert listener.hears(20) == KEY
    listener.process.send_signal(signal.SIGTERM)
    assert listener.end(5) == 0


def test_a_worker_can_be_stopped_by_another_of_its_threads(
    app: Celery, listen: Callable[[str, str], Listener]
) -> None:
    listener = listen(app.conf.broker_url, "train")
    CeleryDoorbell(app).ring("train", "stop")
    assert listener.hears(20) == "stop"
    assert listener.end(5) == 0


def test_a_broker_killed_and_restarted_is_found_again(
    rabbitmq: Any, app: Celery, listen: Callable[[str, str], Listener]
) -> None:
    now = [0.0]
    bell = CeleryDoorbell(app, clock=lambda: now[0])
    listener = listen(app.conf.broker_url, "train")
    bell.ring("train", KEY)
    assert listener.hears(20) == KEY
    # RabbitMQ 3.10 loses a quorum queue for ever when killed within a second or two of its birth
    # ("leader not known", rabbitmq-server issue 15725).
    time.sleep(5)
    rabbitmq.kill()
    try:
        began = time.monotonic()
        bell.ring("train", "lost")
        assert time.monotonic() - began < 8
        with pytest.raises(Unavailable):
            bell.ping()
    finally:
        rabbitmq.start()
    # Its queue may not have a leader yet, so the first rings may be lost, as a sweep's would.
    for now[0] in range(100, 1000, 100):
        bell.ring("train", "cd" * 32)
        if heard := listener.hears(5):
            break
    assert heard == "cd" * 32


def test_a_worker_ends_on_sigterm_while_it_waits_for_a_broker(
    listen: Callable[[str, str], Listener],
) -> None:
    listener = listen(NOWHERE, "train")
    time.sleep(4)
    listener.process.send_signal(signal.SIGTERM)
    assert listener.end(10) == 0


def test_a_bell_whose_broker_is_down_is_quiet_for_a_while_and_then_tries_again() -> None:
    now = [0.0]
    tried: list[float] = []
    app = celery_app(NOWHERE)
    original = app.connection_for_write

    def counted(*args: Any, **options: Any) -> Any:
        tried.append(now[0])
        return original(*args, **options)

    app.connection_for_write = counted
    bell = CeleryDoorbell(app, clock=lambda: now[0])
    for now[0] in (0.0, 1.0, 4.9, 5.1):
        bell.ring("train", KEY)
    assert tried == [0.0, 5.1]


class Mute:
    """Passes a connection on to the broker, and `answers` pieces of its replies back; then it
    keeps silent with the connection open, as behind a network that drops packets."""

    def __init__(self, host: str, port: int, answers: int) -> None:
        self._target, self._answers = (host, port), answers
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._open: list[socket.socket] = [self._server]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(self._target)
                self._open += [near, far]
                for source, sink, pieces in ((near, far, 10**6), (far, near, self._answers)):
                    threading.Thread(
                        target=self._pass, args=(source, sink, pieces), daemon=True
                    ).start()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket, pieces: int) -> None:
        with contextlib.suppress(OSError):
            for _ in range(pieces):
                sink.sendall(source.recv(65536))

    def close(self) -> None:
        for item in self._open:
            item.close()


@pytest.mark.parametrize("answers", [0, 4, 8])
def test_a_ring_returns_though_the_broker_falls_silent_at_any_point(
    app: Celery, answers: int
) -> None:
    with app.connection_for_write() as connection:
        host, port = connection.hostname, connection.port
    mute = Mute(host, port, answers)
    try:
        bell = CeleryDoorbell(
            celery_app(app.conf.broker_url.replace(f":{port}/", f":{mute.port}/"))
        )
        began = time.monotonic()
        bell.ring("train", KEY)
        assert time.monotonic() - began < 12
    finally:
        mute.close()
