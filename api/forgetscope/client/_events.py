"""Server-sent events: the wire format, and following a stream across lost connections."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import httpx
from pydantic import ValidationError

from forgetscope.client._errors import BadAnswer, ServerFailed, raise_for_problem
from forgetscope.client._transport import AWAY, MAX_WAIT_SECONDS, Transport
from forgetscope.schema.search import SearchEventView
from forgetscope.schema.views import EventView

__all__ = ["data_of", "follow"]

E = TypeVar("E", EventView, SearchEventView)

# The server sends a comment every 15 seconds; more than two missing ones mean a dead connection.
SILENCE_SECONDS = 40.0


def data_of(lines: Iterable[str]) -> Iterator[str]:
    """The data of each complete event (WHATWG HTML, section 9.2). A last event that is not ended
    by a blank line was cut off, and is dropped."""
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield "\n".join(data)
            data = []
            continue
        name, _, value = line.partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))


def follow(
    transport: Transport, path: str, *, after: int, is_over: Callable[[], bool], kind: type[E]
) -> Iterator[E]:
    """Every event with id > `after`, once each, in order, until what they are of is over.

    A connection that breaks is opened again after the last event received. Raises Unreachable
    when that fails `retries` times in a row, and what a refusal stands for.
    """
    failures = 0
    while True:
        silent = True
        try:
            with _stream(transport, path, after) as lines:
                for data in data_of(lines):
                    event = kind.model_validate_json(data)
                    silent, failures, after = False, 0, event.id
                    yield event
        except (httpx.TransportError, ServerFailed) as error:
            failures += 1
            if isinstance(error, ServerFailed) and error.problem.status not in AWAY:
                raise
            if failures > transport.retries:
                if isinstance(error, ServerFailed):
                    raise
                raise transport.unreachable(error) from error
            transport.sleep(min(0.2 * 2**failures, MAX_WAIT_SECONDS))
            continue
        except ValidationError as error:
            raise BadAnswer(f"an event of {path} is not as this client knows it") from error
        # A stream also ends when its server shuts down: only an empty one of something that is
        # over was the last.
        if silent:
            if is_over():
                return
            transport.sleep(0.2)


@contextmanager
def _stream(transport: Transport, path: str, after: int) -> Iterator[Iterator[str]]:
    with transport.http.stream(
        "GET",
        path,
        headers={"Accept": "text/event-stream", "Last-Event-ID": str(after)},
        timeout=httpx.Timeout(transport.http.timeout.connect, read=SILENCE_SECONDS),
    ) as response:
        if response.is_error:
            response.read()
            raise_for_problem(response)
        yield response.iter_lines()
