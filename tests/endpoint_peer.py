"""A server of completions that says what a test wants: well-behaved until it is told otherwise."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from forgetscope.schema.endpoint import EndpointModel

Body = dict[str, Any]
LIMIT = 100
"""Tokens of the longest text."""


def echo(body: Body) -> Body:
    """A server that keeps to the protocol: each word is a token, and the longer the less likely."""
    choices = []
    for index, text in enumerate(body["prompt"]):
        words = text.split(" ")
        logprobs = {
            "tokens": words,
            "token_logprobs": [None, *(-float(len(word)) for word in words[1:])],
        }
        choices.append({"index": index, "text": text, "logprobs": logprobs})
    return {"choices": choices[::-1]}  # the order of the answers is the server's


class Peer:
    """`answer` takes (path, body) and gives (status, headers, body). `limit`: see `LIMIT`."""

    def __init__(self, port: int = 0, limit: int = LIMIT) -> None:
        self.limit = limit
        self.asked: list[tuple[str, dict[str, str], Body]] = []
        self.answer: Callable[[str, Body], tuple[int, dict[str, str], bytes]] = self.well
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                size = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(size)) if size else {}
                peer.asked.append((self.path, dict(self.headers), body))
                status, headers, said = peer.answer(self.path, body)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(said)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(said)
                except OSError:
                    self.close_connection = True

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.model = EndpointModel(source="endpoint", url=self.url, model="m")
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def well(self, path: str, body: Body) -> tuple[int, dict[str, str], bytes]:
        models = {"data": [{"id": "m", "created": len(self.asked), "max_model_len": self.limit}]}
        if any(text.count(" ") >= self.limit for text in body.get("prompt", ())):
            return 400, {}, b"the text: offensive"
        return 200, {}, json.dumps(models if path.endswith("/models") else echo(body)).encode()

    def tuned(self, path: str, body: Body) -> tuple[int, dict[str, str], bytes]:
        """As a model that was trained a little more."""
        status, headers, said = self.well(path, body)
        return status, headers, said.replace(b"-3.0", b"-3.01")

    def batching(self, path: str, body: Body) -> tuple[int, dict[str, str], bytes]:
        """As a server that gives words of three letters another score in a request of one text."""
        status, headers, said = self.well(path, body)
        alone = len(body.get("prompt", ())) == 1
        return status, headers, said.replace(b"-3.0", b"-1.0") if alone else said

    def says(self, status: int, body: object = None, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = lambda *_: (status, named, json.dumps(body).encode())

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
