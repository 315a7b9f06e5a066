"""Data sets of the hub: fetched once at a pinned commit, read without code, known offline."""

import gzip
import hashlib
import io
import json
import shutil
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote

import pytest
from datasets import ClassLabel, Dataset, Features, Image, List, Value

from forgetscope.adapters.rows_hub import HubRows
from forgetscope.ports.rows import Rows
from forgetscope.schema.errors import (
    BadRow,
    InvalidInput,
    PathNotAllowed,
    Unavailable,
    UnknownName,
)
from forgetscope.schema.example import HubSource, Row

FIRST, SECOND = "0123456789abcdef0123456789abcdef01234567", "f" * 40
CARD = """---
license: mit
configs:
- config_name: labelled
  data_files:
  - {split: train, path: labelled/train-*}
  - {split: test, path: labelled/test-*}
- config_name: other
  data_files: other.parquet
---
# A data set
"""
LINES_CARD = """---
configs:
- config_name: lines
  data_files: lines/*.jsonl
- config_name: packed
  data_files:
  - {split: test, path: lines/packed.json.gz}
- config_name: dated
  data_files: dated.jsonl
---
"""


def parquet(rows: list[dict[str, Any]], features: Features) -> bytes:
    sink = io.BytesIO()
    Dataset.from_list(rows, features=features).to_parquet(sink)
    return sink.getvalue()


def lines(*values: object) -> bytes:
    return "".join(json.dumps(value) + "\n" for value in values).encode()


LABELLED = Features(
    {
        "text": Value("string"),
        "label": ClassLabel(names=["fine", "poor"]),
        "day": Value("date32"),
        "groups": List(Value("string")),
    }
)


def labelled(count: int, label: int = 1) -> bytes:
    row = {"label": label, "day": date(2024, 2, 29), "groups": ["a"]}
    return parquet([{"text": f"é{i}", **row} for i in range(count)], LABELLED)


def repository() -> dict[str, bytes]:
    return {
        "README.md": CARD.encode(),
        "labelled/train-00000-of-00002.parquet": labelled(3),
        "labelled/train-00001-of-00002.parquet": labelled(2, label=0),
        "labelled/test-00000-of-00001.parquet": labelled(1, label=-1),
        "other.parquet": labelled(1),
        "loader.py": b"raise SystemExit",
        "weights.pkl": b"pickle",
        "picture.png": b"png",
    }


def of_lines() -> dict[str, bytes]:
    return {
        "README.md": LINES_CARD.encode(),
        "lines/train.jsonl": lines({"q": "one", "n": 1}, {"q": "two", "n": None}),
        "lines/packed.json.gz": gzip.compress(lines({"q": "three", "deep": {"a": [1]}})),
        "dated.jsonl": lines({"q": "2024-02-29", "n": 0.5, "m": "x"}, {"q": "", "m": None}),
    }


class Hub:
    """The hub's answers for one repository of data: its facts, its tree, its files."""

    def __init__(self) -> None:
        self.commits = {FIRST: repository()}
        self.asked: list[str] = []
        self.failing = False
        self.gated = False
        self.cut: str | None = None
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                path = unquote(self.path.partition("?")[0])
                hub.asked.append(path)
                status, headers, content = hub.answer(path)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if self.failing:
            return 500, {}, b"{}"
        if "datasets/team/data" not in path:
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        commit = next((c for c in self.commits if c in path), None)
        if commit is None:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        files = self.commits[commit]
        if path.startswith("/api/datasets/team/data/revision/"):
            siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
            return (
                200,
                {},
                json.dumps({"id": "team/data", "sha": commit, "siblings": siblings}).encode(),
            )
        if path.startswith("/api/datasets/team/data/tree/"):
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
                for name, data in files.items()
            ]
            return 200, {}, json.dumps(tree).encode()
        name = path.partition(f"/resolve/{commit}/")[2]
        if self.gated:
            return 403, {"X-Error-Code": "GatedRepo"}, b"{}"
        if self.cut is not None and self.cut in name:
            return 404, {"X-Error-Code": "EntryNotFound"}, b"{}"
        etag = hashlib.sha256(files[name]).hexdigest()
        return 200, {"X-Repo-Commit": commit, "ETag": f'"{etag}"'}, files[name]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    hub = Hub()
    thread = Thread(target=hub.server.serve_forever, args=(0.05,))
    thread.start()
    yield hub
    hub.server.shutdown()
    thread.join()
    hub.server.server_close()


