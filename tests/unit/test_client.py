import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

import forgetscope.client
from forgetscope.client import (
    Answered,
    BadAnswer,
    Client,
    ClientError,
    Conflict,
    InvalidRequest,
    NotFound,
    ServerFailed,
    Unreachable,
)
from forgetscope.client._events import data_of
from forgetscope.schema.plan import StageLabel
from forgetscope.schema.views import ArtifactView, EventView, Problem

Handler = Callable[[httpx.Request], httpx.Response]
ID = "00000000-0000-4000-8000-000000000001"
SUBMITTED = {"id": ID, "links": {}}


def client_of(handler: Handler, **options: object) -> Client:
    transport = httpx.MockTransport(handler)
    return Client("http://server", transport=transport, sleep=lambda _s: None, **options)  # type: ignore[arg-type]


def scripted(*steps: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    """A server that answers in turn; the requests are kept."""
    left, seen = list(steps), list[httpx.Request]()

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        step = left.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    return handle, seen


def refusal(status: int) -> httpx.Response:
    problem = Problem(type="/problems/x", title="X", status=status, detail="why")
    return httpx.Response(status, text=problem.model_dump_json())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (404, NotFound),
        (409, Conflict),
        (413, InvalidRequest),
        (422, InvalidRequest),
        (500, ServerFailed),
    ],
)
def test_a_refusal_carries_its_problem_and_survives_pickling(
    status: int, kind: type[Answered]
) -> None:
    handler, seen = scripted(refusal(status))
    with client_of(handler) as client, pytest.raises(kind) as caught:
        client.get(ID)
    assert (caught.value.problem.status, str(caught.value), len(seen)) == (status, "why", 1)
    assert pickle.loads(pickle.dumps(caught.value)).problem == caught.value.problem


def test_a_lost_answer_of_a_submission_is_asked_for_again_with_the_same_key() -> None:
    handler, seen = scripted(
        httpx.ReadError("lost"), refusal(503), httpx.Response(202, json=SUBMITTED)
    )
    with client_of(handler) as client:
        assert client.submit({"tasks": ["arc"], "chains": [["arc"]]}) == ID
    keys = {request.headers["idempotency-key"] for request in seen}
    assert (len(seen), len(keys)) == (3, 1)


def test_two_submissions_have_different_keys() -> None:
    handler, seen = scripted(*[httpx.Response(202, json=SUBMITTED)] * 3)
    with client_of(handler) as client:
        client.submit({})
        client.submit({})
        client.submit({}, idempotency_key="mine")
    keys = [request.headers["idempotency-key"] for request in seen]
    assert keys[0] != keys[1] and keys[2] == "mine"


def test_a_cancellation_is_only_repeated_when_it_cannot_have_arrived() -> None:
    handler, seen = scripted(httpx.ConnectError("refused"), httpx.ReadError("lost"))
    with client_of(handler) as client, pytest.raises(Unreachable, match="lost"):
        client.cancel(ID)
    assert len(seen) == 2


def test_tries_are_bounded_and_the_last_refusal_is_told() -> None:
    handler, seen = scripted(*[refusal(503)] * 3)
    with client_of(handler, retries=2) as client, pytest.raises(ServerFailed):
        client.get(ID)
    assert len(seen) == 3


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>hello</html>"),
        httpx.Response(200, json={"id": 5}),
        httpx.Response(404, text="not here"),
        httpx.Response(302, headers={"location": "http://elsewhere"}),
    ],
)
def test_an_answer_of_something_else_is_told_apart(answer: httpx.Response) -> None:
    handler, _ = scripted(answer)
    with client_of(handler) as client, pytest.raises(BadAnswer, match="ForgetScope server"):
        client.get(ID)


def test_a_list_asks_for_the_next_page_when_it_is_needed() -> None:
    def page(name: str, cursor: str | None) -> httpx.Response:
        item = {"id": ID, "name": name, "state": "queued", "created_at": 0, "stages": {}}
        return httpx.Response(200, json={"items": [item], "next_cursor": cursor})

    handler, seen = scripted(page("a", "c"), page("b", None))
    with client_of(handler) as client:
        found = client.list(state="queued")
        assert (next(found).name, len(seen)) == ("a", 1)
        assert [e.name for e in found] == ["b"]
    assert dict(seen[1].url.params) == {"state": "queued", "cursor": "c"}


