"""The part of the client that handles baselines."""

from collections.abc import Iterator
from urllib.parse import quote

from forgetscope.client._answers import pages, parse
from forgetscope.client._transport import Transport
from forgetscope.schema.audit import BaselineSide
from forgetscope.schema.baseline import BaselineRequest, BaselineView
from forgetscope.schema.views import Page

__all__ = ["Baselines"]

PATH = "/v1/baselines"


class Baselines:
    """`Client.baselines`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def put(
        self,
        name: str,
        audit_id: str,
        *,
        side: BaselineSide = "candidate",
        replace: bool = False,
    ) -> BaselineView:
        """Name a model of an audit that has succeeded. Raises Conflict when the name stands for
        another model, unless `replace`."""
        request = BaselineRequest(audit=audit_id, side=side)
        response = self._transport.send(
            "PUT",
            _path(name),
            query={"replace": "true" if replace else None},
            content=request.model_dump_json(),
            headers={"Content-Type": "application/json"},
            repeatable=True,
        )
        return parse(response, BaselineView)

    def get(self, name: str) -> BaselineView:
        """One baseline."""
        return parse(self._transport.send("GET", _path(name), repeatable=True), BaselineView)

    def list(self) -> Iterator[BaselineView]:
        """Baselines, newest first, page by page as they are asked for."""
        return pages(self._transport, PATH, Page[BaselineView], {})

    def delete(self, name: str) -> None:
        """Delete a baseline; its audit stays."""
        self._transport.send("DELETE", _path(name), repeatable=False)


def _path(name: str) -> str:
    return f"{PATH}/{quote(name, safe='')}"
