"""RabbitMQ in a folder of its own, with its own Erlang port mapper."""

import os
import socket
from pathlib import Path

from .binaries import find_programs
from .notes import Notes
from .process import Process, Server, run, wait_ready

_USER = "forgetscope"
_VHOST = "forgetscope"
_LOOPBACK_ONLY = "-kernel inet_dist_use_interface {127,0,0,1}"


class RabbitMQ(Server):
    """A RabbitMQ node in `folder`; durable messages outlive `stop` and `kill`.

    One exception, RabbitMQ's own (seen with 3.10): a quorum queue declared less than about five
    seconds before a `kill` is broken afterwards, because the list of queues reaches the disk late.
    """

    def __init__(self, folder: Path) -> None:
        # The scripts of this folder run as any user; Debian's wrappers on PATH want root.
        self._programs = find_programs(
            ["rabbitmq-server", "rabbitmqctl", "epmd", "erl"], ["usr/lib/rabbitmq/bin"]
        )
        self._folder = folder.resolve()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._notes = Notes(self._folder / "notes.json")
        self._ports: dict[str, int] = {}
        self._epmd: Process | None = None
        self._node: Process | None = None

    @property
    def url(self) -> str:
        """AMQP URL of the default virtual host."""
        return self._url(_VHOST)

    def create_vhost(self, name: str) -> str:
        """Create an empty virtual host and return its URL."""
        self._control("add_vhost", name)
        self._control("set_permissions", "-p", name, _USER, ".*", ".*", ".*")
        return self._url(name)

    def start(self) -> None:
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Begin to start and return at once, so that other servers can start meanwhile."""
        self._ports = {name: self._notes.port(name) for name in ("amqp", "epmd", "distribution")}
        self._write_configuration()
        # Started here, or Erlang starts one as a daemon that nobody would stop.
        self._epmd = Process(
            [self._programs["epmd"]], self._folder / "epmd.log", self._environment()
        )
        self._node = Process(
            [self._programs["rabbitmq-server"]], self._folder / "rabbitmq.log", self._environment()
        )
        try:
            self._epmd.start()
            wait_ready("epmd", self._epmd_answers, [self._epmd], 10)
            self._node.start()
        except BaseException:
            self.kill()
            raise

    def wait(self) -> None:
        processes = [process for process in (self._node, self._epmd) if process]
        try:
            wait_ready("RabbitMQ", self._answers, processes, 90)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        for process in (self._node, self._epmd):
            if process:
                process.stop()

    def kill(self) -> None:
        for process in (self._node, self._epmd):
            if process:
                process.kill()

    def _write_configuration(self) -> None:
        settings = {
            "listeners.tcp.local": f"127.0.0.1:{self._ports['amqp']}",
            "default_user": _USER,
            "default_pass": self._notes.secret("password"),
            "default_vhost": _VHOST,
            "log.console": "true",
            "log.file": "false",
            # Enough for a test, and the half gigabyte of the default is written ahead.
            "raft.wal_max_size_bytes": str(32 << 20),
        }
        _write(
            self._folder / "rabbitmq.conf",
            "".join(f"{name} = {value}\n" for name, value in settings.items()),
        )
        _write(self._folder / "enabled_plugins", "[].\n")
        _write(self._folder / "rabbitmq-env.conf", "")
        cookie = self._folder / ".erlang.cookie"
        if not cookie.exists():
            _write(cookie, self._notes.secret("cookie"))
            cookie.chmod(0o400)

    def _environment(self) -> dict[str, str]:
        folder = self._folder
        return {
            "PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._ports["epmd"]),
            "ERL_CRASH_DUMP": str(folder / "erl_crash.dump"),
            "RABBITMQ_NODENAME": f"node-{self._notes.secret('node', 4)}@localhost",
            "RABBITMQ_DIST_PORT": str(self._ports["distribution"]),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(folder / "conf.d"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "rabbitmq.pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _LOOPBACK_ONLY,
            "RABBITMQ_CTL_ERL_ARGS": _LOOPBACK_ONLY,
            # Any free port, in place of a fixed range.
            "RABBITMQ_CTL_DIST_PORT_MIN": "0",
            "RABBITMQ_CTL_DIST_PORT_MAX": "0",
            # The start script then becomes the Erlang machine instead of watching over it:
            # one process to signal, which takes SIGTERM as an orderly stop.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _control(self, *arguments: str) -> None:
        run([self._programs["rabbitmqctl"], *arguments], self._environment())

    def _answers(self) -> bool:
        """Whether it opens the AMQP handshake: its listeners start when all else has started."""
        try:
            with socket.create_connection(("127.0.0.1", self._ports["amqp"]), 2) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    def _epmd_answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._ports["epmd"]), 2).close()
        except OSError:
            return False
        return True

    def _url(self, vhost: str) -> str:
        password = self._notes.secret("password")
        return f"amqp://{_USER}:{password}@127.0.0.1:{self._ports['amqp']}/{vhost}"


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
