"""Clients that are generated from the API's description, as other teams make them: against a live
server, and what docs/clients.md shows of them."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from e2e.conftest import Embedded
from e2e.processes import PROJECT, wait_for
from e2e.test_audit import WORST, Checkpoints, checkpoints

__all__ = ["checkpoints"]  # a fixture; its experiment has run once for all who ask

pytestmark = pytest.mark.timeout(900)

TOOLS = PROJECT / ".venv-clients"
DOCUMENT = (PROJECT / "docs" / "clients.md").read_text(encoding="utf-8")


class Clients(NamedTuple):
    """The generated Python package's folder, and the TypeScript package."""

    python: Path
    typescript: Path


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    assert (TOOLS / ".made").exists(), "the generators are not installed: run make clients"
    out = tmp_path_factory.mktemp("clients")
    run([PROJECT / "deploy" / "clients" / "generate.sh", out], PYTHON=sys.executable)
    made = Clients(out / "python", out / "typescript")
    sys.path.insert(0, str(made.python))
    yield made
    sys.path.remove(str(made.python))


def run(command: list[str | Path], cwd: Path | None = None, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def node(clients: Clients, name: str, program: str, *arguments: str) -> str:
    """Compile a program beside the package's own sources, strictly, and run it."""
    (clients.typescript / "src" / f"{name}.ts").write_text(program, encoding="utf-8")
    environment = {"PATH": f"{TOOLS / 'bin'}:{os.environ['PATH']}"}
    run(["node", "node_modules/typescript/bin/tsc"], clients.typescript, **environment)
    return run(["node", f"dist/{name}.js", *arguments], clients.typescript, **environment)


def test_every_operation_and_every_schema_is_in_the_generated_clients(clients: Clients) -> None:
    document = json.loads((clients.python.parent / "openapi.json").read_text())
    operations = [o["operationId"] for path in document["paths"].values() for o in path.values()]
    modules = {path.stem for path in (clients.python / "forgetscope_api/api").glob("*/*.py")}
    assert set(operations) == modules - {"__init__"}
    run([sys.executable, "-W", "error", "-c", "import forgetscope_api.models"], clients.python)
    types = (clients.typescript / "dist" / "schema.d.ts").read_text()
    assert all(re.search(rf"^    {name}: {{$", types, re.MULTILINE) for name in operations)


class Told(NamedTuple):
    """What an audit says."""

    outcome: str
    breached: list[str | None]
    missing: list[int]
    """Items that the underpowered rows would need beyond those that they have."""


@pytest.fixture
def generated(clients: Clients, embedded: Embedded) -> Iterator[Any]:
    """The generated Python client of the platform."""
    from forgetscope_api import Client

    with Client(embedded.client.base_url) as client:
        yield client


def audited(client: Any, before: Path, candidate: Path, n: int | None = None) -> Told:
    """By the generated Python client."""
    from forgetscope_api.api.audits import get_audit, get_audit_results, submit_audit
    from forgetscope_api.models import (
        AuditResults,
        AuditSpecInput,
        AuditView,
        LocalModel,
        Policy,
        PowerNeed,
        ScoredTask,
        ScoringSpec,
        Submitted,
        TaskRule,
    )

    spec = AuditSpecInput(
        name="audit from generated Python",
        reference=LocalModel(source="local", path=str(before)),
        candidate=LocalModel(source="local", path=str(candidate)),
        tasks=[ScoredTask(name="synthetic_safety", id="safety", evaluation_examples=n)],
        policy=Policy(
            name="release", tasks=[TaskRule(task="safety", margin=0.15, group_margin=0.1)]
        ),
        evaluation=ScoringSpec(engine="transformers", noise_floor=None),
    )
    submitted = submit_audit.sync(client=client, body=spec)
    assert isinstance(submitted, Submitted)

    def over() -> bool:
        view = get_audit.sync(submitted.id, client=client)
        assert isinstance(view, AuditView)
        assert view.state not in {"failed", "cancelled"}
        return view.state == "succeeded"

    wait_for("the audit has succeeded", over)
    results = get_audit_results.sync(submitted.id, client=client)
    assert isinstance(results, AuditResults)
    needs = [(row.need, row.items) for row in results.rows]
    return Told(
        results.outcome,
        [row.group for row in results.rows if row.verdict == "breach"],
        [n.items - has for n, has in needs if isinstance(n, PowerNeed) and n.items is not None],
    )


def test_the_generated_python_client_audits(generated: Any, checkpoints: Checkpoints) -> None:
    before, after = checkpoints
    assert audited(generated, before, after)[:2] == ("breach", [WORST])
    assert audited(generated, before, before)[:2] == ("pass", [])
    small = audited(generated, before, before, n=40)
    assert small.outcome == "underpowered"
    assert small.missing and min(small.missing) > 0


def test_the_generated_python_client_lists_uploads_and_gets_problems(
    generated: Any, embedded: Embedded, undisturbed: str
) -> None:
    from forgetscope_api import Client
    from forgetscope_api.api.datasets import upload_dataset
    from forgetscope_api.api.experiments import list_experiments, plan_experiment
    from forgetscope_api.api.stages import list_experiment_events, list_experiment_stages
    from forgetscope_api.api.tasks import preview_task
    from forgetscope_api.models import (
        DatasetView,
        ExperimentSpecInput,
        PageEventView,
        PageExperimentSummary,
        PageStageView,
        PlanView,
        Problem,
        TaskPreview,
        TaskUse,
    )
    from forgetscope_api.types import UNSET, File

    client = generated
    task = TaskUse(name="synthetic_safety", id="safety", train_examples=64)
    spec = ExperimentSpecInput(tasks=[task], chains=[["safety"]])
    plan = plan_experiment.sync(client=client, body=spec)
    assert isinstance(plan, PlanView) and plan.trainings == 1
    problem = plan_experiment.sync(
        client=client, body=ExperimentSpecInput(tasks=["no_such"], chains=[["no_such"]])
    )
    assert isinstance(problem, Problem)
    assert (problem.type_, problem.status) == ("/problems/unknown-name", 422)

    page = list_experiments.sync(client=client, limit=1)
    assert isinstance(page, PageExperimentSummary)
    (experiment,) = page.items
    keys: list[str] = []
    cursor: Any = UNSET
    while cursor is not None:
        stages = list_experiment_stages.sync(experiment.id, client=client, limit=2, cursor=cursor)
        assert isinstance(stages, PageStageView)
        keys += [stage.key for stage in stages.items]
        cursor = stages.next_cursor
    assert keys == [stage.key for stage in embedded.client.stages(experiment.id)]

    # Without it the answer is a stream, which the generator does not know.
    with Client(embedded.client.base_url, headers={"Accept": "application/json"}) as as_json:
        events = list_experiment_events.sync(undisturbed, client=as_json, after=2, limit=5)
    assert isinstance(events, PageEventView)
    assert [event.id for event in events.items] == [3, 4, 5, 6, 7]

    row = b'{"question": "2 + 2?", "answer": 4}\n'
    with (embedded.home / "rows.jsonl").open("wb+") as rows:
        rows.write(row)
        rows.seek(0)
        dataset = upload_dataset.sync(client=client, body=File(payload=rows), name="rows")
    assert isinstance(dataset, DatasetView)
    assert (dataset.rows, dataset.format_) == (1, "jsonl")
    seen = preview_task.sync("synthetic_safety", client=client, parameters="{}", examples=1)
    assert isinstance(seen, TaskPreview)


def test_the_generated_typescript_client_audits_and_follows(
    clients: Clients, embedded: Embedded, checkpoints: Checkpoints
) -> None:
    program = (Path(__file__).parent / "clients" / "audits.ts").read_text(encoding="utf-8")
    models = [str(folder) for folder in checkpoints]
    told = json.loads(node(clients, "audits", program, embedded.client.base_url, *models))
    breach, small = told["breach"], told["small"]
    assert (breach["outcome"], breach["breached"]) == ("breach", [WORST])
    assert (told["pass"]["outcome"], told["pass"]["breached"]) == ("pass", [])
    assert small["outcome"] == "underpowered" and min(small["needs"]) > 0
    assert breach["last"].endswith(".succeeded")
    assert breach["events"] == list(range(1, len(breach["events"]) + 1))
    assert told["resumed"] == breach["events"][3:]
    assert told["listed"] == [audit.id for audit in embedded.client.audits.list()]
    assert told["problem"]["type"] == "/problems/invalid-input"
    assert told["problem"]["errors"][0]["pointer"] == "/tasks"


SNIPPETS = re.findall(r"```(\w+)\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.mark.parametrize("n", range(len(SNIPPETS)))
def test_what_the_document_shows_does_what_it_says(
    n: int, clients: Clients, embedded: Embedded, tmp_path: Path
) -> None:
    language, text = SNIPPETS[n]
    text = text.replace("http://127.0.0.1:8321", embedded.client.base_url)
    match language:
        case "python":
            said = run([sys.executable, "-W", "error", "-c", text], clients.python)
        case "ts":
            said = node(clients, f"shown{n}", text.replace("forgetscope-api", "./index.js"))
        case "sh" if "make clients" not in text:
            said = run(["bash", "-euo", "pipefail", "-c", text], tmp_path)
        case _:
            return
    assert "underpowered" in said
