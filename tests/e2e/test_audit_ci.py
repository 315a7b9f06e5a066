"""Audits as a CI runs them, on a real platform that starts and ends with each."""

import json
import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.ci_steps import bash, run_action, run_gitlab
from tiny_llama import tiny_model, tiny_tokenizer

pytestmark = pytest.mark.timeout(900)

# A model against itself has lost nothing.
SPEC: dict[str, Any] = {
    "name": "release 7",
    "tasks": [{"name": "synthetic_safety", "evaluation_examples": 200}],
    "evaluation": {"engine": "transformers", "noise_floor": None},
    "bootstrap_replicates": 200,
}
MODELS = {name: {"source": "builtin", "name": "tiny"} for name in ("reference", "candidate")}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the platforms of all tests here: what one has scored no other scores again."""
    return str(tmp_path_factory.mktemp("home"))


def policy_file(folder: Path, name: str, *rules: dict[str, Any]) -> str:
    path = folder / name
    path.write_text(yaml.safe_dump({"name": "release", "tasks": list(rules)}))
    return path.name


def read(folder: Path) -> tuple[Any, ET.Element, Any]:
    """(results, JUnit, SARIF)"""
    found = folder / "forgetscope-audit"
    return (
        json.loads((found / "audit.json").read_text()),
        ET.parse(found / "junit.xml").getroot(),
        json.loads((found / "audit.sarif").read_text()),
    )


def test_pass_breach_and_underpowered_reach_the_ci_with_their_files(
    tmp_path: Path, home: str
) -> None:
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(SPEC | MODELS))
    (tmp_path / "tasks.yaml").write_text(yaml.safe_dump(SPEC))
    wide = policy_file(tmp_path, "wide.yaml", {"task": "synthetic_safety", "margin": 0.9})
    both = policy_file(
        tmp_path,
        "both.yaml",
        {"task": "synthetic_safety", "margin": 0.9},
        {"task": "synthetic_capability"},
    )
    large = policy_file(
        tmp_path, "large.yaml", {"task": "synthetic_safety", "margin": 0.9, "min_items": 1000}
    )

    passed = run_gitlab(tmp_path, AUDIT_SPEC="audit.yaml", AUDIT_POLICY=wide, AUDIT_HOME=home)
    assert passed.code == 0, passed.said
    results, junit, sarif = read(tmp_path)
    assert results["outcome"] == "pass"
    assert (junit.get("tests"), junit.get("failures"), junit.get("skipped")) == ("1", "0", "0")
    assert sarif["runs"][0]["results"] == []
    assert re.search(r"left.*: \d+ of \d+ stages done", passed.said), "the time left is told"

    # The same models, scored already; this time named by inputs of the action.
    breached = run_action(
        tmp_path,
        spec="tasks.yaml",
        policy=both,
        reference="builtin:tiny",
        candidate="builtin:tiny",
        home=home,
    )
    assert breached.code == 1, breached.said
    assert breached.summary.startswith("## ForgetScope audit failed")
    assert "synthetic_capability" in breached.summary
    results, junit, sarif = read(tmp_path)
    assert results["missing"] == ["synthetic_capability"]
    assert junit.get("failures") == "1"
    assert [r["ruleId"] for r in sarif["runs"][0]["results"]] == ["synthetic_capability"]
    place = sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "both.yaml"

    undecided = run_action(tmp_path, spec="audit.yaml", policy=large, home=home)
    assert undecided.code == 2, undecided.said
    _, junit, _ = read(tmp_path)
    assert junit.get("errors") == "1"
    assert "would decide it" in undecided.summary

    left = subprocess.run(["pgrep", "-f", home], capture_output=True, check=False)
    assert left.stdout == b"", "the platform has ended"


def test_a_passed_audit_becomes_a_certificate(tmp_path: Path, home: str) -> None:
    rule = {"task": "synthetic_safety", "margin": 0.9}
    spec = SPEC | MODELS | {"policy": {"name": "release", "tasks": [rule]}}
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(spec))
    done = bash(
        'forgetscope audit audit.yaml --embedded --home "$AUDIT_HOME" --json audit.json\n'
        "forgetscope certificate keygen\n"
        "forgetscope certificate create audit.json --key forgetscope.key.pem\n"
        "forgetscope certificate verify certificate.json --key forgetscope.pub.pem",
        tmp_path,
        {"AUDIT_HOME": home},
    )
    assert done.returncode == 0, done.stderr
    assert "model.safetensors" in done.stdout


def test_unknown_names_leave_with_3_and_a_stage_that_fails_with_4(
    tmp_path: Path, home: str
) -> None:
    policy_file(tmp_path, "policy.yaml", {"task": "synthetic_safety"})
    (tmp_path / "tasks.yaml").write_text(yaml.safe_dump(SPEC))
    broken = tmp_path / "broken"
    tiny_model().save_pretrained(broken)
    tiny_tokenizer().save_pretrained(broken)
    (broken / "tokenizer.json").write_text("{}")
    done = bash(
        'audit() { forgetscope audit "$@" --embedded --home "$AUDIT_HOME" --policy policy.yaml '
        "--reference builtin:tiny --candidate ./broken; }\n"
        "code=0; audit --task nothing || code=$?; echo unknown=$code\n"
        "code=0; audit tasks.yaml --json audit.json || code=$?; echo failed=$code",
        tmp_path,
        {"AUDIT_HOME": home, "FORGETSCOPE_MAX_ATTEMPTS": "1"},
    )
    assert "unknown=3" in done.stdout, done.stderr
    assert "failed=4" in done.stdout, done.stderr
    assert "the audit has failed" in done.stderr
    assert not (tmp_path / "audit.json").exists()
