"""The part of the client that handles tasks."""

import json
from collections.abc import Iterator, Mapping
from urllib.parse import quote

import httpx
from pydantic import JsonValue, TypeAdapter

from forgetscope.client._answers import pages, parse
from forgetscope.client._transport import Transport
from forgetscope.schema.custom import CustomTask
from forgetscope.schema.preview import TaskPreview
from forgetscope.schema.views import Page, TaskView

__all__ = ["Tasks"]

# The server reads every row before it answers.
READ_SECONDS = 600.0
PATH = "/v1/tasks"


class Tasks:
    """`Client.tasks`. A definition is a `CustomTask`, or a dict with what a task file holds."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> Iterator[TaskView]:
        """Built-in tasks, then registered ones."""
        return pages(self._transport, PATH, Page[TaskView], {})

    def get(self, name: str) -> TaskView:
        """One task."""
        return parse(self._transport.send("GET", _path(name), repeatable=True), TaskView)

    def register(self, definition: CustomTask | dict[str, object]) -> TaskView:
        """Make a definition known under its name. The same one again changes nothing."""
        return parse(self._post(PATH, definition, {}), TaskView)

    def delete(self, name: str) -> None:
        """Forget a registered task."""
        self._transport.send("DELETE", _path(name), repeatable=False)

    def preview(
        self, name: str, *, params: Mapping[str, JsonValue] | None = None, examples: int = 3
    ) -> TaskPreview:
        """What a task looks like: counts, the first examples of each split, doubts."""
        response = self._transport.send(
            "GET",
            f"{_path(name)}/preview",
            query={"examples": examples, "parameters": json.dumps(dict(params or {}))},
            answer_seconds=READ_SECONDS,
            repeatable=True,
        )
        return parse(response, TaskPreview)

    def preview_definition(
        self, definition: CustomTask | dict[str, object], *, examples: int = 3
    ) -> TaskPreview:
        """The same for a definition; nothing is recorded."""
        return parse(self._post(f"{PATH}/preview", definition, {"examples": examples}), TaskPreview)

    def _post(
        self,
        path: str,
        definition: CustomTask | dict[str, object],
        query: Mapping[str, str | int | None],
    ) -> httpx.Response:
        content = (
            definition.model_dump_json()
            if isinstance(definition, CustomTask)
            else TypeAdapter(dict[str, object]).dump_json(definition).decode()
        )
        return self._transport.send(
            "POST",
            path,
            query=query,
            content=content,
            headers={"Content-Type": "application/json"},
            answer_seconds=READ_SECONDS,
            repeatable=True,
        )


def _path(name: str) -> str:
    return f"{PATH}/{quote(name, safe='')}"
