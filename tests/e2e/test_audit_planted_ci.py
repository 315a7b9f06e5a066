"""Planted forgetting of one group, as a CI meets it: by the command line, embedded and against a
server, and by the action."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
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


def by_itself(folder: Path, embedded: Embedded, candidate: str) -> Ended:
    home = {"AUDIT_HOME": str(folder / "home"), "FORGETSCOPE_ALLOWED_ROOTS": str(embedded.models)}
    done = bash(AUDIT.format(candidate) + '--embedded --home "$AUDIT_HOME"', folder, home)
    return Ended(done.returncode, done.stdout + done.stderr, "")


def in_the_action(folder: Path, _: Embedded, candidate: str) -> Ended:
    return run_action(
        folder,
        spec="audit.yaml",
        policy="policy.yaml",
        reference=str((folder / "before").resolve()),
        candidate=str((folder / candidate).resolve()),
        home="home",
    )


def breached(folder: Path) -> tuple[list[str | None], list[str]]:
    """(failed cases of JUnit, rules of SARIF with a result)"""
    found = folder / "forgetscope-audit"
    cases = ET.parse(found / "junit.xml").getroot().iter("testcase")
    run = json.loads((found / "audit.sarif").read_text())["runs"][0]
    return (
        [case.get("name") for case in cases if case.find("failure") is not None],
        [result["ruleId"] for result in run["results"]],
    )


@pytest.mark.parametrize("audit", [on_server, by_itself, in_the_action])
def test_the_planted_group_breaches_the_unharmed_passes_and_too_few_are_undecided(
    audit: Callable[[Path, Embedded, str], Ended], folder: Path, embedded: Embedded
) -> None:
    ended = audit(folder, embedded, "after")
    assert ended.code == 1, ended.said
    assert breached(folder) == ([WORST], [f"safety/{WORST}"])
    if audit is in_the_action:
        assert f"| {WORST} | accuracy lost |" in ended.summary

    ended = audit(folder, embedded, "before")
    assert ended.code == 0, ended.said
    assert breached(folder) == ([], [])

    write_spec(folder, 40)
    ended = audit(folder, embedded, "before")
    assert ended.code == 2, ended.said
    assert "would decide it" in ended.said + ended.summary
