"""Server-sent events from the records. The only asynchronous part of the gateway."""

from collections.abc import AsyncIterator, Callable, Sequence

import anyio
import structlog
from anyio.to_thread import run_sync
from sse_starlette import EventSourceResponse, ServerSentEvent

from forgetscope.core.lifecycle import OVER
from forgetscope.ports.records import Records
from forgetscope.schema.errors import NotFound, Unavailable
from forgetscope.schema.search import SearchEventView
from forgetscope.schema.views import EventView

__all__ = ["Look", "event_stream", "experiment_look"]

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.3
PING_SECONDS = 15
BATCH = 500


Look = Callable[[int], tuple[bool, Sequence[EventView | SearchEventView]]]
"""Events with a higher id than the one given, in order, and whether none will come after them."""


def event_stream(look: Look, *, after: int) -> EventSourceResponse:
    """All events with id > `after`, as they come. The client reconnects when it breaks off."""
    return EventSourceResponse(_messages(look, after), ping=PING_SECONDS)


def experiment_look(records: Records, experiment_id: str) -> Look:
    """Looks for events of an experiment or audit."""

    def look(after: int) -> tuple[bool, tuple[EventView, ...]]:
        # The state first: what is over by then has no later event.
        over = records.state(experiment_id) in OVER
        events = records.events(experiment_id, after=after, limit=BATCH)
        return over and len(events) < BATCH, events

    return look


async def _messages(look: Look, after: int) -> AsyncIterator[ServerSentEvent]:
    while True:
        try:
            over, events = await run_sync(look, after)
        except (NotFound, Unavailable) as error:
            log.info("events.ended", reason=str(error))
            return
        for event in events:
            yield ServerSentEvent(id=str(event.id), event=event.type, data=event.model_dump_json())
            after = event.id
        if over:
            return
        if not events:
            await anyio.sleep(POLL_SECONDS)
