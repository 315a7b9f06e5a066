"""What the adapters of the ports share: an engine, a clock, and three kinds of transaction."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine

from forgetscope.adapters.sql.engine import lock_structure, now_of, read, touch

__all__ = ["Transactions"]

T = TypeVar("T")


class Transactions:
    """Every method of a port is one transaction of an engine of `connect`.

    `clock` (seconds since 1970) replaces the database's own clock, for tests.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] | None = None) -> None:
        self._engine = engine
        self._clock = clock

    def _now(self, connection: Connection) -> float:
        return now_of(connection) if self._clock is None else self._clock()

    def _read(self, action: Callable[[Connection], T]) -> T:
        return read(self._engine, action)

    def _touch(self, action: Callable[[Connection, float], T]) -> T:
        """A change that leaves the structure of experiments and stages alone."""
        return touch(self._engine, lambda c: action(c, self._now(c)))

    def _change(self, action: Callable[[Connection, float], T]) -> T:
        """A change of the structure: one at a time."""

        def locked(connection: Connection) -> T:
            lock_structure(connection)
            return action(connection, self._now(connection))

        return touch(self._engine, locked)
