"""PostgreSQL, RabbitMQ, an S3 server, and one process per service: as in production."""

import json
import os
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from e2e.conftest import Embedded
from e2e.processes import (
    SPEC,
    Service,
    alive,
    digests,
    finish,
    free_port,
    keys,
    ready,
    running,
    wait_for,
)
from e2e.slow_proxy import SlowProxy

from deploy.dev.servers import CephGateway, Postgres, RabbitMQ
from forgetscope.client import Client, Conflict
from forgetscope.wiring.settings import Settings
from forgetscope.wiring.wires import migrate_records

pytestmark = pytest.mark.timeout(900)


class Distributed:
    """Gateway and workers against fresh database, virtual host and bucket."""

    def __init__(
        self, folder: Path, postgres: Postgres, rabbitmq: RabbitMQ, s3: CephGateway
    ) -> None:
        name = f"fs{uuid.uuid4().hex[:8]}"
        port = free_port()
        address = urlsplit(s3.url)
        self.proxy = SlowProxy(
            (str(address.hostname), int(address.port or 80)),
            bytes_per_second=200_000,
            threshold=50_000,
        )
        self.environment = {
            "FORGETSCOPE_WIRING": "distributed",
            "FORGETSCOPE_DATABASE_URL": postgres.create_database(name),
            "FORGETSCOPE_BROKER_URL": rabbitmq.create_vhost(name),
            "FORGETSCOPE_S3_ENDPOINT": self.proxy.endpoint,
            "FORGETSCOPE_S3_ACCESS_KEY": s3.access_key,
            "FORGETSCOPE_S3_SECRET_KEY": s3.secret_key,
            "FORGETSCOPE_S3_BUCKET": name,
            "FORGETSCOPE_PORT": str(port),
            "FORGETSCOPE_ENGINES": "transformers",
            "FORGETSCOPE_RESUME_SECONDS": "0.5",
            "FORGETSCOPE_LEASE_SECONDS": "5",
            "FORGETSCOPE_POLL_SECONDS": "1",
            "FORGETSCOPE_MAX_ATTEMPTS": "8",
        }
        migrate_records(
            Settings.model_validate(
                {k.removeprefix("FORGETSCOPE_").lower(): v for k, v in self.environment.items()}
            )
        )
        self.folder = folder
        self.client = Client(f"http://127.0.0.1:{port}")
        self.services = {
            "gateway": self._service("gateway", "serve"),
            "train": self._service("train", "worker", "train"),
            "evaluate": self._service("evaluate", "worker", "evaluate"),
            "analyse": self._service("analyse", "worker", "analyse"),
        }
        wait_for("the gateway is ready", lambda: ready(self.client), seconds=60)

    def _service(self, name: str, *command: str) -> Service:
        home = self.folder / name
        home.mkdir()
        environment = self.environment | {"FORGETSCOPE_HOME_DIR": str(home)}
        return Service(*command, environment=environment, log=home / "service.log")

    def stop(self) -> None:
        self.client.close()
        for service in self.services.values():
            service.stop()
        self.proxy.__exit__(None, None, None)


@pytest.fixture(scope="module")
def quiet(
    tmp_path_factory: pytest.TempPathFactory,
    postgres: Postgres,
    rabbitmq: RabbitMQ,
    s3: CephGateway,
) -> Iterator[Distributed]:
    """For the tests that disturb nothing; the last ones, so that no server dies under it."""
    platform = Distributed(tmp_path_factory.mktemp("distributed"), postgres, rabbitmq, s3)
    yield platform
    platform.stop()


@pytest.fixture
def distributed(
    tmp_path: Path, postgres: Postgres, rabbitmq: RabbitMQ, s3: CephGateway
) -> Iterator[Distributed]:
    """With an empty store: what is there already is not uploaded again."""
    platform = Distributed(tmp_path, postgres, rabbitmq, s3)
    yield platform
    platform.stop()


