"""The doorbell on Celery and RabbitMQ quorum queues.

A message carries a stage key and nothing else, and is acknowledged before anything is done: the
records decide who runs what, so a message that is lost, doubled or late does no harm.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, get_args

import structlog
from celery import Celery, signals
from celery.worker import state
from celery.worker.consumer import Consumer
from kombu import Connection, Exchange
from kombu import Queue as BrokerQueue

from forgetscope.schema.errors import Unavailable
from forgetscope.schema.plan import Queue

__all__ = ["CeleryDoorbell", "celery_app", "serve", "stop"]

_TASK = "forgetscope.ring"
_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 3.0
_QUIET_SECONDS = 5.0
_WAKE_SECONDS = 0.5
_EXCHANGE = Exchange("forgetscope", type="topic", durable=True)
_QUEUE_ARGUMENTS = {
    "x-queue-type": "quorum",
    # Rings that nobody hears must not pile up: the newest are enough, the records know the rest.
    "x-max-length": 10_000,
}

_log = structlog.get_logger(__name__)


def celery_app(broker_url: str) -> Celery:
    """One queue for each service; JSON only, no results, no remote control."""
    app = Celery("forgetscope", broker=broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=False,
        task_queues=[
            BrokerQueue(name, _EXCHANGE, routing_key=name, queue_arguments=_QUEUE_ARGUMENTS)
            for name in get_args(Queue)
        ],
        task_create_missing_queues=False,
        worker_prefetch_multiplier=1,
        # Quorum queues refuse a prefetch shared by all consumers of a channel.
        worker_detect_quorum_queues=True,
        worker_enable_remote_control=False,
        # Concerns late acknowledgement only, which is not used; False would warn.
        worker_cancel_long_running_tasks_on_connection_loss=True,
        broker_connection_timeout=_CONNECT_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_heartbeat=10,
        broker_transport_options={"confirm_publish": True},
    )
    return app


class CeleryDoorbell:
    """Rings by one short connection each: rings are rare, and none is ever found stale.

    After a failure it stays quiet for a few seconds, so that many rings for a broker that is down
    do not add up their waiting.
    """

    def __init__(self, app: Celery, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._quiet_until = clock()

    def ring(self, queue: Queue, key: str) -> None:
        if self._clock() < self._quiet_until:
            _log.debug("doorbell_quiet", queue=queue, stage=key)
            return
        try:
            with _connection(self._app) as connection:
                self._app.send_task(
                    _TASK,
                    args=[key],
                    queue=queue,
                    producer=self._app.amqp.Producer(connection, auto_declare=False),
                    retry=False,
                    ignore_result=True,
                    timeout=_ANSWER_SECONDS,
                    confirm_timeout=_ANSWER_SECONDS,
                )
        except Exception as error:  # noqa: BLE001 - the driver raises AttributeError as well
            self._quiet_until = self._clock() + _QUIET_SECONDS
            _log.warning("doorbell_not_rung", queue=queue, stage=key, reason=repr(error))

    def ping(self) -> None:
        try:
            with _connection(self._app):
                pass
        except Exception as error:
            raise Unavailable(f"the message broker does not answer ({error})") from error


@contextmanager
def _connection(app: Celery) -> Iterator[Connection]:
    """A connection on which no answer is waited for longer than `_ANSWER_SECONDS`."""
    connection = app.connection_for_write()
    try:
        connection.ensure_connection(
            max_retries=1, interval_start=0.1, timeout=2 * _CONNECT_SECONDS
        )
        connection.connection.sock.settimeout(_ANSWER_SECONDS)
        yield connection
        connection.close()
    finally:
        # Drops what is still open without a word to the broker, which may not listen.
        connection.collect(socket_timeout=0.1)


class _Consumer(Consumer):  # type: ignore[misc]
    """Celery's consumer without the 28 queues for delayed tasks, which nobody sends here."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        default_steps: ClassVar[list[str]] = [
            step
            for step in Consumer.Blueprint.default_steps
            if not step.endswith(":DelayedDelivery")
        ]

    def register_with_event_loop(self, hub: Any) -> None:
        super().register_with_event_loop(hub)
        # The loop sees a stop when it wakes, which can otherwise be a heartbeat away.
        hub.call_repeatedly(_WAKE_SECONDS, lambda: None)


def serve(app: Celery, queue: Queue, on_ring: Callable[[str], None], *, name: str) -> int:
    """Call `on_ring` with the stage key of every ring until SIGTERM or `stop`.

    Blocks the main thread; `on_ring` must return at once, for instance by setting an event. A
    broker that is away is waited for. `name` is unique among the workers. Returns the exit code.
    """

    @app.task(name=_TASK, ignore_result=True)  # type: ignore[untyped-decorator]
    def ring(key: str) -> None:
        on_ring(key)

    signals.setup_logging.connect(_leave_logging_alone)
    worker = app.Worker(
        hostname=name,
        queues=[queue],
        pool="solo",
        concurrency=1,
        consumer_cls=_Consumer,
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
        task_events=False,
        redirect_stdouts=False,
        quiet=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def stop() -> None:
    """End `serve` within a second, from any thread; for good, as a process serves once."""
    state.should_stop = 0


def _leave_logging_alone(**_: object) -> None:
    """A receiver of this signal keeps Celery from configuring the process's logs."""
