"""A receiver of webhooks on this machine: keeps what arrives, answers as it is told."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from forgetscope.client import verify_webhook
from forgetscope.schema.webhooks import WebhookMessage


class Arrived(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def message(self, secret: str) -> WebhookMessage:
        """Raises BadSignature."""
        return verify_webhook(self.body, self.headers, secret)


Answering = Callable[[BaseHTTPRequestHandler], None]


def status(code: int, body: bytes = b"", **headers: str) -> Answering:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


class Receiver:
    """`answers` are given one after the other, then 204 for ever."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.arrived: list[Arrived] = []
        self.answers: list[Answering] = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                with receiver._lock:
                    receiver.arrived.append(Arrived(self.path, headers, body))
                    answer = receiver.answers.pop(0) if receiver.answers else status(204)
                answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/in"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait_for(self, enough: Callable[[list[Arrived]], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not enough(self.arrived):
            assert time.monotonic() < deadline, [a.id for a in self.arrived]
            time.sleep(0.02)


@contextmanager
def receiving(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    receiver = Receiver(port, tls)
    try:
        yield receiver
    finally:
        receiver.stop()