def test_killed_anywhere_the_experiment_ends_in_the_same_bytes(
    distributed: Distributed, embedded: Embedded, undisturbed: str
) -> None:
    """SIGKILL of a worker in mid-training, of a stage process in mid-training, of a worker in
    mid-upload, and of a worker in mid-evaluation."""
    client, services = distributed.client, distributed.services
    experiment_id = client.submit(SPEC)

    wait_for("it trains", lambda: _progressed(client, experiment_id))
    orphans = services["train"].children()
    services["train"].kill()
    wait_for("its stage process is gone", lambda: not any(alive(p) for p in orphans), seconds=20)
    services["train"].restart()

    wait_for("it trains again", lambda: _attempts(client, experiment_id) >= 2, seconds=60)
    before = _attempts(client, experiment_id)
    wait_for("the stage process is up", lambda: bool(services["train"].children()))
    for pid in services["train"].children():
        os.kill(pid, signal.SIGKILL)
    wait_for("it is tried again", lambda: _attempts(client, experiment_id) > before, seconds=60)

    distributed.proxy.slow.set()
    wait_for("it uploads", distributed.proxy.uploading.is_set, seconds=120)
    services["train"].kill()
    distributed.proxy.slow.clear()
    services["train"].restart()

    wait_for("it evaluates", lambda: bool(running(client, experiment_id, "evaluate")))
    services["evaluate"].kill()
    services["evaluate"].restart()

    finish(client, experiment_id, seconds=400)
    assert digests(client, experiment_id) == digests(embedded.client, undisturbed)
    outcomes = {
        attempt.outcome
        for stage in client.stages(experiment_id)
        for attempt in client.stage(experiment_id, stage.key).attempts
    }
    assert {"lost", "failed", "succeeded"} <= outcomes, "a kill that hits nothing proves nothing"


def test_database_broker_and_store_may_die_while_it_runs(
    distributed: Distributed,
    embedded: Embedded,
    undisturbed: str,
    postgres: Postgres,
    rabbitmq: RabbitMQ,
    s3: CephGateway,
) -> None:
    client = distributed.client
    experiment_id = client.submit(SPEC)
    wait_for("it trains", lambda: _progressed(client, experiment_id))
    # Quorum queues of RabbitMQ 3.10 do not survive a kill within their first seconds.
    time.sleep(5)
    for server in (postgres, rabbitmq, s3):
        server.kill()
        time.sleep(2)
        server.start()
        wait_for("the gateway is ready again", lambda: ready(client), seconds=60)
    finish(client, experiment_id, seconds=400)
    assert digests(client, experiment_id) == digests(embedded.client, undisturbed)


def test_both_wirings_give_the_same_keys_and_the_same_bytes(
    quiet: Distributed, embedded: Embedded, undisturbed: str
) -> None:
    experiment_id = quiet.client.submit(SPEC)
    finish(quiet.client, experiment_id)
    assert keys(quiet.client, experiment_id) == keys(embedded.client, undisturbed)
    assert digests(quiet.client, experiment_id) == digests(embedded.client, undisturbed)
    for service in quiet.services.values():
        assert '"level": "error"' not in service.tail()


def test_an_upload_under_a_registered_task_is_the_same_in_both_wirings(
    quiet: Distributed, embedded: Embedded, tmp_path: Path
) -> None:
    """Through PostgreSQL, the S3 server and workers of their own; and what is used stays."""
    rows = tmp_path / "numbers.jsonl"
    rows.write_text(
        "".join(
            json.dumps({"n": f"number {i}", "sort": ["even", "odd"][i % 2], "decade": i // 10})
            + "\n"
            for i in range(160)
        )
    )
    found = []
    for platform in (quiet, embedded):
        client = platform.client
        upload = client.datasets.upload(rows, name="numbers")
        assert upload.rows == 160
        client.tasks.register(
            {
                "name": "parity",
                "kind": "capability",
                "source": {"digest": upload.digest},
                "split": {"hold_out": 0.25},
                "prompt": "Is {{ n }} even or odd?",
                "options": ["even", "odd"],
                "answer": {"column": "sort"},
                "cluster": ["decade"],
            }
        )
        task = {"name": "parity", "train_examples": 64, "evaluation_examples": 20}
        experiment_id = client.submit(
            SPEC | {"tasks": [task], "chains": [["parity"]], "seeds": [0]}
        )
        finish(client, experiment_id)
        found.append((keys(client, experiment_id), digests(client, experiment_id)))
        with pytest.raises(Conflict):
            client.datasets.delete(upload.digest)
    assert found[0] == found[1]


def _progressed(client: Client, experiment_id: str) -> bool:
    return any(
        stage.kind == "train" and stage.state == "running" and stage.progress is not None
        for stage in client.stages(experiment_id)
    )


def _attempts(client: Client, experiment_id: str) -> int:
    return max(stage.attempt for stage in client.stages(experiment_id, kind="train"))