def source(config: str | None = "labelled", split: str = "train", **change: Any) -> HubSource:
    given = {"kind": "hub", "id": "team/data", "revision": FIRST, "config": config, "split": split}
    return HubSource.model_validate(given | change)


def rows_of(hub: Hub, folder: Path, *, offline: bool = False, max_bytes: int = 1 << 20) -> HubRows:
    return HubRows(folder / "hub", offline=offline, max_bytes=max_bytes, endpoint=hub.url)


def found(rows: HubRows | Rows, wanted: HubSource) -> list[Row]:
    return list(rows.read(wanted))


def test_parquet_rows_come_in_the_order_of_the_files_as_plain_json(
    hub: Hub, tmp_path: Path
) -> None:
    rows = rows_of(hub, tmp_path)
    read = found(rows, source())
    assert [(row.number, row.data["text"]) for row in read] == [
        (1, "é0"), (2, "é1"), (3, "é2"), (4, "é0"), (5, "é1"),
    ]  # fmt: skip
    assert {row.file for row in read} == {"team/data@01234567/labelled/train"}
    assert read[0].data == {
        "text": "é0",
        "label": 1,
        "label_name": "poor",
        "day": "2024-02-29",
        "groups": ["a"],
    }
    assert read[4].data["label_name"] == "fine"


def test_a_hidden_label_has_no_name(hub: Hub, tmp_path: Path) -> None:
    (row,) = found(rows_of(hub, tmp_path), source(split="test"))
    assert (row.data["label"], row.data["label_name"]) == (-1, None)


@pytest.mark.parametrize(
    ("config", "split", "data"),
    [
        ("lines", "train", [{"q": "one", "n": 1}, {"q": "two", "n": None}]),
        ("packed", "test", [{"q": "three", "deep": {"a": [1]}}]),
        (
            "dated",
            "train",
            [{"q": "2024-02-29", "n": 0.5, "m": "x"}, {"q": "", "n": None, "m": None}],
        ),
    ],
)
def test_json_is_read_as_the_readme_arranges_it(
    hub: Hub, tmp_path: Path, config: str, split: str, data: list[dict[str, Any]]
) -> None:
    hub.commits[FIRST] = of_lines()
    assert [row.data for row in found(rows_of(hub, tmp_path), source(config, split))] == data


def test_csv_is_read_without_a_readme(hub: Hub, tmp_path: Path) -> None:
    hub.commits[FIRST] = {"train.csv": b'q,n\n"one, two",1\n'}
    (row,) = found(rows_of(hub, tmp_path), source(None))
    assert row.data == {"q": "one, two", "n": 1}


def test_only_data_files_are_fetched_and_never_code(hub: Hub, tmp_path: Path) -> None:
    found(rows_of(hub, tmp_path), source())
    fetched = {
        path.rpartition(f"/resolve/{FIRST}/")[2] for path in hub.asked if "/resolve/" in path
    }
    assert fetched == set(repository()) - {"loader.py", "weights.pkl", "picture.png"}


def test_what_was_fetched_is_read_again_without_asking_and_offline(
    hub: Hub, tmp_path: Path
) -> None:
    first = found(rows_of(hub, tmp_path), source())
    asked = len(hub.asked)
    hub.commits[FIRST] = {}
    assert found(rows_of(hub, tmp_path), source()) == first
    assert found(rows_of(hub, tmp_path, offline=True), source()) == first
    assert found(rows_of(hub, tmp_path, offline=True), source("other"))
    assert len(hub.asked) == asked


def test_a_commit_is_read_and_no_other(hub: Hub, tmp_path: Path) -> None:
    rows = rows_of(hub, tmp_path)
    first = found(rows, source())
    hub.commits[SECOND] = {**repository(), "labelled/train-00001-of-00002.parquet": labelled(9)}
    assert found(rows, source()) == first
    assert len(found(rows, source(revision=SECOND))) == 12
    assert rows.fingerprint(source()) != rows.fingerprint(source(revision=SECOND))


def test_the_fingerprint_of_a_pinned_split_needs_no_network(hub: Hub, tmp_path: Path) -> None:
    rows = rows_of(hub, tmp_path)
    prints = {
        rows.fingerprint(wanted)
        for wanted in (source(), source(split="test"), source("other"), source(id="team/other"))
    }
    assert len(prints) == 4
    assert hub.asked == []


