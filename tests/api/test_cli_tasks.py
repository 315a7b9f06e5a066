"""`forgetscope tasks`, with a server and without one."""

import json
from pathlib import Path
from typing import Any, Protocol

import jsonschema
import pytest
import yaml
from api.conftest import Gateway, spec_with
from typer.testing import CliRunner

from forgetscope.cli.main import app
from forgetscope.schema.preview import TaskPreview

TASK: dict[str, Any] = {
    "name": "mine",
    "kind": "safety",
    "licence": "CC0-1.0",
    "citation": "Nobody 2026",
    "source": "mine.jsonl",
    "split": {"hold_out": 0.4},
    "prompt": "Text: {{ text }}",
    "options": ["yes", "no"],
    "answer": {"column": "label", "map": {1: "yes", 0: "no"}},
}


class Cli(Protocol):
    def __call__(self, *arguments: str, status: int = 0) -> str: ...


@pytest.fixture
def cli(gateway: Gateway, tmp_path: Path) -> Cli:
    (gateway.home / "data" / "mine.jsonl").write_text(
        "".join(f'{{"text": "item {n}", "label": {n % 2}}}\n' for n in range(60))
    )
    here = tmp_path / "data"
    here.mkdir()
    (here / "mine.jsonl").write_text(
        "".join(f'{{"text": "local {n}", "label": {n % 2}}}\n' for n in range(20))
    )

    def run(*arguments: str, status: int = 0) -> str:
        runner = CliRunner(
            env={
                "FORGETSCOPE_URL": gateway.url,
                "FORGETSCOPE_DATA_DIR": str(here),
                "FORGETSCOPE_HOME_DIR": str(tmp_path / "home"),
                "COLUMNS": "160",
            }
        )
        result = runner.invoke(app, list(arguments))
        assert result.exit_code == status, result.output
        assert "Traceback" not in result.output
        return result.output

    return run


@pytest.fixture
def task_file(tmp_path: Path) -> Path:
    path = tmp_path / "tasks" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(TASK))
    return path


def test_a_task_file_is_registered_listed_shown_and_deleted(cli: Cli, task_file: Path) -> None:
    assert cli("tasks", "register", str(task_file)) == "mine\n"
    assert cli("tasks") == cli("tasks", "list")
    assert "mine" in cli("tasks")
    shown = cli("tasks", "show", "mine")
    for words in ("CC0-1.0", "Nobody 2026", "registered here", "50 %", "hold_out: 0.4"):
        assert words in shown
    assert json.loads(cli("tasks", "show", "mine", "--json"))["registered"] is True
    cli("tasks", "delete", "mine")
    assert "Did you mean 'arc'?" in cli("tasks", "show", "acr", status=3)


def test_a_built_in_task_is_shown_with_its_parameters(cli: Cli) -> None:
    shown = cli("tasks", "show", "arc")
    for words in ("Clark et al. 2018", "built in", "subset", "easy"):
        assert words in shown


def test_a_preview_needs_no_server_and_reads_the_folder_that_it_is_told(
    cli: Cli, task_file: Path, tmp_path: Path
) -> None:
    shown = cli("tasks", "preview", str(task_file), "--url", "http://127.0.0.1:9")
    assert "Text: local" in shown and "Nothing doubtful" in shown
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.jsonl").write_text(
        "".join(f'{{"text": "elsewhere {n}", "label": {n % 2}}}\n' for n in range(20))
    )
    assert "Text: elsewhere" in cli("tasks", "preview", str(task_file), "--data-dir", str(other))
    assert "Text: item" in cli("tasks", "preview", str(task_file), "--server")


def test_a_preview_of_a_name_takes_parameters_here_and_on_the_server(
    cli: Cli, task_file: Path
) -> None:
    world = json.dumps({"world": {"words": 8}})
    command = ("tasks", "preview", "synthetic_safety", "--params", world, "--json")
    here, there = cli(*command), cli(*command, "--server")
    assert TaskPreview.model_validate_json(here) == TaskPreview.model_validate_json(there)
    assert "Did you mean 'synthetic_safety'" in cli(
        "tasks", "preview", "synthetic_saftey", status=3
    )
    cli("tasks", "register", str(task_file))
    assert "score exact" in cli(
        "tasks", "preview", "mine", "--server", "--params", '{"score": "exact"}'
    )
    cli("tasks", "preview", "mine", "--params", "{", status=2)
    cli("tasks", "delete", "mine")


def test_an_error_among_the_doubts_ends_with_status_1_and_a_faulty_file_with_3(
    cli: Cli, task_file: Path
) -> None:
    for change, status, words in (
        ({"prompt": "{{ txet }}"}, 1, "column 'txet' is missing"),
        ({"prompt": "{{ text() }}"}, 3, "/prompt"),
        ({"options": [True, False]}, 3, "put it into quotes"),
        ({"source": "none.jsonl"}, 3, "no such file"),
    ):
        task_file.write_text(yaml.safe_dump(TASK | change))
        for server in ([], ["--server"]):
            assert words in cli("tasks", "preview", str(task_file), *server, status=status)
    task_file.write_text("{a: [")
    assert "YAML" in cli("tasks", "preview", str(task_file), status=3)


def test_a_specification_takes_in_the_task_files_beside_it(
    cli: Cli, task_file: Path, tmp_path: Path
) -> None:
    def planned(**entry: Any) -> dict[str, Any]:
        spec = spec_with(7, tasks=[{"train_examples": 20, **entry}], chains=[["mine"]])
        path = tmp_path / "experiment.yaml"
        path.write_text(yaml.safe_dump(spec))
        found: dict[str, Any] = json.loads(cli("plan", str(path), "--json"))
        return found

    by_file = planned(task_file="tasks/mine.yaml")
    cli("tasks", "register", str(task_file))
    by_name = planned(name="mine")
    keys = [{s["key"] for s in p["stages"] if s["kind"] == "train"} for p in (by_file, by_name)]
    assert keys[0] == keys[1]
    changed = planned(task_file="tasks/mine.yaml", params={"score": "exact"})
    assert {s["key"] for s in changed["stages"] if s["kind"] == "evaluate"}.isdisjoint(
        s["key"] for s in by_file["stages"]
    )
    cli("tasks", "delete", "mine")


@pytest.mark.parametrize("entry", [{"task_file": "none.yaml"}, {"task_file": "x", "name": "arc"}])
def test_a_task_file_that_cannot_be_taken_in_is_named(
    cli: Cli, tmp_path: Path, entry: dict[str, str]
) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(yaml.safe_dump(spec_with(7, tasks=[entry])))
    said = cli("plan", str(path), status=3 if "name" in entry else 2)
    assert "task_file" in said or "none.yaml" in said


def test_the_schema_of_task_files_admits_a_task_file(cli: Cli) -> None:
    plain = json.loads(json.dumps(TASK))
    jsonschema.Draft202012Validator(json.loads(cli("tasks", "schema"))).validate(plain)
