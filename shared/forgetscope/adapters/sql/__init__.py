"""Records, library, searches, baselines, webhooks: SQLite on one machine, PostgreSQL for many."""

from forgetscope.adapters.sql.baselines import SqlBaselines
from forgetscope.adapters.sql.engine import connect
from forgetscope.adapters.sql.library import SqlLibrary
from forgetscope.adapters.sql.migrate import migrate
from forgetscope.adapters.sql.records import SqlRecords
from forgetscope.adapters.sql.searches import SqlSearches
from forgetscope.adapters.sql.webhooks import SqlWebhooks

__all__ = [
    "SqlBaselines",
    "SqlLibrary",
    "SqlRecords",
    "SqlSearches",
    "SqlWebhooks",
    "connect",
    "migrate",
]
