import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from api.conftest import REPORT, RESULTS, Gateway, finish_all, running_gateway, spec_with
from api.test_experiments import problem, submit

from forgetscope.api.streams import opened
from forgetscope.schema.errors import CorruptBlob
from forgetscope.schema.results import Results


class Finished(NamedTuple):
    http: httpx.Client
    gateway: Gateway
    address: str


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    home = tmp_path_factory.mktemp("finished")
    with (
        running_gateway(home) as gateway,
        httpx.Client(base_url=gateway.url) as http,
    ):
        address = f"/v1/experiments/{submit(http, spec_with(1))}"
        finish_all(gateway.platform, home)
        yield Finished(http, gateway, address)


def test_results_are_read_with_a_tag_and_not_sent_again(finished: Finished) -> None:
    response = finished.http.get(f"{finished.address}/results")
    assert Results.model_validate_json(response.content) == RESULTS
    tag = response.headers["etag"]
    assert tag == f'"{hashlib.sha256(response.content).hexdigest()}"'
    for known in (tag, f'W/{tag}, "other"', "*"):
        again = finished.http.get(f"{finished.address}/results", headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    other = finished.http.get(f"{finished.address}/results", headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


def test_the_report_is_a_page_that_can_run_nothing(finished: Finished) -> None:
    response = finished.http.get(f"{finished.address}/report")
    assert response.text == REPORT
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert policy.startswith("sandbox") and "allow-scripts" not in policy
    assert "default-src 'none'" in policy


def test_every_artefact_can_be_downloaded_and_is_what_was_announced(finished: Finished) -> None:
    artifacts = finished.http.get(f"{finished.address}/artifacts").json()["items"]
    assert len(artifacts) == 23
    for artifact in artifacts[-3:]:
        response = finished.http.get(artifact["href"])
        assert hashlib.sha256(response.content).hexdigest() == artifact["digest"]
        assert response.headers["content-disposition"].startswith("attachment")
        assert response.headers["x-content-type-options"] == "nosniff"
        assert int(response.headers["content-length"]) == artifact["size"]
    notes = artifacts[0]
    response = finished.http.get(notes["href"], params={"redirect": True})
    assert response.status_code == 200, "a store of files has no addresses of its own"
    assert response.headers["content-disposition"].endswith("notes%20%C3%A9.txt")
    tag = {"If-None-Match": response.headers["etag"]}
    assert finished.http.get(notes["href"], headers=tag).status_code == 304


def test_a_store_with_addresses_of_its_own_is_redirected_to_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_gateway(tmp_path) as gateway, httpx.Client(base_url=gateway.url) as http:
        address = f"/v1/experiments/{submit(http, spec_with(1))}"
        finish_all(gateway.platform, tmp_path)
        monkeypatch.setattr(
            gateway.platform.store,
            "presign",
            lambda blob, seconds, filename: f"https://store.example/{blob.digest}",
        )
        artifact = http.get(f"{address}/artifacts").json()["items"][0]
        redirected = http.get(artifact["href"], params={"redirect": True})
        assert redirected.status_code == 307
        assert redirected.headers["location"].endswith(artifact["digest"])
        assert http.get(artifact["href"]).status_code == 200


def test_corrupt_bytes_are_never_handed_out_as_whole(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway, httpx.Client(base_url=gateway.url) as http:
        address = f"/v1/experiments/{submit(http, spec_with(1))}"
        finish_all(gateway.platform, tmp_path)
        digest = http.get(f"{address}/results").headers["etag"].strip('"')
        (stored,) = tmp_path.glob(f"blobs/{digest[:2]}/{digest[2:]}*")
        stored.chmod(0o644)
        content = bytearray(stored.read_bytes())
        content[10] ^= 1
        stored.write_bytes(content)
        problem(http.get(f"{address}/results"), 500, "corrupt-blob")
        artifacts = http.get(f"{address}/artifacts").json()["items"]
        (href,) = [a["href"] for a in artifacts if a["path"] == "results.json"]
        problem(http.get(href), 500, "corrupt-blob")
        stored.unlink()
        problem(http.get(href), 404, "not-found")


def test_a_stream_that_turns_out_corrupt_lacks_its_last_chunk() -> None:
    def corrupt() -> Iterator[bytes]:
        yield from (b"a", b"b", b"c")
        raise CorruptBlob("other bytes")

    stream = opened(corrupt())
    assert [next(stream), next(stream)] == [b"a", b"b"]
    with pytest.raises(CorruptBlob):
        next(stream)
    assert list(opened(iter([b"a", b"b"]))) == [b"a", b"b"]
    assert b"".join(opened(iter([]))) == b""


def test_results_are_not_there_before_the_end(http: httpx.Client) -> None:
    address = f"/v1/experiments/{submit(http, spec_with(77))}"
    for part in ("results", "report"):
        body = problem(http.get(f"{address}/{part}"), 404, "not-found")
        assert "queued" in body["detail"]
    assert http.get(f"{address}/artifacts").json() == {"items": [], "next_cursor": None}