def test_a_fetch_that_broke_off_is_no_smaller_data_set(hub: Hub, tmp_path: Path) -> None:
    hub.cut = "train-00001"
    with pytest.raises((Unavailable, UnknownName)):
        found(rows_of(hub, tmp_path), source())
    with pytest.raises(UnknownName, match="offline"):
        found(rows_of(hub, tmp_path, offline=True), source())
    hub.cut = None
    assert len(found(rows_of(hub, tmp_path), source())) == 5


def test_data_that_is_not_cached_is_unknown_offline(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="data set is not in this server's cache"):
        found(rows_of(hub, tmp_path, offline=True), source())
    assert hub.asked == []


def test_what_is_too_large_is_refused_before_anything_is_fetched(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="at most 1,000") as caught:
        found(rows_of(hub, tmp_path, max_bytes=1000), source())
    assert "FORGETSCOPE_HUB_MAX_DATASET_BYTES" in str(caught.value)
    assert not any("/resolve/" in path for path in hub.asked)


@pytest.mark.parametrize(
    ("keep", "reason"), [("loader.py", "loading script"), ("picture.png", "no data files")]
)
def test_a_repository_without_data_files_is_refused(
    hub: Hub, tmp_path: Path, keep: str, reason: str
) -> None:
    hub.commits[FIRST] = {"README.md": CARD.encode(), keep: b"x"}
    with pytest.raises(InvalidInput, match=reason):
        found(rows_of(hub, tmp_path), source())
    assert not any("/resolve/" in path for path in hub.asked)


def test_configurations_and_splits_are_listed_when_the_asked_one_is_not_there(
    hub: Hub, tmp_path: Path
) -> None:
    rows = rows_of(hub, tmp_path)
    with pytest.raises(InvalidInput, match="labelled, other"):
        found(rows, source(None))
    with pytest.raises(UnknownName, match="There are labelled, other"):
        found(rows, source("nothing"))
    with pytest.raises(UnknownName, match="There are test, train"):
        found(rows, source(split="train[:1]"))


def test_a_repository_without_a_readme_has_one_configuration(hub: Hub, tmp_path: Path) -> None:
    hub.commits[FIRST] = {"data/train.jsonl": lines({"q": 1}), "data/test.jsonl": lines({"q": 2})}
    (row,) = found(rows_of(hub, tmp_path), source(None, "test"))
    assert row.data == {"q": 2}


def test_what_the_hub_does_not_have_is_unknown(hub: Hub, tmp_path: Path) -> None:
    for change in ({"id": "team/other"}, {"revision": SECOND}):
        with pytest.raises(UnknownName, match="no such data set and revision"):
            found(rows_of(hub, tmp_path), source(**change))


def test_a_gated_data_set_says_what_to_do(hub: Hub, tmp_path: Path) -> None:
    hub.gated = True
    with pytest.raises(UnknownName, match=r"only to those who were admitted.*token"):
        found(rows_of(hub, tmp_path), source())


@pytest.mark.parametrize("how", ["refused", "failing"])
def test_a_hub_that_does_not_answer_is_unavailable(hub: Hub, tmp_path: Path, how: str) -> None:
    hub.failing = True
    if how == "refused":
        hub.url = "http://127.0.0.1:1"
    with pytest.raises(Unavailable, match="team/data"):
        found(rows_of(hub, tmp_path), source())


@pytest.mark.parametrize(
    "files",
    [
        "/etc/hostname",
        "../../../../secret.csv",
        "https://example.org/a.csv",
        "zip://a.csv::b.zip",
        "[{split: train, path: ['*.csv', '/etc/*.csv']}]",
    ],
)
def test_a_readme_names_no_file_outside_of_its_repository(
    hub: Hub, tmp_path: Path, files: str
) -> None:
    (tmp_path / "secret.csv").write_text("q\nsecret\n")
    card = f"---\nconfigs:\n- config_name: default\n  data_files: {files}\n---\n"
    hub.commits[FIRST] = {"README.md": card.encode(), "a.csv": b"q\n1\n"}
    with pytest.raises(PathNotAllowed):
        found(rows_of(hub, tmp_path), source(None))


