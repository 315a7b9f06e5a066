"""The power planner over HTTP and on the command line, on BBQ's own rows."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from api.conftest import Gateway
from typer.testing import CliRunner

from forgetscope.api.openapi import text
from forgetscope.api.routes.power import POWER_ANSWER, POWER_EXAMPLES
from forgetscope.cli.main import app
from forgetscope.client import Client, InvalidRequest
from forgetscope.schema.power import PowerPlan, PowerRequest

RELIGION = {"name": "bbq", "params": {"categories": ["Religion"]}}
SIZES = POWER_EXAMPLES["sizes"]["value"]


@pytest.fixture(scope="module")
def religion(gateway: Gateway) -> Gateway:
    """A gateway whose data folder holds one category of BBQ."""
    shared = Path(__file__).parents[2].parent / "shared" / "data"
    source = Path(os.environ.get("FORGETSCOPE_DATA_DIR") or shared) / "bbq/Religion.jsonl.gz"
    (gateway.home / "data/bbq").mkdir()
    shutil.copy(source, gateway.home / "data/bbq")
    return gateway


def run(gateway: Gateway, *arguments: str, status: int = 0) -> str:
    runner = CliRunner(env={"FORGETSCOPE_URL": gateway.url, "COLUMNS": "250"})
    result = runner.invoke(app, ["power", *arguments])
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result.stdout if status == 0 else result.stderr


def test_muslim_and_jewish_cannot_be_answered_and_templates_would_do(religion: Gateway) -> None:
    with Client(religion.url) as client:
        plan = client.power({"tasks": [RELIGION], "margins": [0.05]})
    groups = {group.group: group for group in plan.tasks[0].groups}
    for name, templates in (("muslim", 2), ("jewish", 1)):
        found = groups[name]
        assert (found.clusters, found.verdict) == (templates, "cannot be answered at this size")
        assert "fewer than 5" in found.reason
        assert "templates" in found.needed[0]
        assert found.power.value is None
    assert groups["christian"].reason == "no item of the group is in evaluation"


def test_the_command_line_shows_a_table_and_json(religion: Gateway) -> None:
    arguments = ("--task", "bbq", "--param", "categories=[Religion]", "--margin", "0.05")
    shown = run(religion, *arguments)
    (line,) = (line for line in shown.splitlines() if line.strip("│ ").startswith("muslim"))
    assert "cannot be answered at this size" in shown
    assert "80" in line
    assert "assumed: own choice" in shown
    plan = PowerPlan.model_validate(json.loads(run(religion, *arguments, "--json")))
    assert plan.tasks[0].margin == 0.05


def test_an_experiment_file_is_planned_with_its_seeds_and_confidence(
    religion: Gateway, tmp_path: Path
) -> None:
    spec = {
        "tasks": [RELIGION, "synthetic_capability"],
        "chains": {"generate": "safety_capability_pairs"},
        "seeds": [0, 1, 2, 3],
        "analysis": {"confidence": 0.9, "min_group_clusters": 2},
    }
    file = tmp_path / "spec.yaml"
    file.write_text(json.dumps(spec))
    plan = PowerPlan.model_validate(json.loads(run(religion, str(file), "--json")))
    assert [task.task for task in plan.tasks] == ["bbq", "synthetic_capability"]
    seeds = next(one for one in plan.assumptions if one.name == "seeds")
    assert (seeds.value, seeds.assumed) == (4, False)
    assert plan.tasks[0].judged == 2  # catholic and muslim, with 2 templates each
    assert plan.tasks[0].error_rate == pytest.approx(0.1 / 4)


def test_a_file_of_sizes_is_planned_and_options_come_before_it(
    religion: Gateway, tmp_path: Path
) -> None:
    file = tmp_path / "sizes.json"
    file.write_text(json.dumps(SIZES))
    options = ("--lost", "0.3", "--gained", "0.1", "--seeds", "7", "--icc", "0", "--json")
    plan = PowerPlan.model_validate(json.loads(run(religion, str(file), *options)))
    values = {one.name: one.value for one in plan.assumptions}
    assert (values["lost"], values["seeds"], values["icc"]) == (0.3, 7, 0)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 2, "give either a file or --task"),
        (("--task", "bbq", "--lost", "0.1"), 2, "--lost and --gained go together"),
        (("--task", "bbq", "--param", "Religion"), 3, "is no parameter"),
        (("--task", "bqb"), 3, "bbq"),
        (("--task", "bbq", "--margin", "2"), 3, "/margins/0"),
    ],
)
def test_what_cannot_be_planned_is_explained(
    religion: Gateway, arguments: tuple[str, ...], status: int, said: str
) -> None:
    assert said in run(religion, *arguments, status=status)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"tasks": ["nothing"]}, "/tasks/0/name"),
        ({"tasks": [{**RELIGION, "evaluation_examples": 5000}]}, "/tasks/0/evaluation_examples"),
        ({"expected_of": {"nobody": {"lost": 0.1, "gained": 0.1}}}, "/expected_of"),
        ({"effect": 0.99}, "/effect"),
        ({"margins": [0.01], "noise_floor": 0.02}, "/margins"),
        ({"margins": [0.0], "test": "equivalence"}, "/margins"),
    ],
)
def test_a_fault_is_pointed_to(religion: Gateway, change: dict[str, Any], pointer: str) -> None:
    with Client(religion.url) as client, pytest.raises(InvalidRequest) as caught:
        client.power({"tasks": [RELIGION], **change})
    assert [item.pointer for item in caught.value.problem.errors] == [pointer]


def test_the_answer_has_no_number_that_json_lacks(http: httpx.Client) -> None:
    answer = http.post("/v1/plans/power", json=SIZES)
    assert answer.status_code == 200
    assert "NaN" not in answer.text
    assert "Infinity" not in answer.text


def test_the_examples_are_what_they_show() -> None:
    document = json.loads(text())
    names = [name for name in document["components"]["schemas"] if name.startswith("PowerRequest")]
    schema = {"$ref": f"#/components/schemas/{names[0]}", "components": document["components"]}
    for example in POWER_EXAMPLES.values():
        PowerRequest.model_validate(example["value"])
        jsonschema.Draft202012Validator(schema).validate(example["value"])
    PowerPlan.model_validate(POWER_ANSWER)
