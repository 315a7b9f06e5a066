"""The other side of an endpoint may do anything: a small server here does it.

What a real server does is in tests/e2e/test_endpoints.py.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from endpoint_peer import LIMIT, Body, Peer, echo
from pydantic import SecretStr

from forgetscope.adapters import _endpoint_http as adapter
from forgetscope.adapters.endpoint import HttpEndpoints
from forgetscope.app.endpoints import look_at, require_same
from forgetscope.core.endpoints import Echo, Refused
from forgetscope.ports.endpoint import Patience
from forgetscope.schema.endpoint import EndpointModel
from forgetscope.schema.errors import (
    DataChanged,
    EndpointNotAllowed,
    InvalidInput,
    Unavailable,
    UnknownName,
)

SECRET = "s3cret-token"


@pytest.fixture
def peer() -> Iterator[Peer]:
    running = Peer()
    yield running
    running.stop()


def caller(peer: Peer, seconds: float = 10, **changes: Any) -> HttpEndpoints:
    values = {"allowed": [peer.url], "tokens": {}, "sleep": lambda _: None, **changes}
    return HttpEndpoints(patience=Patience(seconds, 3), **values)


def test_texts_get_their_own_answers_in_whatever_order_and_requests(peer: Peer) -> None:
    texts = [f"text {'x' * (i % 7)} {i}" for i in range(40)]
    found = caller(peer).echo(peer.model, texts, LIMIT)
    assert [e.tokens for e in found if isinstance(e, Echo)] == [tuple(t.split(" ")) for t in texts]
    assert sorted(len(body["prompt"]) for _, _, body in peer.asked) == [8, 16, 16]


def test_a_text_that_may_be_too_long_is_asked_for_alone(peer: Peer) -> None:
    texts = ["a b", "word " * LIMIT, "c d"]
    first, long, last = caller(peer).echo(peer.model, texts, LIMIT)
    assert isinstance(first, Echo) and isinstance(last, Echo)
    assert isinstance(long, Refused) and "offensive" not in long.reason


def test_only_addresses_that_are_allowed_are_called(peer: Peer) -> None:
    port = peer.url.rpartition(":")[2]
    for prefix in (
        "http://127.0.0.1",
        f"http://127.0.0.1:{port[:-1]}",
        f"{peer.url}/v2",
        f"{peer.url}/v",
    ):
        with pytest.raises(EndpointNotAllowed, match="may not call"):
            caller(peer, allowed=[prefix]).served(peer.model)
    with pytest.raises(EndpointNotAllowed):
        caller(peer, allowed=[]).served(peer.model)
    assert peer.asked == []
    for prefix in (peer.url, f"{peer.url}/v1/", f"{peer.url}/"):
        assert caller(peer, allowed=[prefix]).served(peer.model).id == "m"


def test_a_redirect_is_not_followed(peer: Peer) -> None:
    peer.says(307, Location="http://127.0.0.1:1/v1/models")
    with pytest.raises(InvalidInput, match="redirects"):
        caller(peer).served(peer.model)
    assert len(peer.asked) == 1


def test_the_token_goes_where_it_belongs_and_into_no_log(
    peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = {peer.url: SecretStr("other"), f"{peer.url}/v1": SecretStr(SECRET)}
    endpoints = caller(peer, tokens=tokens)
    endpoints.served(peer.model)
    peer.says(401)
    with pytest.raises(InvalidInput, match="token") as refused:
        endpoints.served(peer.model)
    assert peer.asked[0][1]["Authorization"] == f"Bearer {SECRET}"
    assert SECRET not in caplog.text + str(refused.value) + repr(endpoints._caller.__dict__)
    caller(peer, tokens={"http://127.0.0.1": SecretStr(SECRET)})
    elsewhere = caller(peer, tokens={"http://example.org": SecretStr(SECRET)})
    peer.answer = peer.well
    elsewhere.served(peer.model)
    assert "Authorization" not in peer.asked[-1][1]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_is_asked_again_when_it_says(peer: Peer, status: int) -> None:
    waits: list[float] = []

    def answer(path: str, body: Body) -> tuple[int, dict[str, str], bytes]:
        if len(peer.asked) < 3:
            return status, {"Retry-After": ("7", "86400")[len(peer.asked) - 1]}, b""
        return peer.well(path, body)

    peer.answer = answer
    assert caller(peer, sleep=waits.append).served(peer.model).id == "m"
    assert waits == [7, adapter.MAX_WAIT_SECONDS]
    peer.says(status)
    with pytest.raises(Unavailable, match=f"HTTP {status}"):
        caller(peer).served(peer.model)
    assert len(peer.asked) == 6


def test_a_server_that_does_not_answer_in_time_or_at_all_is_away(peer: Peer) -> None:
    held = threading.Event()

    def hang(*_: object) -> tuple[int, dict[str, str], bytes]:
        held.wait(20)
        return 200, {}, b""

    peer.answer = hang
    try:
        with pytest.raises(Unavailable, match="ReadTimeout"):
            caller(peer, seconds=0.1).served(peer.model)
    finally:
        held.set()
    gone = EndpointModel(source="endpoint", url="http://127.0.0.1:1", model="m")
    with pytest.raises(Unavailable, match="ConnectError"):
        caller(peer, allowed=[gone.url]).served(gone)


def test_an_answer_without_end_is_cut_off(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "MAX_ANSWER_BYTES", 1 << 20)
    peer.answer = lambda *_: (200, {"Content-Length": str(1 << 40)}, b" " * (2 << 20))
    with pytest.raises(InvalidInput, match="more than 1 MiB"):
        caller(peer).served(peer.model)


def without(**parts: object) -> Callable[[str, Body], tuple[int, dict[str, str], bytes]]:
    def answer(_: str, body: Body) -> tuple[int, dict[str, str], bytes]:
        choices = [choice | parts for choice in echo(body)["choices"]]
        return 200, {}, json.dumps({"choices": choices}).encode()

    return answer


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"logprobs": None}, "returns no log-probabilities of the prompt"),
        ({"logprobs": {"tokens": ["a"], "token_logprobs": []}}, "more tokens than"),
        ({"logprobs": {"tokens": ["a"]}}, r"choices.0.logprobs.token_logprobs"),
        ({"text": "a b and what follows"}, "another text than the prompt"),
        ({"index": 5}, "1 prompts got 1 answers"),
        (
            {"logprobs": {"tokens": ["a"] * 99, "token_logprobs": [-1.0] * 99}},
            "than the prompt has",
        ),
    ],
)
def test_a_server_that_lacks_something_is_told_what(peer: Peer, parts: Body, said: str) -> None:
    peer.answer = without(**parts)
    with pytest.raises(InvalidInput, match=said) as error:
        caller(peer).echo(peer.model, ["a b"], LIMIT)
    assert "echo: true" in (error.value.hint or "")


def test_what_is_no_completions_server_is_said_to_be_none(peer: Peer) -> None:
    for status, body, said in (
        (200, "hello", "not as expected"),
        (404, {}, "HTTP 404"),
        (400, {}, "HTTP 400"),
    ):
        peer.says(status, body)
        with pytest.raises(InvalidInput, match=said):
            caller(peer).served(peer.model)
    peer.answer = peer.well
    other = peer.model.model_copy(update={"model": "n"})
    with pytest.raises(UnknownName, match="no model 'n'"):
        caller(peer).served(other)


def test_a_model_that_is_exchanged_is_found_out(peer: Peer) -> None:
    endpoints = caller(peer)
    planned = look_at(endpoints, peer.model)
    require_same(planned, look_at(endpoints, peer.model))

    peer.answer = peer.tuned
    now = look_at(endpoints, peer.model)
    assert now.fingerprint != planned.fingerprint
    with pytest.raises(DataChanged, match=r"moved by up to 0\.01 nats"):
        require_same(planned, now)
    assert DataChanged.permanent
