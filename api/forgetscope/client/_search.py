"""The part of the client that handles searches."""

import uuid
from collections.abc import Callable, Iterator
from urllib.parse import quote

from forgetscope.client._answers import pages, parse, send_spec
from forgetscope.client._events import follow
from forgetscope.client._transport import Transport
from forgetscope.schema.search import (
    SearchEventView,
    SearchPlan,
    SearchSpec,
    SearchState,
    SearchSubmitted,
    SearchSummary,
    SearchView,
)
from forgetscope.schema.views import Page

__all__ = ["Searches"]

# The server plans every round before it answers.
PLAN_SECONDS = 600.0
PATH = "/v1/searches"


class Searches:
    """`Client.searches`. A specification is a `SearchSpec`, or a dict with what its file holds."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(
        self, spec: SearchSpec | dict[str, object], *, idempotency_key: str | None = None
    ) -> str:
        """Submit and return the id. A fresh key makes repetitions after lost answers safe."""
        key = idempotency_key or str(uuid.uuid4())
        answer = send_spec(
            self._transport, PATH, spec, idempotency_key=key, answer_seconds=PLAN_SECONDS
        )
        return parse(answer, SearchSubmitted).id

    def plan(self, spec: SearchSpec | dict[str, object]) -> SearchPlan:
        """What submitting would do on the longest way; nothing is recorded."""
        answer = send_spec(self._transport, PATH, spec, dry_run=True, answer_seconds=PLAN_SECONDS)
        return parse(answer, SearchPlan)

    def get(self, search_id: str) -> SearchView:
        """One search."""
        return parse(self._transport.send("GET", _path(search_id), repeatable=True), SearchView)

    def list(self, *, state: SearchState | None = None) -> Iterator[SearchSummary]:
        """Searches, newest first, page by page as they are asked for."""
        return pages(self._transport, PATH, Page[SearchSummary], {"state": state})

    def cancel(self, search_id: str) -> SearchView:
        """End a search and the experiment that it waits for."""
        response = self._transport.send("POST", _path(search_id, "cancel"), repeatable=False)
        return parse(response, SearchView)

    def delete(self, search_id: str) -> None:
        """Delete a search that is over; the experiments of its rounds stay."""
        self._transport.send("DELETE", _path(search_id), repeatable=False)

    def events(self, search_id: str, *, after: int = 0) -> Iterator[SearchEventView]:
        """Events as they happen, each once, until the search is over; lost connections are opened
        again."""
        return follow(
            self._transport,
            _path(search_id, "events"),
            after=after,
            is_over=lambda: self.get(search_id).state != "running",
            kind=SearchEventView,
        )

    def wait(
        self, search_id: str, *, on_event: Callable[[SearchEventView], None] | None = None
    ) -> SearchView:
        """Wait until the search is over, whichever way."""
        for event in self.events(search_id):
            if on_event is not None:
                on_event(event)
        return self.get(search_id)


def _path(*parts: str) -> str:
    return "/".join([PATH, *(quote(part, safe="") for part in parts)])
