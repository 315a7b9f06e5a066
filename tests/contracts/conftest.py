"""Fixtures of the records: each test once on SQLite and once on PostgreSQL."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from records_world import World

from deploy.dev.servers import Postgres
from forgetscope.adapters.sql import migrate
from forgetscope.adapters.sql.tables import metadata

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "records.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres: Postgres) -> str:
    url = postgres.create_database("records")
    migrate(url)
    return url


_numbers = itertools.count()


@pytest.fixture
def empty_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A database without tables."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.create_database(f"empty{next(_numbers)}")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    if backend == "sqlite":
        path = tmp_path / "records.db"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        world = World(f"sqlite:///{path}")
    else:
        world = World(request.getfixturevalue("migrated_postgres"))
        names = ", ".join(metadata.tables)
        with world.engine.begin() as connection:
            connection.exec_driver_sql(f"TRUNCATE {names}")
    yield world
    world.engine.dispose()
