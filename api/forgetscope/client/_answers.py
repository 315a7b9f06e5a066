"""Answers become values of the schema."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from forgetscope.client._errors import BadAnswer
from forgetscope.client._transport import Transport
from forgetscope.schema.views import Page

__all__ = ["pages", "parse"]

T = TypeVar("T", bound=BaseModel)


def parse(response: httpx.Response, model: type[T]) -> T:
    """Raises BadAnswer."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        raise BadAnswer(
            f"the answer of {response.request.url} is not as this client knows it: is this a "
            f"ForgetScope server of this version? ({error.error_count()} fields differ)"
        ) from error


def pages(
    transport: Transport, path: str, page: type[Page[T]], query: Mapping[str, str | None]
) -> Iterator[T]:
    """The items of a list, page by page as they are asked for."""
    cursor: str | None = None
    while True:
        asked: dict[str, str | int | None] = {**query, "cursor": cursor}
        got = parse(transport.send("GET", path, query=asked, repeatable=True), page)
        yield from got.items
        cursor = got.next_cursor
        if cursor is None:
            return
