"""What every object store promises, on files and on a real S3 server alike."""

import hashlib
import io
import os
import socket
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from minio import Minio

from forgetscope.adapters.store_files import FileStore
from forgetscope.adapters.store_s3 import S3Store, connect
from forgetscope.ports.store import Store
from forgetscope.schema.errors import (
    CorruptBlob,
    InvalidInput,
    NotFound,
    PathNotAllowed,
    Unavailable,
)
from forgetscope.schema.stage import BlobRef

pytest_plugins = ["servers_fixtures"]

ABSENT = BlobRef(digest="ab" * 32, size=3)


class Place:
    """A store, and a way to spoil what it holds behind its back."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def overwrite(self, digest: str, content: bytes) -> None:
        raise NotImplementedError

    def written(self, digest: str) -> float:
        """When the bytes were written, as the server tells it."""
        raise NotImplementedError


class FilePlace(Place):
    def __init__(self, root: Path) -> None:
        super().__init__(FileStore(root))
        self._root = root

    def _path(self, digest: str) -> Path:
        return self._root / "blobs" / digest[:2] / digest[2:]

    def overwrite(self, digest: str, content: bytes) -> None:
        self._path(digest).unlink()
        self._path(digest).write_bytes(content)

    def written(self, digest: str) -> float:
        return self._path(digest).stat().st_mtime_ns


class S3Place(Place):
    def __init__(self, client: Minio, bucket: str) -> None:
        store = S3Store(client, bucket, frozenset({bucket}))
        store.ensure_bucket()
        super().__init__(store)
        self.client, self.bucket = client, bucket

    def key(self, digest: str) -> str:
        return f"blobs/{digest[:2]}/{digest[2:]}"

    def overwrite(self, digest: str, content: bytes) -> None:
        self.client.put_object(self.bucket, self.key(digest), io.BytesIO(content), len(content))

    def written(self, digest: str) -> float:
        modified = self.client.stat_object(self.bucket, self.key(digest)).last_modified
        assert modified is not None
        return float(modified.timestamp())


@pytest.fixture
def client(s3: Any) -> Minio:
    return connect(s3.url, s3.access_key, s3.secret_key)


@pytest.fixture
def s3_place(client: Minio) -> S3Place:
    return S3Place(client, f"test-{uuid.uuid4().hex}")


@pytest.fixture(params=["files", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "files":
        return FilePlace(tmp_path / "store")
    found: Place = request.getfixturevalue("s3_place")
    return found


@pytest.fixture
def store(place: Place) -> Store:
    return place.store


def source(folder: Path, content: bytes) -> Path:
    path = folder / f"source-{uuid.uuid4().hex}"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [b"", b"abc", os.urandom(3 << 20) + b"x"],
    ids=["empty", "small", "several chunks"],
)
def test_what_is_put_can_be_fetched_and_read(store: Store, tmp_path: Path, content: bytes) -> None:
    blob = store.put(source(tmp_path, content), "text/plain")
    assert blob == BlobRef(
        digest=hashlib.sha256(content).hexdigest(), size=len(content), media_type="text/plain"
    )
    assert store.exists(blob.digest)
    assert b"".join(store.read(blob)) == content
    target = tmp_path / "new/folder/target"
    store.fetch(blob, target)
    assert target.read_bytes() == content
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_a_digest_that_is_there_is_not_written_again(place: Place, tmp_path: Path) -> None:
    path = source(tmp_path, b"abc")
    first = place.store.put(path, "text/plain")
    spoiled = b"xyz"  # same size: nobody looks into the bytes, so it stays if nothing is written
    place.overwrite(first.digest, spoiled)
    written = place.written(first.digest)
    assert place.store.put(path, "text/plain") == first
    assert place.written(first.digest) == written
    with pytest.raises(CorruptBlob):
        b"".join(place.store.read(first))


def test_a_stored_blob_of_the_wrong_size_is_mended_by_the_next_put(
    place: Place, tmp_path: Path
) -> None:
    path = source(tmp_path, b"abc")
    blob = place.store.put(path, "text/plain")
    place.overwrite(blob.digest, b"ab")
    place.store.put(path, "text/plain")
    assert b"".join(place.store.read(blob)) == b"abc"


@pytest.mark.parametrize("wrong", [b"xyz", b"ab", b"abcd", b""])
def test_wrong_bytes_are_found_out_and_leave_no_file(
    place: Place, tmp_path: Path, wrong: bytes
) -> None:
    blob = place.store.put(source(tmp_path, b"abc"), "text/plain")
    place.overwrite(blob.digest, wrong)
    target = tmp_path / "out/target"
    with pytest.raises(CorruptBlob, match=blob.digest):
        place.store.fetch(blob, target)
    assert list(target.parent.iterdir()) == []
    with pytest.raises(CorruptBlob):
        b"".join(place.store.read(blob))


def test_a_failed_fetch_leaves_the_old_target_alone(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"old")
    with pytest.raises(NotFound):
        store.fetch(ABSENT, target)
    assert target.read_bytes() == b"old"


def test_what_is_not_there_is_not_found(store: Store, tmp_path: Path) -> None:
    assert not store.exists(ABSENT.digest)
    with pytest.raises(NotFound, match=ABSENT.digest):
        store.fetch(ABSENT, tmp_path / "target")
    with pytest.raises(NotFound):
        b"".join(store.read(ABSENT))


def test_deleting_is_final_and_deleting_nothing_is_no_error(store: Store, tmp_path: Path) -> None:
    blob = store.put(source(tmp_path, b"abc"), "text/plain")
    for _ in range(2):
        store.delete(blob.digest)
        assert not store.exists(blob.digest)


@pytest.mark.parametrize("name", ["../../etc/passwd", "AB" * 32, "ab", "", "ab" * 32 + "\n"])
def test_a_name_that_is_no_digest_is_refused(store: Store, name: str) -> None:
    for look in (store.exists, store.delete):
        with pytest.raises(InvalidInput):
            look(name)


def test_many_may_put_the_same_bytes_at_once(store: Store, tmp_path: Path) -> None:
    path = source(tmp_path, os.urandom(1 << 20))
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: store.put(path, "text/plain").digest, range(4)))
    assert found == {hashlib.sha256(path.read_bytes()).hexdigest()}


def test_a_store_that_works_answers_the_ping(store: Store) -> None:
    store.ping()


# Files only


def test_stored_files_are_read_only(tmp_path: Path) -> None:
    blob = FileStore(tmp_path / "s").put(source(tmp_path, b"abc"), "text/plain")
    path = tmp_path / "s/blobs" / blob.digest[:2] / blob.digest[2:]
    assert path.stat().st_mode & 0o777 == 0o444


def test_what_a_crash_left_is_removed_after_a_day(tmp_path: Path) -> None:
    FileStore(tmp_path)
    old, young = tmp_path / "unfinished/.old.part", tmp_path / "unfinished/.young.part"
    for path, modified in ((old, 1_000.0), (young, 50_000.0)):
        path.write_bytes(b"half")
        os.utime(path, (modified, modified))
    FileStore(tmp_path, now=lambda: 90_000.0)
    assert (old.exists(), young.exists()) == (False, True)


def test_files_have_neither_links_nor_folders_of_objects(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    assert store.presign(ABSENT, seconds=60, filename="a") is None
    for look in (store.list_folder, store.open_object):
        with pytest.raises(InvalidInput, match="s3://models/a"):
            look("s3://models/a")


def test_a_store_whose_folder_went_away_is_unavailable(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "s")
    (tmp_path / "s/blobs").rmdir()
    (tmp_path / "s/unfinished").rmdir()
    with pytest.raises(Unavailable):
        store.ping()
    with pytest.raises(Unavailable):
        store.put(source(tmp_path, b"abc"), "text/plain")


# S3 only


def test_objects_carry_their_media_type_and_digest(s3_place: S3Place, tmp_path: Path) -> None:
    blob = s3_place.store.put(source(tmp_path, b"abc"), "text/x-log")
    found = s3_place.client.stat_object(s3_place.bucket, s3_place.key(blob.digest))
    assert found.content_type == "text/x-log"
    assert found.metadata is not None
    assert found.metadata["x-amz-meta-sha256"] == blob.digest


def test_a_blob_of_several_parts_comes_back_whole(s3_place: S3Place, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as stream:
        for _ in range(33):
            stream.write(os.urandom(1 << 20))
    blob = s3_place.store.put(path, "application/octet-stream")
    etag = s3_place.client.stat_object(s3_place.bucket, s3_place.key(blob.digest)).etag
    assert etag is not None
    assert etag.endswith("-2")  # S3's mark of an upload in two parts
    s3_place.store.fetch(blob, tmp_path / "back")
    assert hashlib.sha256((tmp_path / "back").read_bytes()).hexdigest() == blob.digest


def test_anybody_can_download_by_a_signed_link_under_the_wanted_name(
    s3_place: S3Place, tmp_path: Path
) -> None:
    blob = s3_place.store.put(source(tmp_path, b"abc"), "text/plain")
    url = s3_place.store.presign(blob, seconds=60, filename='größe "1".txt')
    assert url is not None
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"abc"
        assert answer.headers["content-type"] == "text/plain"
        assert (
            answer.headers["content-disposition"]
            == "attachment; filename*=UTF-8''gr%C3%B6%C3%9Fe%20%221%22.txt"
        )


def test_the_bucket_is_made_once_though_many_start_together(client: Minio) -> None:
    bucket = f"race-{uuid.uuid4().hex}"
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: S3Store(client, bucket).ensure_bucket(), range(6)))
    S3Store(client, bucket).ping()


def test_a_folder_lists_its_objects_with_size_and_etag(s3_place: S3Place) -> None:
    for name in ("m/a.json", "m/sub/b.json", "m/", "more/c.json"):
        s3_place.client.put_object(s3_place.bucket, name, io.BytesIO(b"{}"), 2)
    found = s3_place.store.list_folder(f"s3://{s3_place.bucket}/m")
    assert {name: size for name, (size, _) in found.items()} == {"a.json": 2, "sub/b.json": 2}
    assert all(etag == hashlib.md5(b"{}").hexdigest() for _, etag in found.values())
    assert s3_place.store.list_folder(f"s3://{s3_place.bucket}/nothing/") == {}


def test_an_object_is_read_by_its_address(s3_place: S3Place) -> None:
    s3_place.client.put_object(s3_place.bucket, "m/a#1?.bin", io.BytesIO(b"abcdef"), 6)
    with s3_place.store.open_object(f"s3://{s3_place.bucket}/m/a#1?.bin") as stream:
        assert (stream.read(2), stream.read(), stream.read()) == (b"ab", b"cdef", b"")
    with pytest.raises(NotFound):
        s3_place.store.open_object(f"s3://{s3_place.bucket}/m/none")


def test_models_are_read_from_allowed_buckets_only(client: Minio) -> None:
    store = S3Store(client, "blobs", frozenset({"models"}))
    for look in (store.list_folder, store.open_object):
        with pytest.raises(PathNotAllowed, match="models"):
            look("s3://blobs/blobs/ab")
        for uri in ("http://models/a", "s3://models", "s3://models/", "models/a"):
            with pytest.raises(InvalidInput):
                look(uri)


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("place", ["refused", "silent", "wrong key"])
def test_a_server_that_does_not_serve_is_unavailable(
    s3: Any, silent: str, tmp_path: Path, place: str
) -> None:
    url = {"refused": "http://127.0.0.1:1", "silent": silent, "wrong key": s3.url}[place]
    seconds = 10 if place == "wrong key" else 0.3
    client = connect(
        url, s3.access_key, "wrong", connect_seconds=seconds, read_seconds=seconds, retries=1
    )
    store = S3Store(client, "bucket", frozenset({"models"}))
    path = source(tmp_path, b"abc")
    for act in (
        store.ping,
        lambda: store.put(path, "text/plain"),
        lambda: store.fetch(ABSENT, tmp_path / "target"),
        lambda: store.delete(ABSENT.digest),
        lambda: store.list_folder("s3://models/a"),
        lambda: store.open_object("s3://models/a"),
    ):
        with pytest.raises(Unavailable):
            act()
    assert not (tmp_path / "target").exists()


def test_a_bucket_that_is_missing_is_unavailable_and_its_blobs_not_found(client: Minio) -> None:
    store = S3Store(client, "never-made")
    with pytest.raises(Unavailable, match="never-made"):
        store.ping()
    with pytest.raises(NotFound):
        b"".join(store.read(ABSENT))
