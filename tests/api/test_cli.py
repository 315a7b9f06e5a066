import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import yaml
from api.conftest import (
    RESULTS,
    SPEC,
    Gateway,
    claim_any,
    fail_one,
    finish_all,
    running_gateway,
    spec_with,
)
from api.test_experiments import submit
from typer.testing import CliRunner

from forgetscope.cli.main import app
from forgetscope.cli.words import duration

COMMANDS = (
    *("demo", "up", "serve", "worker", "worker-health", "migrate", "submit", "plan", "list"),
    *("watch", "results", "report", "cancel", "retry", "delete", "compare", "power"),
    *("tasks", "datasets", "models"),
)


class Cli(NamedTuple):
    """The command line against a gateway with one finished experiment."""

    gateway: Gateway
    finished: str

    def __call__(self, *arguments: str, text: str | None = None, status: int = 0) -> str:
        runner = CliRunner(env={"FORGETSCOPE_URL": self.gateway.url, "COLUMNS": "160"})
        result = runner.invoke(app, list(arguments), input=text)
        assert result.exit_code == status, result.output
        assert "Traceback" not in result.output
        return result.output


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    home = tmp_path_factory.mktemp("cli")
    with running_gateway(home) as gateway, httpx.Client(base_url=gateway.url) as http:
        finished = submit(http, spec_with(1, name="the first"))
        finish_all(gateway.platform, home)
        yield Cli(gateway, finished)


def test_help_teaches_by_example() -> None:
    text = CliRunner().invoke(app, ["--help"]).output
    assert "forgetscope submit examples/demo.yaml" in text
    for command in COMMANDS:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0


def test_a_file_in_yaml_or_json_or_standard_input_is_planned_and_submitted(
    cli: Cli, tmp_path: Path
) -> None:
    as_yaml, as_json = tmp_path / "s.yaml", tmp_path / "s.json"
    as_yaml.write_text(yaml.safe_dump(spec_with(2)))
    as_json.write_text(json.dumps(spec_with(2)))
    assert cli("plan", str(as_yaml), "--json") == cli("plan", str(as_json), "--json")
    assert "transformers" in cli("plan", str(as_yaml))
    experiment = cli("submit", "-", text=json.dumps(spec_with(2))).strip()
    assert experiment in cli("list", "--state", "queued")
    assert "cancelled" in cli("cancel", experiment)
    assert "queued" in cli("retry", experiment)
    cli("cancel", experiment)
    cli("delete", experiment)
    assert experiment not in cli("list")


def test_results_are_tables_or_exact_json(cli: Cli) -> None:
    tables = cli("results", cli.finished)
    for words in ("base model", "90.0", "+20.0 [+15.0, +25.0]", "▸ safety →"):
        assert words in tables
    assert json.loads(cli("results", cli.finished, "--json")) == RESULTS.model_dump(mode="json")


def test_the_report_is_saved_and_its_places_are_told(cli: Cli, tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "r.html"
    said = cli("report", cli.finished, "--output", str(target))
    assert "Nothing was forgotten" in target.read_text()
    assert said.splitlines() == [
        str(target),
        f"{cli.gateway.url}/v1/experiments/{cli.finished}/report",
    ]
    assert "cannot write" in cli("report", cli.finished, "-o", "/dev/null/x", status=1)


def test_tasks_and_experiments_are_listed(cli: Cli) -> None:
    assert "synthetic_safety" in cli("tasks")
    assert "the first" in cli("list", "--name", "first")
    assert json.loads(cli("list", "--json", "--name", "first"))[0]["id"] == cli.finished
    assert "no experiments" in cli("list", "--name", "nobody has this name")


def test_watching_tells_what_happens_until_the_end(cli: Cli, tmp_path: Path) -> None:
    worker = threading.Timer(0.5, finish_all, args=(cli.gateway.platform, tmp_path))
    worker.start()
    said = cli("submit", "-", "--watch", text=json.dumps(spec_with(3)))
    worker.join()
    lines = said.splitlines()
    assert sum(" done " in line for line in lines) >= 10
    assert "[23/23] done" in said
    assert re.search(r"left.*: \d+ of 23 stages done", said), "told before anything has happened"
    assert "Succeeded." in said and "forgetscope results" in said


def test_an_experiment_that_failed_ends_with_its_reason_and_status_1(
    cli: Cli, tmp_path: Path
) -> None:
    experiment = cli("submit", "-", text=json.dumps(spec_with(4))).strip()
    claim = claim_any(cli.gateway.platform)
    assert claim is not None
    fail_one(cli.gateway.platform, claim)
    finish_all(cli.gateway.platform, tmp_path)
    said = cli("watch", experiment, status=1)
    assert "the disk is full" in said and f"forgetscope retry {experiment}" in said


def test_refused_input_is_explained_with_status_3(cli: Cli, tmp_path: Path) -> None:
    said = cli("submit", "-", text=json.dumps(SPEC | {"seeds": [-1], "taks": 1}), status=3)
    assert "/seeds/0" in said and "/taks" in said
    said = cli("plan", "-", text='{"tasks": ["arcc"], "chains": [["arcc"]]}', status=3)
    assert "Did you mean 'arc'?" in said
    assert "YAML" in cli("plan", "-", text="{a: [", status=3)
    assert "object" in cli("plan", "-", text="[]", status=3)
    assert "cannot be read" in cli("plan", str(tmp_path / "none.yaml"), status=2)
    assert "no such" in cli("watch", "00000000-0000-4000-8000-000000000000", status=3)
    cli("list", "--state", "asleep", status=2)


def test_a_server_that_is_not_there_is_explained_with_status_4() -> None:
    result = CliRunner().invoke(app, ["tasks", "--url", "http://127.0.0.1:9"])
    assert result.exit_code == 4
    assert "forgetscope up" in result.output and "Traceback" not in result.output
    assert CliRunner().invoke(app, ["tasks", "--url", "nonsense"]).exit_code == 4


def test_ctrl_c_stops_watching_and_not_the_experiment(cli: Cli) -> None:
    experiment = cli("submit", "-", text=json.dumps(spec_with(5))).strip()
    process = subprocess.Popen(
        [sys.executable, "-m", "forgetscope.cli.main", "watch", experiment],
        env={**os.environ, "FORGETSCOPE_URL": cli.gateway.url},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "stages done" in process.stderr.readline(), "it watches"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "goes on" in said and f"forgetscope watch {experiment}" in said
    assert "queued" in cli("list", "--state", "queued")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")],
)
def test_durations_are_readable(seconds: float, words: str) -> None:
    assert duration(seconds) == words
