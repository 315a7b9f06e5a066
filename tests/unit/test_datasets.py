"""Taking in an upload beside the collector of garbage, and sources that name one."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forgetscope.adapters.inbox_files import FileInbox, Limits
from forgetscope.adapters.rows_uploads import UploadRows
from forgetscope.adapters.sql import (
    SqlBaselines,
    SqlLibrary,
    SqlRecords,
    SqlSearches,
    SqlWebhooks,
    connect,
    migrate,
)
from forgetscope.adapters.store_files import FileStore
from forgetscope.app.datasets import complete_source, receive
from forgetscope.app.platform import Fleet, Platform
from forgetscope.app.prepare import FactsMemory
from forgetscope.ports.library import DatasetRow
from forgetscope.schema.errors import (
    BadRow,
    CorruptBlob,
    InvalidInput,
    NotFound,
    Unavailable,
    UnknownName,
)
from forgetscope.schema.example import FileSource, UploadSource
from forgetscope.schema.stage import BlobRef

CONTENT = b'{"q": "a"}\n\n{"q": "b"}\n'
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    url = f"sqlite:///{tmp_path / 'records.db'}"
    migrate(url)
    engine = connect(url)
    unused: Any = None
    yield Platform(
        records=SqlRecords(engine),
        library=SqlLibrary(engine),
        searches=SqlSearches(engine),
        baselines=SqlBaselines(engine),
        webhooks=SqlWebhooks(engine),
        sender=unused,
        store=FileStore(tmp_path),
        doorbell=unused,
        rows=unused,
        inbox=FileInbox(tmp_path / "inbox", Limits()),
        models=unused,
        fleet=Fleet(),
        memory=FactsMemory(),
    )
    engine.dispose()


def upload(platform: Platform, content: bytes = CONTENT, **options: Any) -> tuple[DatasetRow, bool]:
    with platform.inbox.arrival() as arrival:
        arrival.write(content)
        return receive(platform, arrival, name="set", format="jsonl", **options)


def test_bytes_that_are_garbage_are_collected_and_stored_anew(platform: Platform) -> None:
    upload(platform)
    platform.library.delete_dataset(DIGEST)
    pauses: list[float] = []
    assert upload(platform, sleep=pauses.append)[1]
    assert len(pauses) == 1
    assert platform.store.exists(DIGEST)
    assert platform.records.garbage(10) == ()


def test_bytes_that_another_collector_deletes_for_long_are_unavailable(platform: Platform) -> None:
    upload(platform)
    platform.library.delete_dataset(DIGEST)
    assert platform.records.garbage(10) == (DIGEST,)
    with pytest.raises(Unavailable, match="deleted"):
        upload(platform, sleep=lambda _: None)
    with pytest.raises(NotFound):
        platform.library.dataset(DIGEST)


def test_bytes_that_vanish_between_storing_and_recording_are_stored_again(
    platform: Platform, tmp_path: Path
) -> None:
    class Collected(FileStore):
        """A collector deletes what `put` found present, before it is recorded."""

        puts = 0

        def put(self, path: Path, media_type: str) -> BlobRef:
            blob = super().put(path, media_type)
            self.puts += 1
            if self.puts == 1:
                self.delete(blob.digest)
            return blob

    store = Collected(tmp_path)
    upload(platform._replace(store=store))
    assert store.puts == 2
    assert b"".join(store.read(platform.records.blob(DIGEST))) == CONTENT


def test_a_refused_upload_leaves_neither_bytes_nor_a_record(platform: Platform) -> None:
    with pytest.raises(BadRow):
        upload(platform, CONTENT + b"[]")
    assert platform.library.datasets(cursor=None, limit=9).items == ()
    assert not platform.store.exists(hashlib.sha256(CONTENT + b"[]").hexdigest())


# Sources --------------------------------------------------------------------------------------


def test_a_source_is_completed_from_the_library(platform: Platform) -> None:
    upload(platform)
    bare = UploadSource(kind="upload", digest=DIGEST)
    whole = complete_source(bare, platform.library, "/tasks/0")
    assert whole == UploadSource(kind="upload", digest=DIGEST, format="jsonl", size=len(CONTENT))
    assert complete_source(whole, platform.library, "/tasks/0") == whole
    file = FileSource(path="a.jsonl")
    assert complete_source(file, platform.library, "/tasks/0") is file


@pytest.mark.parametrize("change", [{"format": "parquet"}, {"size": 1}])
def test_a_source_that_contradicts_the_library_is_refused(
    platform: Platform, change: dict[str, Any]
) -> None:
    upload(platform)
    source = UploadSource.model_validate({"kind": "upload", "digest": DIGEST, **change})
    with pytest.raises(InvalidInput) as caught:
        complete_source(source, platform.library, "/tasks/0")
    assert caught.value.where == "/tasks/0"


def test_a_source_of_an_unknown_upload_is_refused(platform: Platform) -> None:
    with pytest.raises(UnknownName) as caught:
        complete_source(UploadSource(kind="upload", digest=DIGEST), platform.library, "/tasks/0")
    assert (caught.value.where, caught.value.code) == ("/tasks/0", "unknown-name")


# Rows -----------------------------------------------------------------------------------------


def stored(platform: Platform, tmp_path: Path, content: bytes, format_: str) -> UploadSource:
    path = tmp_path / "file"
    path.write_bytes(content)
    blob = platform.store.put(path, "x/y")
    given = {"kind": "upload", "digest": blob.digest, "format": format_, "size": blob.size}
    return UploadSource.model_validate(given)


def test_rows_of_lines_are_numbered_by_line(platform: Platform, tmp_path: Path) -> None:
    source = stored(platform, tmp_path, CONTENT, "jsonl")
    rows = UploadRows(platform.store, tmp_path / "cache", 1)
    found = [(row.file, row.number, row.data) for row in rows.read(source)]
    assert found == [(source.name, 1, {"q": "a"}), (source.name, 3, {"q": "b"})]
    assert rows.fingerprint(source) == DIGEST


def test_rows_of_parquet_are_numbered_from_one(platform: Platform, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"q": ["a", "b"]}), tmp_path / "p")
    source = stored(platform, tmp_path, (tmp_path / "p").read_bytes(), "parquet")
    rows = UploadRows(platform.store, tmp_path / "cache", 1)
    assert [(row.number, row.data) for row in rows.read(source)] == [
        (1, {"q": "a"}),
        (2, {"q": "b"}),
    ]


def test_an_upload_is_fetched_once_and_again_when_the_copy_has_changed(
    platform: Platform, tmp_path: Path
) -> None:
    source = stored(platform, tmp_path, CONTENT, "jsonl")
    folder = tmp_path / "cache"
    rows = UploadRows(platform.store, folder, 1)
    first = list(rows.read(source))
    platform.store.delete(DIGEST)
    assert list(rows.read(source)) == first
    assert list(UploadRows(platform.store, folder, 1).read(source)) == first
    (folder / DIGEST).write_bytes(CONTENT.replace(b"a", b"x"))
    with pytest.raises(NotFound):
        list(rows.read(source))
    stored(platform, tmp_path, CONTENT, "jsonl")
    assert list(rows.read(source)) == first


def test_bytes_in_the_store_that_are_not_those_of_the_digest_are_never_read(
    platform: Platform, tmp_path: Path
) -> None:
    source = stored(platform, tmp_path, CONTENT, "jsonl")
    blob = tmp_path / "blobs" / DIGEST[:2] / DIGEST[2:]
    blob.chmod(0o644)
    blob.write_bytes(CONTENT.replace(b"a", b"x"))
    with pytest.raises(CorruptBlob):
        list(UploadRows(platform.store, tmp_path / "cache", 1).read(source))


def test_the_cache_keeps_to_its_size_and_drops_the_least_recently_read(
    platform: Platform, tmp_path: Path
) -> None:
    contents = [b'{"q": "%d"}\n' % i * 100 for i in range(3)]
    sources = [stored(platform, tmp_path, content, "jsonl") for content in contents]
    rows = UploadRows(platform.store, tmp_path / "cache", 2.5 * len(contents[0]) / 2**30)
    for i in (0, 1, 0, 2):
        assert len(list(rows.read(sources[i]))) == 100
    kept = {path.name for path in (tmp_path / "cache").iterdir()}
    assert kept == {sources[0].digest, sources[2].digest}


def test_a_source_that_was_not_completed_is_refused(platform: Platform, tmp_path: Path) -> None:
    rows = UploadRows(platform.store, tmp_path / "cache", 1)
    with pytest.raises(InvalidInput, match="looked up"):
        list(rows.read(UploadSource(kind="upload", digest=DIGEST)))
