"""Real servers for the tests, each started when a test first asks for it.

Fault tests that stop or kill a server must leave it running: it serves the whole session.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

# `deploy` is no part of the installed package.
sys.path.append(str(Path(__file__).parents[1]))

from deploy.dev.servers import CephGateway, MissingProgramsError, Postgres, RabbitMQ

AnyServer = TypeVar("AnyServer", Postgres, RabbitMQ, CephGateway)


@contextmanager
def _running(make: Callable[[Path], AnyServer], folder: Path) -> Iterator[AnyServer]:
    try:
        server = make(folder)
    except MissingProgramsError as error:
        pytest.fail(str(error), pytrace=False)
    server.start()
    try:
        yield server
    finally:
        # Quicker than an orderly stop, and nothing is to be kept.
        server.kill()
    # pytest keeps the folders of the last sessions; a cluster in each would fill the disk.
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with _running(Postgres, tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    with _running(RabbitMQ, tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CephGateway]:
    with _running(CephGateway, tmp_path_factory.mktemp("s3")) as server:
        yield server
