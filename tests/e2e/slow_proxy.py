"""A TCP proxy on loopback that slows uploads down, so that a test can kill in the middle of one."""

import contextlib
import socket
import threading
import time
from types import TracebackType


class SlowProxy:
    """Forwards to host:port; while `slow` is set, at most `bytes_per_second` towards the server.

    `uploading` is set once more than `threshold` bytes went through one connection slowly.
    """

    def __init__(self, target: tuple[str, int], *, bytes_per_second: int, threshold: int) -> None:
        self._target = target
        self._rate = bytes_per_second
        self._threshold = threshold
        self.slow = threading.Event()
        self.uploading = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> "SlowProxy":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()
        for end in self._open:
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:  # the server is down: so is its proxy
                client.close()
                continue
            self._open += [client, server]
            threading.Thread(target=self._pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, upwards: bool) -> None:
        slowly = 0
        try:
            while data := source.recv(16384):
                if upwards and self.slow.is_set():
                    time.sleep(len(data) / self._rate)
                    slowly += len(data)
                    if slowly > self._threshold:
                        self.uploading.set()
                sink.sendall(data)
        except OSError:
            pass  # either side may be killed: that is what the proxy is for
        finally:
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
