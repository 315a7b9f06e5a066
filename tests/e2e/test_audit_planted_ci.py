"""Planted forgetting of one group, as a CI meets it: by the command line, embedded and against a
server, and by the action."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from deploy.ci_steps import Ended, bash, run_action
from e2e.conftest import Embedded
from e2e.test_audit import WORST, Checkpoints, checkpoints

__all__ = ["checkpoints"]  # a fixture; its experiment has run once for all who ask

pytestmark = pytest.mark.timeout(900)

AUDIT = (
    "forgetscope audit audit.yaml --policy policy.yaml --reference before --candidate {} "
    "--junit forgetscope-audit/junit.xml --sarif forgetscope-audit/audit.sarif "
    "--json forgetscope-audit/audit.json "
)


@pytest.fixture
def folder(tmp_path: Path, checkpoints: Checkpoints) -> Path:
    """A repository with a specification, a policy, and two models."""
    write_spec(tmp_path, None)
    rule = {"task": "safety", "margin": 0.15, "group_margin": 0.1}
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump({"name": "release", "tasks": [rule]}))
    for name in ("before", "after"):
        (tmp_path / name).symlink_to(getattr(checkpoints, name))
    return tmp_path


def write_spec(folder: Path, n: int | None) -> None:
    spec = {
        "tasks": [{"id": "safety", "name": "synthetic_safety", "evaluation_examples": n}],
        "evaluation": {"engine": "transformers", "noise_floor": None},
    }
    (folder / "audit.yaml").write_text(yaml.safe_dump(spec))


def on_server(folder: Path, embedded: Embedded, candidate: str) -> Ended:
    models = {name: str((folder / name).resolve()) for name in ("before", candidate)}
    command = AUDIT.format(models[candidate]).replace("--reference before", "--reference $BEFORE")
    done = bash(
        command + f"--server {embedded.client.base_url}", folder, {"BEFORE": models["before"]}
    )
    return Ended(done.returncode, done.stdout + done.stderr, "")


def breached(folder: Path) -> tuple[list[str | None], list[str]]:
    """(failed cases of JUnit, rules of SARIF with a result)"""
    found = folder / "forgetscope-audit"
    cases = ET.parse(found / "junit.xml").getroot().iter("testcase")
    run = json.loads((found / "audit.sarif").read_text())["runs"][0]
    return (
        [case.get("name") for case in cases if case.find("failure") is not None],
        [result["ruleId"] for result in run["results"]],
    )


def test_the_planted_group_breaches_in_every_way_to_run_an_audit(
    folder: Path, embedded: Embedded
) -> None:
    only_there = ([WORST], [f"safety/{WORST}"])
    ended = on_server(folder, embedded, "after")
    assert ended.code == 1, ended.said
    assert breached(folder) == only_there

    home = {"AUDIT_HOME": str(folder / "home"), "FORGETSCOPE_ALLOWED_ROOTS": str(embedded.models)}
    done = bash(AUDIT.format("after") + '--embedded --home "$AUDIT_HOME"', folder, home)
    assert done.returncode == 1, done.stderr
    assert breached(folder) == only_there

    ended = run_action(
        folder,
        spec="audit.yaml",
        policy="policy.yaml",
        reference=str((folder / "before").resolve()),
        candidate=str((folder / "after").resolve()),
        home="home",
    )
    assert ended.code == 1, ended.said
    assert breached(folder) == only_there
    assert f"| {WORST} | accuracy lost |" in ended.summary


def test_the_unharmed_model_passes_and_too_few_items_are_undecided(
    folder: Path, embedded: Embedded
) -> None:
    ended = on_server(folder, embedded, "before")
    assert ended.code == 0, ended.said
    write_spec(folder, 40)
    ended = on_server(folder, embedded, "before")
    assert ended.code == 2, ended.said
    assert "would decide it" in ended.said
