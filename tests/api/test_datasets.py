"""Uploads over a real gateway: what is taken, what is refused, and what is left behind."""

import base64
import gzip
import hashlib
import io
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from api.conftest import (
    MAX_BODY_BYTES,
    MAX_DATASET_BYTES,
    MAX_DATASET_ROWS,
    Gateway,
    claim_any,
)
from api.test_experiments import problem

from forgetscope.app.datasets import complete_source
from forgetscope.app.prepare import prepare_data
from forgetscope.ports.stage import Machine, Work
from forgetscope.schema.example import UploadSource
from forgetscope.wiring.settings import Settings
from forgetscope.wiring.wires import build_rows

JSONL = "application/x-ndjson"
PARQUET = "application/vnd.apache.parquet"


def lines(*rows: object) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def upload(
    http: httpx.Client,
    content: bytes | Iterator[bytes],
    media_type: str | None = JSONL,
    name: str = "set",
    **headers: str,
) -> httpx.Response:
    if media_type is not None:
        headers["Content-Type"] = media_type
    sent = {key.replace("_", "-"): value for key, value in headers.items()}
    return http.post("/v1/datasets", params={"name": name}, content=content, headers=sent)


def listed(http: httpx.Client) -> list[str]:
    return [item["digest"] for item in http.get("/v1/datasets").json()["items"]]


@pytest.fixture
def nothing_left(gateway: Gateway, http: httpx.Client) -> Iterator[None]:
    """Whatever the test sends, neither records nor temporary files stay."""
    before = listed(http)
    yield
    assert listed(http) == before
    assert list((gateway.home / "inbox").glob("*")) == []


def test_an_upload_is_described_listed_and_stored_under_its_digest(
    gateway: Gateway, http: httpx.Client
) -> None:
    content = lines(
        {"q": "é", "n": 1, "x": 1, "on": True, "who": ["a"], "more": {"k": None}},
        {"q": "b", "n": None, "x": 2.5, "on": False, "who": [], "none": None},
    )
    response = upload(http, content, name="fragen ✓")
    assert response.status_code == 201
    found = response.json()
    assert found.pop("created_at") == pytest.approx(time.time(), abs=600)
    digest = hashlib.sha256(content).hexdigest()
    assert found == {
        "digest": digest,
        "name": "fragen ✓",
        "format": "jsonl",
        "size": len(content),
        "rows": 2,
        "columns": {
            "q": "string",
            "n": "integer or null",
            "x": "number",
            "on": "boolean",
            "who": "array",
            "more": "object or null",
            "none": "null",
        },
        "links": {"self": f"/v1/datasets/{digest}"},
    }
    assert http.get(response.headers["Location"]).json() == response.json()
    assert digest in listed(http)
    blob = gateway.platform.records.blob(digest)
    assert b"".join(gateway.platform.store.read(blob)) == content
    again = upload(http, content, name="another")
    assert (again.status_code, again.json()) == (200, response.json())
    assert "Location" not in again.headers
    assert list((gateway.home / "inbox").glob("*")) == []


def test_parquet_is_read_like_lines(http: httpx.Client) -> None:
    content = parquet(q=["a", "b"], n=pa.array([1, None], pa.int32()), l=[[1.5], []])
    found = upload(http, content, PARQUET).json()
    assert (found["format"], found["rows"]) == ("parquet", 2)
    assert found["columns"] == {"q": "string", "n": "integer or null", "l": "array"}


