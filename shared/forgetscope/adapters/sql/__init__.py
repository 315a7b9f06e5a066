"""Records, library and searches in SQL: SQLite on one machine, PostgreSQL for many."""

from forgetscope.adapters.sql.engine import connect
from forgetscope.adapters.sql.library import SqlLibrary
from forgetscope.adapters.sql.migrate import migrate
from forgetscope.adapters.sql.records import SqlRecords
from forgetscope.adapters.sql.searches import SqlSearches

__all__ = ["SqlLibrary", "SqlRecords", "SqlSearches", "connect", "migrate"]
