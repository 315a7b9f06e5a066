"""What a request must be before an endpoint sees it: known parameters, plain JSON."""

import json
import math
from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.routing import APIRoute

from forgetscope.api.errors import MalformedBody, UnsupportedMediaType
from forgetscope.schema.errors import InvalidInput

__all__ = ["StrictRoute", "media_type_of", "parse_json"]

MAX_DEPTH = 64
MAX_EXACT_INTEGER = 2**53  # RFC 7493 section 2.2: beyond it, readers lose digits


class StrictRoute(APIRoute):
    """Refuses unknown and repeated query parameters, and bodies that are not I-JSON.

    A misspelt parameter would otherwise silently mean the default. A body that an endpoint reads
    itself, as a stream, is left to it: `forgetscope.api.uploads`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        known = [p.alias for p in get_flat_dependant(self.dependant).query_params]
        takes_body = self.body_field is not None

        async def strict(request: Request) -> Response:
            _check_query(request, known)
            if takes_body:
                _check_media_type(request)
                parsed = _Parsed(request.scope, request.receive)
                parsed.parsed = parse_json(await parsed.body())
                request = parsed
            return await handle(request)

        return strict


class _Parsed(Request):
    parsed: object = None

    async def json(self) -> object:
        return self.parsed


def _check_query(request: Request, known: list[str]) -> None:
    for name in request.query_params:
        if name not in known:
            raise InvalidInput(
                f"there is no query parameter {name[:100]!r}",
                hint=f"Possible: {', '.join(known) or 'none'}.",
            )
        if len(request.query_params.getlist(name)) > 1:
            raise InvalidInput(f"the query parameter {name!r} stands there more than once")


def media_type_of(request: Request) -> str:
    """The body's media type, without parameters and in lower case."""
    message = Message()
    message["content-type"] = request.headers.get("content-type", "application/octet-stream")
    return message.get_content_type()


def _check_media_type(request: Request) -> None:
    media_type = media_type_of(request)
    kind, _, subtype = media_type.partition("/")
    if kind != "application" or not (subtype == "json" or subtype.endswith("+json")):
        raise UnsupportedMediaType(
            f"the body was sent as {media_type[:100]}",
            hint="Send JSON with Content-Type: application/json.",
        )


def parse_json(body: bytes) -> object:
    """JSON as RFC 7493 (I-JSON) restricts it: UTF-8, no duplicate names, no lone surrogates, no
    numbers that other readers would change; besides, no NUL and no deep nesting.

    Raises MalformedBody.
    """
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except UnicodeDecodeError as error:
        raise MalformedBody(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise MalformedBody(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _too_deep() from None
    _check(value, 0)
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise MalformedBody("an object has the same name twice")
    return made


def _no_constant(name: str) -> NoReturn:
    raise MalformedBody(f"{name} is not JSON")


def _integer(digits: str) -> int:
    number = int(digits) if len(digits) < 20 else MAX_EXACT_INTEGER + 1
    if abs(number) > MAX_EXACT_INTEGER:
        raise MalformedBody("an integer lies beyond ±2^53")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise MalformedBody("a number is too large")
    return number


def _check(value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _too_deep()
    match value:
        case str():
            if "\0" in value:
                raise MalformedBody("a string holds a NUL character")
            if any("\ud800" <= c <= "\udfff" for c in value):
                raise MalformedBody("a string holds half of a surrogate pair")
        case dict():
            for name, item in value.items():
                _check(name, depth)
                _check(item, depth + 1)
        case list():
            for item in value:
                _check(item, depth + 1)


def _too_deep() -> MalformedBody:
    return MalformedBody(f"the JSON is nested more than {MAX_DEPTH} deep")
