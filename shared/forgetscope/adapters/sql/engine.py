"""Connections and transactions: how a database is opened, locked, retried and translated."""

import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, exc, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import ConnectionPoolEntry

from forgetscope.schema.errors import ForgetScopeError, InvalidInput, Unavailable

__all__ = ["connect", "lock_structure", "now_of", "read", "touch", "translate"]

T = TypeVar("T")

_BUSY_SECONDS = 30.0
_TRIES = 6
# Arbitrary, but the same for every process of the platform.
_STRUCTURE_LOCK = 0x464F5247
# A stopped process must not hold the structure lock for ever.
_POSTGRES_OPTIONS = "-c lock_timeout=30s -c idle_in_transaction_session_timeout=60s"
_RETRIED_SQLSTATES = {
    "40001",  # serialization failure
    "40P01",  # deadlock
}
_CLOCKS = {
    "postgresql": "SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision)",
    "sqlite": "SELECT round((julianday('now') - 2440587.5) * 86400.0, 3)",
}


def connect(url: str) -> Engine:
    """An engine for `sqlite:///path` or `postgresql+psycopg://…`.

    Raises InvalidInput for any other database.
    """
    try:
        backend = make_url(url).get_backend_name()
    except exc.ArgumentError as error:
        raise InvalidInput("The database URL cannot be read.", hint=_URL_HINT) from error
    if backend == "postgresql":
        return create_engine(
            url,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 5, "options": _POSTGRES_OPTIONS},
        )
    if backend != "sqlite":
        raise InvalidInput(f"{backend} databases are not supported.", hint=_URL_HINT)
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
    event.listen(engine, "connect", _open_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


_URL_HINT = "Use sqlite:///path or postgresql+psycopg://user:password@host/database."


def _open_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    # The driver's own BEGIN comes late and is never IMMEDIATE: transactions are begun here.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    _until_unlocked(connection, "PRAGMA journal_mode = WAL")


def _until_unlocked(connection: sqlite3.Connection, statement: str) -> None:
    # SQLite does not wait for its busy timeout when two processes change the journal mode.
    end = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def _begin_sqlite(connection: Connection) -> None:
    # A reader that turns writer cannot wait for another writer, so writers say so at once.
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def lock_structure(connection: Connection) -> None:
    """Until the transaction ends, nobody else changes which stages exist, wait or have ended.

    Such changes are short and rare beside the work itself. One at a time, two inputs that finish
    together cannot both overlook their dependant, and nothing can deadlock. Claims and heartbeats
    do not wait for it: they lock one stage, then its experiments in the order of their ids; a
    structural change, too, locks stages before experiments. SQLite has one writer anyhow.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_STRUCTURE_LOCK})"))


def now_of(connection: Connection) -> float:
    """Seconds since 1970 by the database's own clock."""
    return float(connection.execute(text(_CLOCKS[connection.dialect.name])).scalar_one())


def read(engine: Engine, action: Callable[[Connection], T]) -> T:
    """Run a reading transaction."""
    return _run(engine, action, write=False)


def touch(engine: Engine, action: Callable[[Connection], T]) -> T:
    """Run a writing transaction; it may be run again when it lost against another one."""
    return _run(engine, action, write=True)


def _run(engine: Engine, action: Callable[[Connection], T], *, write: bool) -> T:
    for again in range(1, _TRIES + 1):
        try:
            with (
                engine.connect().execution_options(write=write) as connection,
                connection.begin(),
            ):
                return action(connection)
        except exc.SQLAlchemyError as error:
            if again == _TRIES or not _lost_a_race(error):
                raise translate(error) from error
            time.sleep(0.01 * 2**again)
    raise AssertionError("the last try returns or raises")


def _lost_a_race(error: exc.SQLAlchemyError) -> bool:
    # Waiting for a lock is bounded by the database itself (busy timeout, lock timeout).
    return getattr(getattr(error, "orig", None), "sqlstate", None) in _RETRIED_SQLSTATES


def translate(error: exc.SQLAlchemyError) -> ForgetScopeError:
    """The platform's word for an error of the driver or the pool."""
    said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    if _table_missing(error):
        return Unavailable(
            f"The database has no tables of this version: {said}", hint="Run the migrations."
        )
    silent = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError)
    if isinstance(error, silent) or getattr(error, "connection_invalidated", False):
        return Unavailable(
            f"The database does not answer: {said}", hint="Check that it runs, then try again."
        )
    return ForgetScopeError(f"The database refused a statement: {said}")


def _table_missing(error: exc.SQLAlchemyError) -> bool:
    origin = getattr(error, "orig", None)
    if isinstance(origin, sqlite3.OperationalError):
        return "no such table" in str(origin)
    return getattr(origin, "sqlstate", None) == "42P01"
