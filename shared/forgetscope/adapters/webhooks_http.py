"""`HttpSender`: webhooks over HTTP, to permitted addresses only.

A name is resolved once for each connection; every address that it stands for is checked, and the
connection is made to one of those, so that a name that changes in between (DNS rebinding) changes
nothing. Name and certificate stay those of the URL. No redirect is followed, no proxy is used, and
no connection is kept.
"""

import socket
import ssl
import time
from collections.abc import Iterable, Mapping

import certifi
import httpcore

from forgetscope.core.webhook_targets import (
    AllowList,
    Target,
    check_addresses,
    check_listed,
    target_of,
)
from forgetscope.ports.webhooks import Answer
from forgetscope.schema.errors import TargetNotAllowed

__all__ = ["HttpSender"]

READ_BYTES = 4096
EXCERPT_CHARACTERS = 200
SocketOption = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)


class HttpSender:
    """`forgetscope.ports.webhooks.Sender`; documented there. `seconds` are for a whole attempt,
    however slowly the target takes and answers; resolving its name comes on top."""

    def __init__(self, allowed: AllowList, *, seconds: float, user_agent: str) -> None:
        self._allowed = allowed
        self._seconds = seconds
        self._user_agent = user_agent
        self._tls = ssl.create_default_context()  # with what the operator trusts
        self._tls.load_verify_locations(certifi.where())

    def check(self, url: str) -> None:
        _addresses(target_of(url), self._allowed)

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        began = time.monotonic()
        try:
            status, text = self._post(target_of(url), headers, body)
        except TargetNotAllowed as error:
            said = error.detail
        except httpcore.TimeoutException:
            said = f"no answer within {self._seconds:g} s"
        except httpcore.ProtocolError as error:
            said = f"it broke off, or this is not HTTP: {error}"
        except (OSError, httpcore.NetworkError) as error:
            said = str(error) or type(error).__name__
        else:
            return Answer(time.monotonic() - began, status=status, excerpt=text)
        return Answer(time.monotonic() - began, error=said)

    def _post(self, target: Target, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        """Status and the begin of the body."""
        backend = _Guarded(target, self._allowed, time.monotonic() + self._seconds)
        own = {
            "host": target.authority,
            "user-agent": self._user_agent,
            "accept": "*/*",
            "accept-encoding": "identity",
            "connection": "close",
            "content-length": str(len(body)),
        }
        sent = {**own, **headers}
        url = httpcore.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=target.path.encode(),
        )
        with (
            httpcore.ConnectionPool(ssl_context=self._tls, network_backend=backend) as pool,
            pool.stream("POST", url, headers=list(sent.items()), content=body) as response,
        ):
            begin = b""
            for chunk in response.iter_stream():
                begin += chunk
                if len(begin) >= READ_BYTES:
                    break
            text = begin[:READ_BYTES].decode("utf-8", "replace")
            return response.status, " ".join(text.split())[:EXCERPT_CHARACTERS]


def _addresses(target: Target, allowed: AllowList) -> list[str]:
    """The checked addresses of a target, best first. Raises TargetNotAllowed."""
    check_listed(target, allowed)  # what is refused by its name is not asked about
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TargetNotAllowed(
            f"{target.host} cannot be resolved: {error}",
            where="/url",
            hint="Check the name; it has to resolve where the gateway runs.",
        ) from None
    addresses = list(dict.fromkeys(str(place[0]) for *_, place in found))
    check_addresses(target, addresses, allowed)
    return addresses


class _Guarded(httpcore.NetworkBackend):
    """Connects to checked addresses of one target, until a moment of the monotonic clock."""

    def __init__(self, target: Target, allowed: AllowList, until: float) -> None:
        self._target = target
        self._allowed = allowed
        self._until = until
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the one of the whole attempt counts
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.NetworkStream:
        assert (host, port) == (self._target.host, self._target.port)
        addresses = _addresses(self._target, self._allowed)
        for n, address in enumerate(addresses):
            left = _left(self._until) / (len(addresses) - n)
            try:
                stream = self._inner.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if n + 1 == len(addresses):
                    raise
            else:
                return _Bounded(stream, self._until)
        raise httpcore.ConnectError("the name stands for no address")


class _Bounded(httpcore.NetworkStream):
    """A stream on which nothing waits beyond a moment of the monotonic clock."""

    def __init__(self, stream: httpcore.NetworkStream, until: float) -> None:
        self._stream = stream
        self._until = until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, _left(self._until))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, _left(self._until))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        left = _left(self._until)
        return _Bounded(self._stream.start_tls(ssl_context, server_hostname, left), self._until)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise httpcore.TimeoutException
    return left
