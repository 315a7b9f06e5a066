"""Webhooks over HTTP, by the client and by the command line; a real receiver, real deliveries."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from api.conftest import Gateway, finish_all, spec_with
from api.test_experiments import problem
from standardwebhooks.webhooks import Webhook
from typer.testing import CliRunner
from webhook_receiver import Receiver, receiving, status

from forgetscope.cli.main import app
from forgetscope.client import BadSignature, Client, InvalidRequest, NotFound
from forgetscope.schema.webhooks import DEFAULT_EVENTS, WebhookChange
from forgetscope.wiring.deliveries import delivering
from forgetscope.wiring.settings import Settings


@pytest.fixture(scope="module", autouse=True)
def at_work(gateway: Gateway) -> Iterator[None]:
    settings = Settings(
        home_dir=gateway.home, poll_seconds=0.05, webhook_retry_seconds=0.05, webhook_attempts=3
    )
    with delivering(gateway.platform, settings):
        yield


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def client(gateway: Gateway) -> Iterator[Client]:
    with Client(gateway.url) as made:
        yield made
        for webhook in list(made.webhooks.list()):
            made.webhooks.delete(webhook.id)


def eventually(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_events_of_a_run_arrive_signed_and_are_those_of_the_stream(
    client: Client, gateway: Gateway, receiver: Receiver, tmp_path: Path
) -> None:
    made = client.webhooks.add(receiver.url)
    experiment = client.submit(spec_with(801))
    finish_all(gateway.platform, tmp_path)
    known = {e.id: e for e in client.events(experiment) if e.type != "stage.progress"}
    receiver.wait_for(lambda arrived: len(arrived) >= len(known))
    messages = [one.message(made.secret) for one in receiver.arrived]
    assert {m.id: m.type for m in messages} == {e.id: e.type for e in known.values()}
    for one, message in zip(receiver.arrived, messages, strict=True):
        assert Webhook(made.secret).verify(one.body, one.headers)["type"] == message.type
        assert message.run is not None
        assert (message.run.id, message.run.kind) == (experiment, "experiment")
        assert message.links["self"] == f"/v1/experiments/{experiment}"
        sent = message.model_dump(exclude={"run", "links"})
        assert sent == known[message.id].model_dump()
        with pytest.raises(BadSignature):
            one._replace(body=one.body + b" ").message(made.secret)
    assert len({one.id for one in receiver.arrived}) == len(known)
    eventually(lambda: all(d.state == "delivered" for d in client.webhooks.deliveries(made.id)))
    assert client.webhooks.get(made.id).failures == 0


def test_a_receiver_that_fails_twice_gets_the_same_message_a_third_time(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers = [status(500, b"down"), status(503)]
    made = client.webhooks.add(receiver.url)
    delivery = client.webhooks.test(made.id)
    assert (delivery.type, delivery.run, delivery.state) == ("webhook.test", None, "pending")
    eventually(lambda: client.webhooks.delivery(made.id, delivery.id).state == "delivered")
    detail = client.webhooks.delivery(made.id, delivery.id)
    assert [(a.status, a.error, a.excerpt) for a in detail.attempts] == [
        (500, "answered by 500", "down"),
        (503, "answered by 503", ""),
        (204, None, None),
    ]
    assert {(one.id, one.body) for one in receiver.arrived} == {
        (delivery.id, detail.message.model_dump_json().encode())
    }


def test_a_webhook_that_keeps_failing_stays_and_says_so_and_is_sent_again_when_asked(
    client: Client, receiver: Receiver
) -> None:
    receiver.answers = [status(302, Location="http://127.0.0.1:1/private")] * 3
    made = client.webhooks.add(receiver.url)
    delivery = client.webhooks.test(made.id)
    eventually(lambda: client.webhooks.delivery(made.id, delivery.id).state == "failed")
    view = client.webhooks.get(made.id)
    assert (view.active, view.failures) == (True, 3)
    assert view.last_error == "answered by 302: redirects are not followed"
    assert len(receiver.arrived) == 3
    assert [d.id for d in client.webhooks.deliveries(made.id, state="failed")] == [delivery.id]
    assert client.webhooks.redeliver(made.id, delivery.id).state == "pending"
    eventually(lambda: client.webhooks.delivery(made.id, delivery.id).state == "delivered")
    assert client.webhooks.get(made.id).failures == 0


def test_a_secret_is_shown_once_and_can_be_replaced(
    client: Client, http: httpx.Client, receiver: Receiver
) -> None:
    made = client.webhooks.add(receiver.url)
    assert made.secret.startswith("whsec_")
    for path in ("/v1/webhooks", f"/v1/webhooks/{made.id}"):
        assert "whsec" not in http.get(path).text
    new = client.webhooks.rotate(made.id)
    assert new.secret != made.secret and new.previous_secret_until is not None
    client.webhooks.test(made.id)
    receiver.wait_for(lambda arrived: len(arrived) == 1)
    for secret in (made.secret, new.secret):
        receiver.arrived[0].message(secret)


@pytest.mark.parametrize(
    "url",
    [
        *("http://10.0.0.1/", "http://localhost/", "http://[::1]/", "http://169.254.169.254/"),
        *("https://ci.example/", "http://user:pw@127.0.0.1/", "http://127.1/"),
    ],
)
def test_a_forbidden_address_is_refused_with_its_reason_and_leaves_no_trace(
    http: httpx.Client, client: Client, url: str
) -> None:
    body = problem(http.post("/v1/webhooks", json={"url": url}), 422, "target-not-allowed")
    assert [fault["pointer"] for fault in body["errors"]] == ["/url"]
    assert body["hint"]
    assert list(client.webhooks.list()) == []


def test_a_change_to_a_forbidden_address_changes_nothing(
    client: Client, receiver: Receiver
) -> None:
    made = client.webhooks.add(receiver.url, description="mine")
    with pytest.raises(InvalidRequest, match="allow-list"):
        client.webhooks.change(made.id, WebhookChange(url="http://10.0.0.1/", active=False))
    assert client.webhooks.get(made.id).url == receiver.url
    changed = client.webhooks.change(made.id, WebhookChange(active=False, run="audit"))
    assert (changed.active, changed.run, changed.description) == (False, "audit", "mine")
    assert changed.events == DEFAULT_EVENTS and "stage.progress" not in changed.events


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"url": "ftp://127.0.0.1/"}, "/url"),
        ({"url": "http://127.0.0.1/", "events": ["none"]}, "/events/0"),
        ({"url": "http://127.0.0.1/", "events": []}, "/events"),
        ({"url": "http://127.0.0.1/", "secret": "mine"}, "/secret"),
        ({}, "/url"),
    ],
)
def test_a_wrong_field_is_pointed_to(
    http: httpx.Client, body: dict[str, object], pointer: str
) -> None:
    answer = problem(http.post("/v1/webhooks", json=body), 422, "invalid-input")
    assert answer["errors"][0]["pointer"] == pointer


def test_what_is_not_there_is_not_found(client: Client, receiver: Receiver) -> None:
    made = client.webhooks.add(receiver.url)
    nobody = "00000000-0000-4000-8000-000000000000"
    for ask in (
        lambda: client.webhooks.get(nobody),
        lambda: client.webhooks.test(nobody),
        lambda: client.webhooks.rotate(nobody),
        lambda: client.webhooks.delete(nobody),
        lambda: client.webhooks.change(nobody, WebhookChange(active=True)),
        lambda: client.webhooks.delivery(made.id, "evt_none"),
        lambda: client.webhooks.redeliver(made.id, "evt_none"),
        lambda: next(client.webhooks.deliveries(nobody)),
    ):
        with pytest.raises(NotFound):
            ask()


def test_the_command_line_goes_the_whole_way(
    client: Client, gateway: Gateway, receiver: Receiver
) -> None:
    runner = CliRunner(env={"FORGETSCOPE_URL": gateway.url, "COLUMNS": "250"})

    def run(*arguments: str, status: int = 0) -> str:
        result = runner.invoke(app, ["webhook", *arguments])
        assert result.exit_code == status, result.output
        return result.stdout if status == 0 else result.stderr

    made, secret = run("add", receiver.url, "--event", "audit.failed", "--run", "audit").split()
    delivery = run("test", made).strip()
    receiver.wait_for(lambda arrived: len(arrived) == 1)
    assert receiver.arrived[0].message(secret).type == "webhook.test"
    eventually(lambda: "delivered" in run("deliveries", made))
    assert delivery in run("deliveries", made, "--state", "delivered")
    assert "pending" in run("redeliver", made, delivery)
    receiver.wait_for(lambda arrived: len(arrived) == 2)
    assert receiver.url in run("list") and "audit.failed; audits only" in run("list")
    assert "active" in run("show", made)
    assert "paused" in run("change", made, "--paused")
    assert run("rotate", made).startswith("whsec_")
    assert "allow-list" in run("add", "http://10.0.0.1/", status=3)
    run("remove", made)
    assert "no webhook" in run("show", made, status=3)
