"""Specifications go out, and answers become values of the schema."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from forgetscope.client._errors import BadAnswer
from forgetscope.client._transport import Transport
from forgetscope.schema.views import Page

__all__ = ["pages", "parse", "send_spec"]

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


def send_spec(
    transport: Transport,
    path: str,
    spec: BaseModel | dict[str, object],
    *,
    idempotency_key: str | None = None,
    dry_run: bool = False,
    answer_seconds: float | None = None,
) -> httpx.Response:
    """POST a specification, which may be a dict with what its file holds."""
    content = (
        spec.model_dump_json()
        if isinstance(spec, BaseModel)
        else TypeAdapter(dict[str, object]).dump_json(spec).decode()
    )
    headers = {"Content-Type": "application/json"}
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    return transport.send(
        "POST",
        path,
        query={"dry_run": "true" if dry_run else None},
        content=content,
        headers=headers,
        answer_seconds=answer_seconds,
        repeatable=True,
    )


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
