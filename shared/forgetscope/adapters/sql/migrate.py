"""Bring a database to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from forgetscope.adapters.sql.engine import connect, lock_structure, touch

__all__ = ["migrate"]


def migrate(url: str) -> None:
    """Apply all missing migrations in one transaction; several processes may do so at once.

    Raises Unavailable when the database does not answer.
    """
    engine = connect(url)
    try:
        touch(engine, _upgrade)
    finally:
        engine.dispose()


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Another process may migrate for longer than a statement usually waits.
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
    lock_structure(connection)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
