"""Requests with retries where a repetition cannot do harm."""

import time
from collections.abc import Callable, Iterator, Mapping

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_result,
    stop_after_attempt,
    wait_random_exponential,
)

from forgetscope.client._errors import Unreachable, raise_for_problem

__all__ = ["Transport"]

AWAY = (502, 503, 504)
MAX_WAIT_SECONDS = 10


class Transport:
    """One connection pool to one server."""

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float,
        transport: httpx.BaseTransport | None,
        retries: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.http = httpx.Client(base_url=base_url, timeout=timeout, transport=transport)
        self.retries = retries
        self.sleep = sleep
        self.wait = wait_random_exponential(multiplier=0.2, max=MAX_WAIT_SECONDS)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int | None] | None = None,
        content: str | Callable[[], Iterator[bytes]] | None = None,
        headers: Mapping[str, str] | None = None,
        answer_seconds: float | None = None,
        repeatable: bool,
    ) -> httpx.Response:
        """Send; a `repeatable` request is sent again when no answer came or the server was away,
        any other one only when it cannot have arrived.

        A callable `content` makes the pieces of the body, for each try anew. `answer_seconds`
        replaces the time to wait for an answer. Raises Unreachable, or what the answer stands for.
        """

        def attempt() -> httpx.Response:
            timeout = self.http.timeout
            if answer_seconds is not None:
                timeout = httpx.Timeout(**{**timeout.as_dict(), "read": answer_seconds})
            request = self.http.build_request(
                method,
                path,
                params={k: v for k, v in (query or {}).items() if v is not None},
                content=content() if callable(content) else content,
                headers={"Accept": "application/json", **(headers or {})},
                timeout=timeout,
            )
            return self.http.send(request)

        lost = httpx.TransportError if repeatable else httpx.ConnectError
        retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, lost))
            | retry_if_result(lambda response: repeatable and response.status_code in AWAY),
            wait=self.wait,
            stop=stop_after_attempt(self.retries + 1),
            sleep=self.sleep,
            retry_error_callback=_outcome,
        )
        try:
            response: httpx.Response = retrying(attempt)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self.unreachable(error) from error
        raise_for_problem(response)
        return response

    def unreachable(self, error: Exception) -> Unreachable:
        """The error for a request that got no answer."""
        return Unreachable(
            f"no answer from {self.http.base_url}: {str(error) or type(error).__name__}"
        )


def _outcome(state: RetryCallState) -> httpx.Response:
    """After the last attempt: its answer, or its exception."""
    assert state.outcome is not None
    response: httpx.Response = state.outcome.result()
    return response
