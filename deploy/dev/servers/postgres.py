"""PostgreSQL in a folder of its own."""

import os
import signal
from pathlib import Path

import psycopg
from psycopg import sql

from .binaries import find_programs
from .notes import Notes
from .process import Process, Server, run, wait_ready

_USER = "forgetscope"
_DATABASE = "forgetscope"


class Postgres(Server):
    """A PostgreSQL server in `folder`; the data outlives `stop` and `kill`."""

    def __init__(self, folder: Path) -> None:
        self._programs = find_programs(
            ["initdb", "postgres", "unshare"], ["usr/lib/postgresql/*/bin"]
        )
        self._folder = folder.resolve()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._notes = Notes(self._folder / "notes.json")
        self._port = 0
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the default database."""
        return self._url(_DATABASE)

    def create_database(self, name: str) -> str:
        """Create an empty database and return its URL."""
        with self._connect("postgres") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._url(name)

    def start(self) -> None:
        data = self._folder / "data"
        if not (data / "PG_VERSION").exists():
            self._initialise(data)
        self._port = self._notes.port("port")
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": "",
            # Mapped files below the data folder: shared memory segments would outlive a kill.
            "dynamic_shared_memory_type": "mmap",
        }
        settings = [word for item in options.items() for word in ("-c", "=".join(item))]
        command = [*self._as_user(), self._programs["postgres"], "-D", str(data), *settings]
        # SIGINT is PostgreSQL's fast shutdown: SIGTERM would wait for its clients.
        self._process = Process(command, self._folder / "postgres.log", stop_signal=signal.SIGINT)
        self._process.start()
        try:
            wait_ready("PostgreSQL", self._answers, [self._process], 30)
            self._create_default_database()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        if self._process:
            self._process.stop()

    def kill(self) -> None:
        if self._process:
            self._process.kill()

    def _initialise(self, data: Path) -> None:
        password = self._folder / "password"
        password.touch(mode=0o600)
        password.write_text(self._notes.secret("password"))
        command = [self._programs["initdb"], "-D", str(data), "-U", _USER, f"--pwfile={password}"]
        command += ["--auth=scram-sha-256", "--locale=C.UTF-8", "--encoding=UTF8", "--no-sync"]
        run([*self._as_user(), *command])
        password.unlink()

    def _as_user(self) -> list[str]:
        # PostgreSQL refuses to run as root; inside a user namespace root has another number.
        if os.geteuid() != 0:
            return []
        return [self._programs["unshare"], "--user", "--map-user=1000", "--map-group=1000"]

    def _create_default_database(self) -> None:
        with self._connect("postgres") as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(query, [_DATABASE]).fetchone():
                return
        self.create_database(_DATABASE)

    def _answers(self) -> bool:
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        url = self._url(database).replace("+psycopg", "")
        return psycopg.connect(url, autocommit=True, connect_timeout=5)

    def _url(self, database: str) -> str:
        password = self._notes.secret("password")
        return f"postgresql+psycopg://{_USER}:{password}@127.0.0.1:{self._port}/{database}"
