"""What the document on audits promises is there."""

import re
from pathlib import Path

import yaml
from deploy.ci_steps import ACTION, GITLAB
from typer.testing import CliRunner

from forgetscope.cli.main import app
from forgetscope.schema.audit import AuditSpec
from forgetscope.schema.policy import Policy

DOCUMENT = Path(__file__).parents[2] / "docs" / "audits.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]


def test_the_examples_are_an_audit_and_a_policy() -> None:
    AuditSpec.model_validate(next(b for b in BLOCKS if "candidate" in b))
    Policy.model_validate(next(b for b in BLOCKS if "waivers" in b))


def test_the_examples_for_a_ci_use_what_is_there() -> None:
    steps = next(b for b in BLOCKS if "jobs" in b)["jobs"]["audit"]["steps"]
    (used,) = [step for step in steps if "deploy/ci/github" in step["uses"]]
    action = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    assert set(used["with"]) <= set(action["inputs"])
    job = next(b for b in BLOCKS if "include" in b)["audit"]
    template = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))[job["extends"]]
    assert set(job["variables"]) <= set(template["variables"])


def test_every_command_and_option_in_the_document_exists() -> None:
    commands = re.findall(
        r"^forgetscope ((?:[a-z]+ ?)+?)(?= [^a-z]| \S+\.)(.*)$", TEXT, re.MULTILINE
    )
    assert len(commands) >= 5
    for names, rest in commands:
        done = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*names.split(), "--help"])
        assert done.exit_code == 0, names
        for option in re.findall(r"--[a-z]+", rest):
            assert option in done.output, f"{names} {option}"


def test_every_relative_link_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", TEXT)
    assert links
    for target in links:
        assert (DOCUMENT.parent / target).exists(), target
