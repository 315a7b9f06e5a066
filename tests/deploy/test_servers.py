"""The test servers are the real ones: what they acknowledged outlives a kill."""

import io
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError

import kombu
import psycopg
import pytest
from minio import Minio
from servers_fixtures import CephGateway, Postgres, RabbitMQ

ROOT = Path(__file__).parents[2]
# RabbitMQ writes its list of quorum queues to disk this late.
QUEUE_ON_DISK_SECONDS = 5


def client(s3: CephGateway, secret_key: str | None = None) -> Minio:
    return Minio(
        endpoint=s3.endpoint,
        access_key=s3.access_key,
        secret_key=secret_key or s3.secret_key,
        secure=False,
        region="us-east-1",
    )


def test_a_committed_row_outlives_a_killed_postgres(postgres: Postgres) -> None:
    url = postgres.create_database("outlives_kill").replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('kept')")
    postgres.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    postgres.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT word FROM kept").fetchall() == [("kept",)]


def test_postgres_wants_the_password(postgres: Postgres) -> None:
    address = postgres.url.rpartition("@")[2]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://forgetscope:wrong@{address}")


def test_a_confirmed_message_in_a_quorum_queue_outlives_a_killed_broker(
    rabbitmq: RabbitMQ,
) -> None:
    url = rabbitmq.create_vhost("outlives-kill")
    with kombu.Connection(url, transport_options={"confirm_publish": True}) as connection:
        channel = connection.channel()
        kombu.Queue(
            "rings", channel=channel, durable=True, queue_arguments={"x-queue-type": "quorum"}
        ).declare()
        kombu.Producer(channel).publish({"stage": "abc"}, routing_key="rings")
    time.sleep(QUEUE_ON_DISK_SECONDS)
    rabbitmq.kill()
    rabbitmq.start()
    with kombu.Connection(url) as connection:
        queue = kombu.Queue("rings", channel=connection.channel())
        message = None
        deadline = time.monotonic() + 10
        while message is None and time.monotonic() < deadline:
            message = queue.get(no_ack=True)
        assert message is not None
        assert message.payload == {"stage": "abc"}


def test_an_acknowledged_object_outlives_a_killed_gateway_and_its_storage(s3: CephGateway) -> None:
    s3.ensure_bucket("outlives-kill")
    s3.ensure_bucket("outlives-kill")
    body = os.urandom(6 << 20)
    client(s3).put_object(
        bucket_name="outlives-kill", object_name="a/b", data=io.BytesIO(body), length=len(body)
    )
    s3.kill()
    s3.start()
    objects = client(s3).list_objects(bucket_name="outlives-kill", recursive=True)
    assert [item.object_name for item in objects] == ["a/b"]
    link = client(s3).presigned_get_object(bucket_name="outlives-kill", object_name="a/b")
    with urllib.request.urlopen(link, timeout=10) as answer:
        assert answer.read() == body


def test_the_gateway_refuses_a_wrong_signature(s3: CephGateway) -> None:
    s3.ensure_bucket("signed")
    link = client(s3, secret_key="wrong").presigned_get_object(
        bucket_name="signed", object_name="a"
    )
    with pytest.raises(HTTPError, match="403") as refusal:
        urllib.request.urlopen(link, timeout=10)
    refusal.value.close()


def test_two_servers_run_side_by_side_and_stop_alone(postgres: Postgres, tmp_path: Path) -> None:
    with Postgres(tmp_path) as other:
        assert other.url != postgres.url
        psycopg.connect(other.url.replace("+psycopg", "")).close()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(other.url.replace("+psycopg", ""))
    psycopg.connect(postgres.url.replace("+psycopg", "")).close()


def test_a_server_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time; from deploy.dev.servers import Postgres\n"
        "server = Postgres(pathlib.Path(sys.argv[1])); server.start()\n"
        "print(server.url, flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with starter:
        assert starter.stdout is not None
        url = starter.stdout.readline().strip().replace("+psycopg", "")
        psycopg.connect(url).close()
        starter.kill()
    postmaster = int((tmp_path / "data" / "postmaster.pid").read_text().split()[0])
    deadline = time.monotonic() + 10
    with suppress(ProcessLookupError):
        while Path(f"/proc/{postmaster}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    assert not (tmp_path / "data" / "postmaster.pid").exists()


@pytest.mark.timeout(120)
def test_up_prints_the_environment_and_leaves_no_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.dev.servers", "up", "--folder", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as up:
        try:
            assert up.stdout is not None
            lines = [next(up.stdout) for _ in range(9)]
            settings = dict(line.strip().split("=", 1) for line in lines if "=" in line)
            assert set(settings) == {
                f"FORGETSCOPE_{name}"
                for name in (
                    *("WIRING", "DATABASE_URL", "BROKER_URL"),
                    *("S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_BUCKET"),
                )
            }
            assert (tmp_path / "env").read_text() in "".join(lines)
            assert _processes_of(tmp_path)
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(60)
    assert up.returncode == 0
    assert _processes_of(tmp_path) == []


def _processes_of(folder: Path) -> list[str]:
    """Command lines or environments that name the folder, but for the starter's own."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            if str(folder).encode() in words and b"deploy.dev.servers" not in words:
                found.append(words.decode(errors="replace"))
    return found
