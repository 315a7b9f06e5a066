"""Webhooks of real processes: every event of a run arrives, also when a gateway is killed."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from e2e.conftest import Embedded
from e2e.processes import SPEC, Service, alive, finish, free_port, ready, wait_for
from webhook_receiver import Receiver, receiving, status

from forgetscope.client import Client

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def test_every_event_of_a_run_arrives_signed_though_the_receiver_fails_at_times(
    embedded: Embedded, undisturbed: str, receiver: Receiver
) -> None:
    client = embedded.client
    receiver.answers = [status(500), status(307, Location=f"http://127.0.0.1:{receiver.port}/x")]
    made = client.webhooks.add(receiver.url)
    short = {**SPEC, "analysis": {"bootstrap_replicates": 501}}  # only its analysis is new
    experiment = client.submit(short)
    finish(client, experiment)
    known = {e.id: e for e in client.events(experiment) if e.type != "stage.progress"}
    assert {"experiment.submitted", "experiment.succeeded", "stage.succeeded"} <= {
        e.type for e in known.values()
    }
    receiver.wait_for(lambda arrived: len({one.id for one in arrived}) == len(known))
    receiver.wait_for(lambda arrived: len(arrived) == len(known) + 2)
    for one in receiver.arrived:
        message = one.message(made.secret)
        assert message.model_dump(exclude={"run", "links"}) == known[message.id].model_dump()
    assert {one.path for one in receiver.arrived} == {"/in"}
    client.webhooks.delete(made.id)


def test_a_delivery_whose_gateway_is_killed_arrives_after_its_restart(
    receiver: Receiver, tmp_path: Path
) -> None:
    port, hangs = free_port(), threading.Event()

    def hang(_handler: BaseHTTPRequestHandler) -> None:
        hangs.wait(60)

    receiver.answers = [hang]
    gateway = Service(
        "serve",
        environment={
            "FORGETSCOPE_HOME_DIR": str(tmp_path),
            "FORGETSCOPE_PORT": str(port),
            "FORGETSCOPE_ENGINES": "transformers",
            "FORGETSCOPE_POLL_SECONDS": "0.2",
            "FORGETSCOPE_WEBHOOK_HOSTS": f"127.0.0.1:{receiver.port}",
            "FORGETSCOPE_WEBHOOK_TIMEOUT_SECONDS": "2",
        },
        log=tmp_path / "gateway.log",
    )
    try:
        with Client(f"http://127.0.0.1:{port}") as client:
            wait_for("the gateway is ready", lambda: ready(client), seconds=60)
            made = client.webhooks.add(receiver.url, events=("experiment.submitted",))
            experiment = client.submit(SPEC)
            receiver.wait_for(lambda arrived: len(arrived) == 1)
            gateway.kill()
            hangs.set()
            gateway.restart()
            receiver.wait_for(lambda arrived: len(arrived) == 2)
            wait_for("the gateway is ready again", lambda: ready(client), seconds=60)
            first, second = receiver.arrived
            assert (first.id, first.body) == (second.id, second.body)
            message = second.message(made.secret)
            assert message.run is not None and message.run.id == experiment
            (delivery,) = client.webhooks.deliveries(made.id)
            assert delivery.attempts[0].error == "the gateway ended before the answer came"
            pid = gateway.process.pid
    finally:
        hangs.set()
        gateway.stop()
    assert not alive(pid)
    assert '"level": "error"' not in gateway.tail() and made.secret not in gateway.log.read_text()