def test_a_description_beside_the_readme_names_no_foreign_file_either(
    hub: Hub, tmp_path: Path
) -> None:
    hub.commits[FIRST] = {"a.csv": b"q\n1\n"}
    assert found(rows_of(hub, tmp_path), source(None))
    (snapshot,) = (tmp_path / "hub").glob("datasets--*/snapshots/*")
    alone = "configs: [{config_name: default, data_files: 'https://example.org/a.csv'}]"
    (snapshot / ".huggingface.yaml").write_text(alone)
    with pytest.raises(PathNotAllowed):
        found(rows_of(hub, tmp_path, offline=True), source(None))


@pytest.mark.parametrize(("stated", "right"), [(2, True), (3, False)])
def test_fewer_rows_than_the_readme_says_are_an_error(
    hub: Hub, tmp_path: Path, stated: int, right: bool
) -> None:
    card = (
        "---\ndataset_info:\n  features:\n  - {name: q, dtype: int64}\n  splits:\n"
        f"  - {{name: train, num_bytes: 9, num_examples: {stated}}}\n---\n"
    )
    hub.commits[FIRST] = {"README.md": card.encode(), "train.jsonl": lines({"q": 1}, {"q": 2})}
    if right:
        assert len(found(rows_of(hub, tmp_path), source(None))) == 2
    else:
        with pytest.raises(BadRow, match="row 3: the README says that there are 3 rows"):
            found(rows_of(hub, tmp_path), source(None))


@pytest.mark.parametrize(
    "card", ["---\nconfigs: 7\n---\n", "---\nconfigs: [{a: b}]\n---\n", "---\n: [\n---\n"]
)
def test_a_readme_that_makes_no_sense_is_refused(hub: Hub, tmp_path: Path, card: str) -> None:
    hub.commits[FIRST] = {"README.md": card.encode(), "a.csv": b"q\n1\n"}
    with pytest.raises(InvalidInput, match="team/data@01234567"):
        found(rows_of(hub, tmp_path), source(None))


def test_pictures_are_refused_before_a_row_is_read(hub: Hub, tmp_path: Path) -> None:
    features = Features({"q": Value("string"), "seen": List({"picture": Image()})})
    picture = {"bytes": b"\x89PNG", "path": None}
    content = parquet([{"q": "one", "seen": [{"picture": picture}]}], features)
    hub.commits[FIRST] = {"data/train.parquet": content}
    with pytest.raises(InvalidInput, match="'seen' holds Image"):
        found(rows_of(hub, tmp_path), source(None))


def test_bytes_are_refused_by_row(hub: Hub, tmp_path: Path) -> None:
    content = parquet([{"q": None}, {"q": b"x"}], Features({"q": Value("binary")}))
    hub.commits[FIRST] = {"train.parquet": content}
    with pytest.raises(BadRow, match="row 2: values of type bytes"):
        found(rows_of(hub, tmp_path), source(None))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.jsonl", b'{"q": 1}\n{"q": secret\n'),
        ("train.jsonl", b'{"q": "secret\xff"}\n'),
        ("train.json.gz", gzip.compress(lines(*({"q": i} for i in range(999))))[:-99]),
        ("train.parquet", labelled(9)[:-40]),
        ("train.csv", b'q,n\n1,2\n"secret,3\n'),
    ],
    ids=["json", "encoding", "gzip", "parquet", "csv"],
)
def test_a_broken_file_is_an_error_that_names_data_set_and_row(
    hub: Hub, tmp_path: Path, name: str, content: bytes
) -> None:
    hub.commits[FIRST] = {name: content}
    with pytest.raises(InvalidInput, match="team/data@01234567/train") as caught:
        found(rows_of(hub, tmp_path), source(None))
    assert "secret" not in str(caught.value)


def test_the_settings_reach_the_reader(hub: Hub, tmp_path: Path) -> None:
    from forgetscope.wiring.settings import Settings
    from forgetscope.wiring.wires import build_rows, build_store

    def rows_by(settings: Settings) -> Rows:
        return build_rows(settings, build_store(settings))

    settings = Settings(home_dir=tmp_path, hub_endpoint=hub.url, hub_max_dataset_bytes=10)
    with pytest.raises(InvalidInput, match="at most 10"):
        found(rows_by(settings), source())
    found(rows_by(Settings(home_dir=tmp_path, hub_endpoint=hub.url)), source())
    offline = Settings(home_dir=tmp_path, hub_offline=True)
    assert found(rows_by(offline), source())
    shutil.rmtree(tmp_path / "hub")
    with pytest.raises(UnknownName, match="offline"):
        found(rows_by(offline), source())
