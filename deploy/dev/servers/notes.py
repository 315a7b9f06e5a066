"""What a server's folder remembers between runs: its secrets and its ports."""

import json
import os
import random
import secrets
import socket
from pathlib import Path

_TRIES = 200


class Notes:
    """A JSON file readable by its owner only; values are made when first asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, str | int] = json.loads(path.read_text()) if path.exists() else {}

    def secret(self, name: str, size_bytes: int = 16) -> str:
        """A random secret of letters and digits, so that it can stand in a URL as it is."""
        if name not in self._values:
            self._keep(name, secrets.token_hex(size_bytes))
        return str(self._values[name])

    def port(self, name: str) -> int:
        """The port used before, so that clients find a restarted server, or a free one."""
        port = self._values.get(name)
        if not isinstance(port, int) or not _is_free(port):
            port = self._free_port()
            self._keep(name, port)
        return port

    def _free_port(self) -> int:
        # Below the ephemeral range: a client that retries a stopped server on an ephemeral port
        # can be given that very port as its own source port, connect to itself, and keep the
        # server from coming back.
        limit = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        taken = set(self._values.values())
        for _ in range(_TRIES):
            port = random.SystemRandom().randrange(min(10_000, limit - 1_000), limit)
            if port not in taken and _is_free(port):
                return port
        raise OSError(f"no free loopback port below {limit} in {_TRIES} tries")

    def _keep(self, name: str, value: str | int) -> None:
        self._values[name] = value
        part = self._path.with_suffix(".part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self._values, file, indent=1)
        part.replace(self._path)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: a connection of the last run in TIME_WAIT is no reason to move.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
