import json
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from api.conftest import Gateway, claim_any, finish_all, running_gateway, spec_with
from api.test_experiments import problem, submit

from forgetscope.client import Client, NotFound, Unreachable


def read(response: httpx.Response, count: int | None = None) -> list[dict[str, Any]]:
    """Events of a stream: the first `count`, or all until it ends."""
    events: list[dict[str, Any]] = []
    event: dict[str, Any] = {}
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if name in {"id", "event", "data"}:
            event[name] = value
        elif not line and event:
            events.append({**json.loads(event["data"]), "sse": (event["id"], event["event"])})
            event = {}
            if len(events) == count:
                break
    return events


def submit_and_cancel(http: httpx.Client, spec: dict[str, Any]) -> str:
    experiment = submit(http, spec)
    assert http.post(f"/v1/experiments/{experiment}/cancel").status_code == 202
    return experiment


def test_a_stream_tells_everything_in_order_and_ends_with_the_experiment(
    fresh_gateway: Gateway, tmp_path: Path
) -> None:
    with httpx.Client(base_url=fresh_gateway.url, timeout=30) as http:
        address = f"/v1/experiments/{submit(http, spec_with(1))}/events"
        worker = threading.Thread(target=finish_all, args=(fresh_gateway.platform, tmp_path))
        with http.stream("GET", address) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            worker.start()
            events = read(response)
        worker.join()
        assert [e["id"] for e in events] == list(range(1, len(events) + 1))
        assert all(e["sse"] == (str(e["id"]), e["type"]) for e in events)
        assert events[0]["type"] == "experiment.submitted"
        assert events[-1]["type"] == "experiment.succeeded"
        assert {"stage.running", "stage.progress", "stage.succeeded"} <= {e["type"] for e in events}
        view = http.get(address.removesuffix("/events")).json()
        assert view["last_event"] == events[-1]["id"]
        with http.stream("GET", address, params={"after": view["last_event"]}) as response:
            assert read(response) == []


def test_a_stream_goes_on_after_the_last_event_that_was_received(
    http: httpx.Client, gateway: Gateway
) -> None:
    address = f"/v1/experiments/{submit_and_cancel(http, spec_with(2))}/events"
    with http.stream("GET", address) as response:
        first = read(response, 3)
    headers = {"Last-Event-ID": str(first[1]["id"])}
    with http.stream("GET", address, headers=headers, params={"after": 0}) as response:
        assert read(response, 1) == first[2:]
    with http.stream("GET", address, params={"after": first[1]["id"]}) as response:
        assert read(response, 1) == first[2:]


def test_events_are_also_pages_of_json(http: httpx.Client) -> None:
    address = f"/v1/experiments/{submit_and_cancel(http, spec_with(3))}/events"
    headers = {"Accept": "application/json"}
    first = http.get(address, headers=headers, params={"limit": 2}).json()
    assert [e["id"] for e in first["items"]] == [1, 2]
    rest = http.get(address, headers=headers, params={"after": first["next_cursor"]}).json()
    assert rest["items"][0]["id"] == 3 and rest["next_cursor"] is None


@pytest.mark.parametrize("place", ["-1", "x", "1.5", "99999999999999999999"])
def test_a_place_that_cannot_be_is_refused(http: httpx.Client, place: str) -> None:
    address = f"/v1/experiments/{submit(http, spec_with(3))}/events"
    problem(http.get(address, headers={"Last-Event-ID": place}), 422, "invalid-input")
    problem(http.get(address, params={"after": place}), 422, "invalid-input")


def test_the_client_follows_across_a_restart_of_the_gateway_without_gap_or_repetition(
    tmp_path: Path,
) -> None:
    with running_gateway(tmp_path) as first:
        port = int(first.url.rsplit(":", 1)[1])
        client = Client(first.url, retries=200, sleep=lambda _s: time.sleep(0.05))
        experiment = client.submit(spec_with(4))
        events = client.events(experiment)
        seen = [next(events).id, next(events).id]
        assert claim_any(first.platform) is not None
    restarted: list[Gateway] = []
    stop = threading.Event()

    def restart() -> None:
        time.sleep(0.3)
        with running_gateway(tmp_path, port) as again:
            restarted.append(again)
            again.platform.records.sweep(max_attempts=3, ring_after_seconds=0)
            again.platform.records.cancel_experiment(experiment)
            claim_ended(again)
            stop.wait(20)

    def claim_ended(again: Gateway) -> None:
        for stage in client.stages(experiment, state="running"):
            again.platform.records.cancelled(stage.key, stage.attempt, log_tail="")

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        rest = [event.id for event in events]
    finally:
        stop.set()
        thread.join()
        client.close()
    assert seen + rest == list(range(1, len(seen + rest) + 1))
    with (
        Client(first.url, retries=1, sleep=lambda _s: None) as client,
        pytest.raises(Unreachable),
    ):
        client.get(experiment)


def test_following_what_is_not_there_fails_at_once(gateway: Gateway) -> None:
    with Client(gateway.url) as client, pytest.raises(NotFound):
        next(client.events("00000000-0000-4000-8000-000000000000"))
