"""Pure ASGI layers: a limit for bodies, headers that browsers obey, and the last safety net."""

import uuid
from collections.abc import Mapping

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from forgetscope.api.errors import Internal, answer, problem_of
from forgetscope.schema.errors import TooLarge

__all__ = ["BodyLimit", "CatchAll", "SecurityHeaders"]

log = structlog.get_logger(__name__)

# Swagger UI starts itself by an inline script; everything it loads comes from this server.
_DOCS_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; worker-src blob:; frame-ancestors 'none'"
)
_DEFAULTS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class BodyLimit:
    """Refuses bodies over `limit` bytes: by their declared length at once, chunked ones as soon
    as they pass it. `own_limits` are those of single (method, path)s."""

    def __init__(self, app: ASGIApp, limit: int, own_limits: Mapping[tuple[str, str], int]) -> None:
        self._app = app
        self._limit = limit
        self._own_limits = own_limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        own = self._own_limits.get((scope["method"], scope["path"]))
        limit = self._limit if own is None else own
        refused = TooLarge(
            f"the body is larger than {limit} bytes",
            hint="Use a chain generator instead of long lists, or several experiments."
            if own is None
            else "Upload it in several parts.",
        )
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdigit() and int(declared[:20]) > limit:
            headers = {"Connection": "close"}
            await answer(problem_of(refused), headers)(scope, receive, send)
            return
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise refused
            return message

        await self._app(scope, limited, send)


class SecurityHeaders:
    """Adds what a response does not say itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        docs = scope["path"].startswith(("/docs", "/redoc"))
        policy = _DOCS_POLICY if docs else "default-src 'none'; frame-ancestors 'none'"

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in {**_DEFAULTS, "Content-Security-Policy": policy}.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


class CatchAll:
    """An exception that nobody foresaw leaves as an id; the log has the rest under it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            incident = uuid.uuid4().urn
            log.exception("request.crashed", incident=incident, path=scope.get("path"))
            if started or scope["type"] != "http":
                raise  # the connection breaks off: the client must not take this for the end
            internal = Internal("an unexpected error occurred", hint="The log has its details.")
            problem = problem_of(internal).model_copy(update={"instance": incident})
            await answer(problem)(scope, receive, send)
