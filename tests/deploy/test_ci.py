"""The files for other people's CI: valid for the CI, and their shell steps run as it runs them."""

import json
import subprocess
from importlib.metadata import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from deploy.ci_steps import ACTION, GITLAB, Ended, run_action, run_gitlab

NOBODY = "http://127.0.0.1:9"  # the discard port: nobody listens there


def official(name: str) -> Any:
    """A schema of the CI's makers, as the package check-jsonschema ships it."""
    listed = [f for f in files("check-jsonschema") or () if f.name == f"{name}.json"]
    return json.loads(listed[0].read_text(encoding="utf-8"))


def test_the_action_is_valid_for_github() -> None:
    action = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(official("github-actions")).validate(action)


def test_the_template_is_valid_for_gitlab_and_so_is_a_job_that_extends_it() -> None:
    template = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))
    job = {"extends": ".forgetscope-audit", "variables": {"AUDIT_SPEC": "audit.yaml"}}
    checker = jsonschema.Draft7Validator(official("gitlab-ci"))
    checker.validate(template | {"audit": job})
    assert not checker.is_valid(template | {"audit": {"script": 3}})


def test_no_input_becomes_text_of_a_script() -> None:
    for step in yaml.safe_load(ACTION.read_text(encoding="utf-8"))["runs"]["steps"]:
        script = step.get("run", "")
        assert "${{" not in script
        subprocess.run(["bash", "-n", "-c", script], check=True)


def test_the_template_has_every_input_of_the_action() -> None:
    inputs = set(yaml.safe_load(ACTION.read_text(encoding="utf-8"))["inputs"]) - {"install"}
    job = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))[".forgetscope-audit"]
    assert {f"AUDIT_{name.upper()}" for name in inputs} == set(job["variables"])


@pytest.mark.parametrize("way", ["github", "gitlab"])
def test_wrong_usage_and_an_absent_server_reach_the_ci_as_3_and_4(way: str, tmp_path: Path) -> None:
    def run(**inputs: str) -> Ended:
        if way == "github":
            return run_action(tmp_path, **inputs)
        return run_gitlab(tmp_path, **{f"AUDIT_{n.upper()}": v for n, v in inputs.items()})

    assert run().code == 3
    (tmp_path / "policy; exit 0.yaml").write_text("{name: a, tasks: [{task: synthetic_safety}]}")
    ended = run(
        policy="policy; exit 0.yaml",
        reference="builtin:tiny",
        candidate="$(exit 0)",
        tasks="synthetic_safety\nsynthetic_capability",
        server=NOBODY,
    )
    assert ended.code == 4
    assert NOBODY in ended.said
    ended = run(reference="builtin:tiny", baseline="production", server=NOBODY)
    assert ended.code == 3
    assert "--reference and --baseline" in ended.said
