"""Records and library in SQL: SQLite for one machine, PostgreSQL for many, by one code path."""

from forgetscope.adapters.sql.engine import connect
from forgetscope.adapters.sql.library import SqlLibrary
from forgetscope.adapters.sql.migrate import migrate
from forgetscope.adapters.sql.records import SqlRecords

__all__ = ["SqlLibrary", "SqlRecords", "connect", "migrate"]