def test_an_id_cannot_lead_elsewhere() -> None:
    handler, seen = scripted(refusal(404))
    with client_of(handler) as client, pytest.raises(NotFound):
        client.get("../tasks?x=1")
    assert seen[0].url.raw_path == b"/v1/experiments/..%2Ftasks%3Fx%3D1"


def test_server_sent_events_are_read_as_their_standard_says() -> None:
    lines = [
        ": ping",
        "",
        "id: 1",
        "data: a",
        "data:b",
        "",
        "event: x",
        "",
        "data",
        "",
        "data: cut",
    ]
    assert list(data_of(lines)) == ["a\nb", ""]


class Stream(httpx.SyncByteStream):
    """Chunks, then the end or an error."""

    def __init__(self, *chunks: bytes | Exception) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk


def sse(number: int) -> bytes:
    event = EventView(id=number, type="stage.progress", at=0)
    return f"id: {number}\nevent: {event.type}\ndata: {event.model_dump_json()}\n\n".encode()


def view(state: str) -> httpx.Response:
    spec = {"tasks": ["arc"], "chains": [["arc"]]}
    body = {"id": ID, "name": "n", "state": state, "created_at": 0, "stages": {}, "spec": spec}
    return httpx.Response(
        200,
        json=body
        | {"engine": "e", "engine_reason": "r", "eta_basis": "b", "last_event": 0, "links": {}},
    )


def test_events_go_on_after_a_lost_connection_without_gap_or_repetition() -> None:
    handler, seen = scripted(
        httpx.Response(200, stream=Stream(sse(1), sse(2)[:20], httpx.ReadError("lost"))),
        httpx.ConnectError("down"),
        refusal(503),
        httpx.Response(200, stream=Stream(sse(2), sse(3)[:30])),
        httpx.Response(200, stream=Stream(sse(3))),
        httpx.Response(200, stream=Stream(b": ping\n\n")),
        view("running"),
        httpx.Response(200, stream=Stream(sse(4))),
        httpx.Response(200, stream=Stream()),
        view("succeeded"),
    )
    with client_of(handler) as client:
        assert [event.id for event in client.events(ID)] == [1, 2, 3, 4]
    asked = [r.headers["last-event-id"] for r in seen if "last-event-id" in r.headers]
    assert asked == ["0", "1", "1", "1", "2", "3", "3", "4"]


def test_events_give_up_when_no_connection_can_be_made() -> None:
    handler, seen = scripted(*[httpx.ConnectError("down")] * 3)
    with client_of(handler, retries=2) as client, pytest.raises(Unreachable, match="down"):
        next(client.events(ID))
    assert len(seen) == 3


def test_a_download_appears_whole_and_right_or_not_at_all(tmp_path: Path) -> None:
    artifact = ArtifactView(
        stage="0" * 64,
        kind="train",
        label=StageLabel(title="t"),
        path="a.txt",
        digest="ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        size=1,
        media_type="text/plain",
        href="/v1/a b",
    )
    handler, seen = scripted(
        httpx.Response(200, content=b"b"),
        httpx.Response(200, stream=Stream(b"a", httpx.ReadError("lost"))),
        refusal(404),
        httpx.Response(200, content=b"a"),
    )
    target = tmp_path / "a.txt"
    with client_of(handler) as client:
        for error in (BadAnswer, Unreachable, NotFound):
            with pytest.raises(error):
                client.download(artifact, target)
            assert list(tmp_path.iterdir()) == []
        client.download(artifact, target)
    assert target.read_bytes() == b"a" and list(tmp_path.iterdir()) == [target]
    assert seen[0].url.raw_path == b"/v1/a%20b"


def test_a_specification_is_sent_as_it_was_given() -> None:
    handler, seen = scripted(httpx.Response(202, json=SUBMITTED))
    with client_of(handler) as client:
        client.submit({"tasks": ["arc"], "chains": [["arc"]]})
    assert json.loads(seen[0].content) == {"tasks": ["arc"], "chains": [["arc"]]}
    assert seen[0].headers["content-type"] == "application/json"


def test_whatever_the_server_or_the_way_to_it_can_raise_is_a_client_error() -> None:
    errors = {
        value
        for name in forgetscope.client.__all__
        if isinstance(value := getattr(forgetscope.client, name), type)
        and issubclass(value, Exception)
    }
    assert len(errors) > 5
    assert all(issubclass(error, ClientError) for error in errors)
