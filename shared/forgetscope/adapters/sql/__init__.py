"""The records in SQL: SQLite for one machine, PostgreSQL for many. One code path for both."""

from forgetscope.adapters.sql.engine import connect
from forgetscope.adapters.sql.migrate import migrate
from forgetscope.adapters.sql.records import SqlRecords

__all__ = ["SqlRecords", "connect", "migrate"]
