"""Server-sent events from the records. The only asynchronous part of the gateway."""

from collections.abc import AsyncIterator

import anyio
import structlog
from anyio.to_thread import run_sync
from sse_starlette import EventSourceResponse, ServerSentEvent

from forgetscope.core.lifecycle import OVER
from forgetscope.ports.records import Records
from forgetscope.schema.errors import NotFound, Unavailable
from forgetscope.schema.views import EventView

__all__ = ["event_stream"]

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.3
PING_SECONDS = 15
BATCH = 500


def event_stream(records: Records, experiment_id: str, *, after: int) -> EventSourceResponse:
    """All events with id > `after`, as they come. The client reconnects when it breaks off."""
    return EventSourceResponse(_messages(records, experiment_id, after), ping=PING_SECONDS)


async def _messages(
    records: Records, experiment_id: str, after: int
) -> AsyncIterator[ServerSentEvent]:
    def look() -> tuple[bool, tuple[EventView, ...]]:
        # The state first: an experiment that is over by then has no later event.
        over = records.experiment(experiment_id).state in OVER
        return over, records.events(experiment_id, after=after, limit=BATCH)

    while True:
        try:
            over, events = await run_sync(look)
        except (NotFound, Unavailable) as error:
            log.info("events.ended", experiment=experiment_id, reason=str(error))
            return
        for event in events:
            yield ServerSentEvent(id=str(event.id), event=event.type, data=event.model_dump_json())
            after = event.id
        if over and len(events) < BATCH:
            return
        if not events:
            await anyio.sleep(POLL_SECONDS)
