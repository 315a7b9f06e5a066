"""Calls of servers that are not trusted: only where the settings allow it, bounded, and checked."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import httpx
from pydantic import BaseModel, SecretStr, ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_base, wait_random_exponential

from forgetscope.core.endpoints import allowed_by
from forgetscope.ports.endpoint import Patience
from forgetscope.schema.errors import EndpointNotAllowed, InvalidInput, Unavailable

__all__ = ["MAX_ANSWER_BYTES", "MAX_WAIT_SECONDS", "NEEDED", "Caller", "Declined"]

MAX_ANSWER_BYTES = 64 << 20
MAX_WAIT_SECONDS = 30.0
NEEDED = (
    "It must take `echo: true` with `logprobs: 1` and `max_tokens: 0`, and return "
    "`logprobs.tokens` and `logprobs.token_logprobs` of the prompt, as `vllm serve` does."
)
_TOO_LONG = (400, 413, 422)

Answer = TypeVar("Answer", bound=BaseModel)


class _Again(Exception):
    """No answer, or one that says to come back later, after `seconds` where it says so."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class Declined(Exception):
    """The server finds fault with the request itself."""


class Caller:
    """`allowed` are prefixes of addresses, `tokens` secrets by prefix, of which the longest that
    fits is sent. Safe to share between threads."""

    def __init__(
        self,
        allowed: Sequence[str],
        tokens: Mapping[str, SecretStr],
        patience: Patience,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._allowed = tuple(allowed)
        self._tokens = tokens
        self._patience = patience
        self._sleep = sleep
        # Proxies and credentials of the environment are not for addresses that users write.
        self._http = httpx.Client(
            follow_redirects=False,
            trust_env=False,
            # Many texts go in one request, so a connection for each costs little, and none is left.
            limits=httpx.Limits(max_keepalive_connections=0),
            timeout=httpx.Timeout(patience.seconds, connect=min(5.0, patience.seconds)),
        )

    def call(
        self,
        method: str,
        url: str,
        path: str,
        body: Mapping[str, object] | None,
        answer: type[Answer],
    ) -> Answer:
        """Ask, again where that may help, and read the answer. Raises as `Endpoints` does, and
        Declined."""
        if not any(allowed_by(prefix, url) for prefix in self._allowed):
            raise EndpointNotAllowed(
                "this server may not call that address.",
                where=url,
                hint="Its operator can allow it in FORGETSCOPE_ENDPOINTS.",
            )
        retrying = Retrying(
            retry=retry_if_exception_type(_Again),
            wait=_Wait(),
            stop=stop_after_attempt(self._patience.attempts),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            text = retrying(self._once, method, url, path, body)
        except _Again as error:
            raise Unavailable(f"the endpoint does not answer: {error}", where=url) from error
        try:
            return answer.model_validate_json(text)
        except ValidationError as error:
            places = ".".join(map(str, error.errors(include_input=False)[0]["loc"])) or "the body"
            raise InvalidInput(
                f"the answer to {method} {path} is not as expected, at {places}.",
                where=url,
                hint=NEEDED,
            ) from None

    def _once(self, method: str, url: str, path: str, body: Mapping[str, object] | None) -> bytes:
        started = time.monotonic()
        try:
            with self._http.stream(
                method, url + path, json=body, headers=self._headers(url)
            ) as response:
                _check(response, url)
                held = bytearray()
                for chunk in response.iter_raw():
                    held += chunk
                    if len(held) > MAX_ANSWER_BYTES:
                        raise InvalidInput(
                            f"the answer to {method} {path} has more than "
                            f"{MAX_ANSWER_BYTES >> 20} MiB.",
                            where=url,
                        )
                    if time.monotonic() - started > self._patience.seconds:
                        raise _Again(f"its answer took longer than {self._patience.seconds:g} s")
                return bytes(held)
        except httpx.TransportError as error:
            raise _Again(type(error).__name__) from error

    def _headers(self, url: str) -> dict[str, str]:
        plain = {"Accept-Encoding": "identity"}  # a small answer must not unfold into a large one
        fitting = [prefix for prefix in self._tokens if allowed_by(prefix, url)]
        if not fitting:
            return plain
        secret = self._tokens[max(fitting, key=len)].get_secret_value()
        return {**plain, "Authorization": f"Bearer {secret}"}


def _check(response: httpx.Response, url: str) -> None:
    status = response.status_code
    if status == 200:
        return
    if status == 429 or status >= 500:
        wait = response.headers.get("Retry-After", "")
        raise _Again(f"HTTP {status}", float(wait) if wait.isdecimal() else None)
    if status in _TOO_LONG and response.request.method == "POST":
        raise Declined
    if status in (401, 403):
        raise InvalidInput(
            f"the server wants another token, or none of ours (HTTP {status}).",
            where=url,
            hint="The operator of this platform sets it in FORGETSCOPE_ENDPOINT_TOKENS.",
        )
    if 300 <= status < 400:
        raise InvalidInput(
            f"the server redirects (HTTP {status}), and redirects are not followed.",
            where=url,
            hint="Write the address that it leads to.",
        )
    raise InvalidInput(
        f"the server answers with HTTP {status}.",
        where=url,
        hint="The address is that of an OpenAI-compatible server, up to its /v1.",
    )


class _Wait(wait_base):
    """As long as the server asks for, within bounds; otherwise longer each time."""

    def __init__(self) -> None:
        self._usual = wait_random_exponential(multiplier=0.5, max=MAX_WAIT_SECONDS)

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = error.seconds if isinstance(error, _Again) else None
        return self._usual(retry_state) if asked is None else min(asked, MAX_WAIT_SECONDS)
