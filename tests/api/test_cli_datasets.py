"""`forgetscope datasets` against a real gateway."""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from api.conftest import MAX_DATASET_BYTES, Gateway
from typer.testing import CliRunner

from forgetscope.cli.main import app


class Cli:
    """The command line; `out` and `err` are what the last command printed."""

    def __init__(self, url: str) -> None:
        self._runner = CliRunner(env={"FORGETSCOPE_URL": url, "COLUMNS": "200"})
        self.out = self.err = ""

    def __call__(self, *arguments: str, status: int = 0) -> str:
        result = self._runner.invoke(app, ["datasets", *arguments])
        assert result.exit_code == status, result.output
        assert "Traceback" not in result.output
        self.out, self.err = result.stdout, result.stderr
        return self.out


@pytest.fixture
def cli(gateway: Gateway) -> Cli:
    return Cli(gateway.url)


def test_a_file_is_uploaded_listed_and_deleted(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text('{"q": "a", "n": 1}\n')
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert cli("upload", str(file)) == f"{digest}\n"
    assert "1 rows, columns: q (string), n (integer)" in cli.err
    assert cli("upload", str(file), "--name", "again") == f"{digest}\n"
    (found,) = json.loads(cli("list", "--json"))
    assert (found["digest"], found["name"]) == (digest, "mine.jsonl")
    assert digest in cli("list")
    assert "Deleted." in cli("delete", digest)
    cli("delete", digest, status=3)
    assert digest not in cli("list")
    assert "upload FILE" in cli.err


def test_parquet_goes_the_same_way(cli: Cli, tmp_path: Path) -> None:
    pq.write_table(pa.table({"q": ["a", "b"]}), tmp_path / "a.bin")
    digest = cli("upload", str(tmp_path / "a.bin")).strip()
    found = {item["digest"]: item for item in json.loads(cli("list", "--json"))}
    assert (found[digest]["format"], found[digest]["rows"]) == ("parquet", 2)


def test_refusals_name_file_and_row(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"n": 1}\n{"n": "secret"}\n')
    cli("upload", str(tmp_path / "bad.jsonl"), status=3)
    assert "bad.jsonl, row 2, column 'n'" in " ".join(cli.err.split())
    assert "secret" not in cli.err
    (tmp_path / "large").write_bytes(b" " * (MAX_DATASET_BYTES + 1))
    cli("upload", str(tmp_path / "large"), status=3)
    assert "larger than" in cli.err
    cli("upload", str(tmp_path / "none"), status=2)