def test_a_body_in_pieces_larger_than_other_bodies_may_be_is_taken(http: httpx.Client) -> None:
    row = lines({"q": "x" * 90})
    pieces = [row] * (MAX_BODY_BYTES // len(row) + 100)
    found = upload(http, iter(pieces), "application/jsonl; charset=utf-8").json()
    assert (found["rows"], found["size"]) == (len(pieces), len(row) * len(pieces))


GOOD = lines({"q": "secret", "n": 1})


@pytest.mark.parametrize(
    ("content", "media_type", "where"),
    [
        (GOOD + b'\n{"q": "a", "n": "secret"}\n', JSONL, "set, row 3, column 'n': "),
        (GOOD + b'{"q": "secret', JSONL, "set, row 2: "),
        (b"", JSONL, "set: "),
        (parquet(q=["secret", "b\0"]), PARQUET, "set, row 2, column 'q': "),
        (GOOD, PARQUET, "set, row 1: "),
    ],
    ids=["another kind", "cut", "empty", "NUL", "no parquet"],
)
@pytest.mark.usefixtures("nothing_left")
def test_a_bad_row_is_named_with_its_column_and_nothing_is_kept(
    http: httpx.Client, content: bytes, media_type: str, where: str
) -> None:
    body = problem(upload(http, content, media_type), 422, "bad-row")
    assert body["detail"].startswith(where)
    assert "secret" not in body["detail"]


@pytest.mark.usefixtures("nothing_left")
def test_the_limits_of_size_and_rows_hold(http: httpx.Client) -> None:
    row = lines({"n": 1})
    problem(upload(http, b" " * (MAX_DATASET_BYTES + 1)), 413, "too-large")
    problem(upload(http, iter([row, b" " * MAX_DATASET_BYTES])), 413, "too-large")
    body = problem(upload(http, row * (MAX_DATASET_ROWS + 1)), 413, "too-large")
    assert f"more than {MAX_DATASET_ROWS} rows" in body["detail"]
    packed = parquet(q=[f"{i}" * 1500 for i in range(900)])
    assert len(packed) < MAX_DATASET_BYTES
    problem(upload(http, packed, PARQUET), 413, "too-large")
    # The limit is that of the one route only.
    other = http.post("/v1/plans", content=b" " * (MAX_BODY_BYTES + 1))
    problem(other, 413, "too-large")


@pytest.mark.parametrize("media_type", [None, "application/json", "text/plain", "a/b/c"])
@pytest.mark.usefixtures("nothing_left")
def test_another_media_type_is_refused(http: httpx.Client, media_type: str | None) -> None:
    body = problem(upload(http, GOOD, media_type), 415, "unsupported-media-type")
    assert JSONL in body["hint"]


@pytest.mark.usefixtures("nothing_left")
def test_a_content_coding_is_refused(http: httpx.Client) -> None:
    response = upload(http, gzip.compress(GOOD), content_encoding="gzip")
    assert "as it is" in problem(response, 415, "unsupported-media-type")["hint"]


def test_a_content_digest_is_compared(http: httpx.Client) -> None:
    content = lines({"q": "with a digest"})
    right = base64.b64encode(hashlib.sha256(content).digest()).decode()
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    body = problem(upload(http, content, content_digest=f"sha-256=:{wrong}:"), 422, "invalid-input")
    assert "Content-Digest" in body["detail"]
    assert hashlib.sha256(content).hexdigest() not in listed(http)
    header = f"sha-512=:{wrong}:, sha-256=:{right}:"
    assert upload(http, content, content_digest=header).status_code == 201


@pytest.mark.parametrize("query", [{}, {"name": ""}, {"name": "a\0"}, {"name": "a", "nme": "b"}])
@pytest.mark.usefixtures("nothing_left")
def test_an_upload_needs_a_name_and_nothing_else(http: httpx.Client, query: dict[str, str]) -> None:
    headers = {"Content-Type": JSONL}
    response = http.post("/v1/datasets", params=query, content=GOOD, headers=headers)
    problem(response, 422, "invalid-input")


@pytest.mark.usefixtures("nothing_left")
def test_a_client_that_leaves_midway_leaves_nothing(gateway: Gateway, http: httpx.Client) -> None:
    url = httpx.URL(gateway.url)
    inbox = gateway.home / "inbox"
    with socket.create_connection((url.host, url.port or 0)) as connection:
        connection.sendall(
            b"POST /v1/datasets?name=set HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
            b"Content-Type: application/x-ndjson\r\n\r\n" + GOOD
        )
        _until(lambda: list(inbox.glob("*")) != [])
    _until(lambda: list(inbox.glob("*")) == [])


def _until(ready: Any) -> None:
    deadline = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_data_set_is_deleted_unless_a_task_reads_it(gateway: Gateway, http: httpx.Client) -> None:
    content = lines({"q": "to be deleted"})
    digest = upload(http, content).json()["digest"]
    library = gateway.platform.library
    library.add_task("mine", {}, datasets=frozenset({digest}))
    body = problem(http.delete(f"/v1/datasets/{digest}"), 409, "conflict")
    assert "'mine'" in body["detail"]
    library.delete_task("mine")
    assert http.delete(f"/v1/datasets/{digest}").status_code == 204
    problem(http.delete(f"/v1/datasets/{digest}"), 404, "not-found")
    problem(http.get(f"/v1/datasets/{digest}"), 404, "not-found")
    # Its bytes are garbage now; the same upload again waits for the collector, and is new.
    assert upload(http, content).status_code == 201
    assert gateway.platform.store.exists(digest)


def test_rows_of_an_upload_are_read_by_what_the_library_knows_of_it(
    gateway: Gateway, http: httpx.Client
) -> None:
    digest = upload(http, b"\n" + lines({"q": "to be read"})).json()["digest"]
    source = UploadSource(kind="upload", digest=digest)
    whole = complete_source(source, gateway.platform.library, "/tasks/0")
    found = list(gateway.platform.rows.read(whole))
    assert [(row.number, row.data) for row in found] == [(2, {"q": "to be read"})]


class Output(NamedTuple):
    output: Path
    machine: Machine = Machine()


def test_an_experiment_reads_its_upload_and_keeps_it(
    gateway: Gateway, http: httpx.Client, tmp_path: Path
) -> None:
    rows = [
        {"q": f"Is {i} even?", "a": "no" if i % 2 else "yes", "part": "train" if i < 30 else "test"}
        for i in range(60)
    ]
    digest = upload(http, lines(*rows)).json()["digest"]
    definition = {
        "name": "even",
        "kind": "capability",
        "source": {"kind": "upload", "digest": digest},
        "split": {"column": "part", "train": "train", "evaluation": "test"},
        "prompt": "{{ q }}",
        "options": ["yes", "no"],
        "answer": {"column": "a"},
    }
    use = {"id": "even", "name": "custom", "params": definition, "train_examples": 20}
    spec = {"tasks": [{**use, "evaluation_examples": 20}], "chains": [["even"]]}
    experiment = http.post("/v1/experiments", json=spec)
    assert experiment.status_code == 202, experiment.text
    problem(http.delete(f"/v1/datasets/{digest}"), 409, "conflict")

    platform = gateway.platform
    while (claim := claim_any(platform)) is not None and claim.kind != "prepare_data":
        pass
    assert claim is not None
    # As in the process of a worker elsewhere: the store is all that it shares with the gateway.
    elsewhere = build_rows(Settings(home_dir=tmp_path), platform.store)
    work = Work(claim.key, claim.kind, claim.params, {}, 0)
    assert prepare_data(work, Output(tmp_path), rows=elsewhere)["examples"] == 20  # type: ignore[arg-type]

    address = experiment.json()["links"]["self"]
    http.post(f"{address}/cancel")
    platform.records.cancelled(claim.key, claim.attempt, log_tail="")
    for stage in platform.records.stages(
        address.rsplit("/", 1)[-1], kind=None, state="running", cursor=None, limit=50
    ).items:
        platform.records.cancelled(stage.key, stage.attempt, log_tail="")
    assert http.delete(address).status_code == 204
    assert http.delete(f"/v1/datasets/{digest}").status_code == 204
    problem(http.post("/v1/experiments", json=spec), 422, "unknown-name")


def test_lists_are_paged(http: httpx.Client) -> None:
    for i in range(3):
        upload(http, lines({"page": i}))
    seen: list[str] = []
    query: dict[str, str | int] = {"limit": 2}
    while True:
        page = http.get("/v1/datasets", params=query).json()
        assert len(page["items"]) <= 2
        seen += [item["digest"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == listed(http) and len(seen) >= 3
    problem(http.get("/v1/datasets", params={"cursor": "x"}), 422, "invalid-input")
