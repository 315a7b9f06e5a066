"""Uploads as the client sends them."""

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from forgetscope.client import BadAnswer, Client, InvalidRequest, Unreachable
from forgetscope.schema.views import Problem

CONTENT = b'{"q": "a"}\n' * 100_000


def recorded(content: bytes, **change: Any) -> dict[str, Any]:
    view = {"name": "n", "format": "jsonl", "size": len(content), "rows": 1, "columns": {}}
    digest = hashlib.sha256(content).hexdigest()
    return {**view, "digest": digest, "created_at": 1.0, "links": {}, **change}


def client_of(handler: Callable[[httpx.Request], httpx.Response]) -> Client:
    transport = httpx.MockTransport(handler)
    return Client("http://server", transport=transport, sleep=lambda _s: None)


def taking(request: httpx.Request) -> httpx.Response:
    return httpx.Response(201, json=recorded(request.read()))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my questions.jsonl"
    path.write_bytes(CONTENT)
    return path


def test_a_file_is_sent_in_pieces_under_its_name(file: Path) -> None:
    seen: list[httpx.Request] = []
    sent: list[int] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return taking(request)

    with client_of(handle) as client:
        found = client.datasets.upload(file, on_progress=sent.append)
    assert found.digest == hashlib.sha256(CONTENT).hexdigest()
    (request,) = seen
    assert request.url.params["name"] == "my questions.jsonl"
    assert request.headers["content-type"] == "application/x-ndjson"
    assert request.headers["content-length"] == str(len(CONTENT))
    assert sent == sorted(sent) and sent[-1] == len(CONTENT) and len(sent) > 2


def test_an_open_file_is_sent_from_where_it_stands_and_known_by_its_first_bytes() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return taking(request)

    with client_of(handle) as client:
        for content in (b"PAR1 and so on", b"", b"{}"):
            stream = io.BytesIO(b"skipped" + content)
            stream.seek(7)
            found = client.datasets.upload(stream, name="mine")
            assert found.digest == hashlib.sha256(content).hexdigest()
    kinds = [request.headers["content-type"] for request in seen]
    assert kinds == ["application/vnd.apache.parquet", *["application/x-ndjson"] * 2]


def test_a_file_is_sent_again_when_no_answer_came_but_an_open_one_is_not(file: Path) -> None:
    tries = 0

    def lost_once(request: httpx.Request) -> httpx.Response:
        nonlocal tries
        tries += 1
        body = request.read()
        if tries == 1:
            raise httpx.ReadError("lost")
        return httpx.Response(201, json=recorded(body))

    with client_of(lost_once) as client:
        assert client.datasets.upload(file).size == len(CONTENT)
        assert tries == 2
        tries = 0
        with pytest.raises(Unreachable):
            client.datasets.upload(io.BytesIO(CONTENT))
        assert tries == 1


def test_other_bytes_on_the_server_are_noticed(file: Path) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(201, json=recorded(request.read() + b" "))

    with client_of(handle) as client, pytest.raises(BadAnswer, match="other bytes"):
        client.datasets.upload(file)


def test_a_refusal_names_the_row(file: Path) -> None:
    problem = Problem(type="/problems/bad-row", title="B", status=422, detail="n, row 3: broken")

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(422, text=problem.model_dump_json())

    with client_of(handle) as client, pytest.raises(InvalidRequest, match="row 3"):
        client.datasets.upload(file)


def test_lists_follow_their_cursor_and_single_ones_are_got_and_deleted() -> None:
    asked: list[tuple[str, str]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, str(request.url.raw_path, "ascii")))
        if request.method == "DELETE":
            return httpx.Response(204)
        if "/datasets/" in request.url.path:
            return httpx.Response(200, json=recorded(b"a"))
        more = "next" if "cursor" not in request.url.params else None
        page = {"items": [recorded(b"a")], "next_cursor": more}
        return httpx.Response(200, text=json.dumps(page))

    with client_of(handle) as client:
        assert len(list(client.datasets.list())) == 2
        assert client.datasets.get("a/b").rows == 1
        client.datasets.delete("d")
    assert asked == [
        ("GET", "/v1/datasets"),
        ("GET", "/v1/datasets?cursor=next"),
        ("GET", "/v1/datasets/a%2Fb"),
        ("DELETE", "/v1/datasets/d"),
    ]
