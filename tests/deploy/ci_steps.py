"""The shell steps of the files for other people's CI, run as the CI runs them."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import yaml

PROJECT = Path(__file__).parents[2]
ACTION = PROJECT / "deploy" / "ci" / "github" / "action.yml"
GITLAB = PROJECT / "deploy" / "ci" / "gitlab.yml"


class Ended(NamedTuple):
    code: int
    said: str
    summary: str


def environment(**more: str) -> dict[str, str]:
    """That of a runner with ForgetScope on its path."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FORGETSCOPE_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {
        **kept,
        "PATH": path,
        "FORGETSCOPE_DATA_DIR": str(PROJECT.parent / "shared" / "data"),
        "FORGETSCOPE_HUB_OFFLINE": "true",
        "COLUMNS": "160",
        **more,
    }


def bash(
    script: str, folder: Path, variables: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    """As GitHub and GitLab call it."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def run_action(folder: Path, **inputs: str) -> Ended:
    """The action's own shell steps in their order, with what the runner puts in: inputs with their
    defaults, outputs of earlier steps, and the files for outputs and the summary."""
    action = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    assert set(inputs) <= set(action["inputs"])
    known = {f"inputs.{name}": about["default"] for name, about in action["inputs"].items()}
    known |= {f"inputs.{name}": value for name, value in inputs.items()}
    output, summary = folder / "GITHUB_OUTPUT", folder / "GITHUB_STEP_SUMMARY"
    said, code = "", 0
    for step in action["runs"]["steps"]:
        if "run" not in step or step.get("if") == "inputs.install == 'true'":
            continue
        variables = {name: filled(value, known) for name, value in step["env"].items()}
        runner = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
        done = bash(step["run"], folder, variables | runner)
        said, code = said + done.stdout + done.stderr, done.returncode
        if code:
            break
        if output.exists():
            pairs = [line.split("=", 1) for line in output.read_text().splitlines()]
            known |= {f"steps.{step.get('id')}.outputs.{name}": value for name, value in pairs}
    return Ended(code, said, summary.read_text() if summary.exists() else "")


def filled(value: str, known: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ *(\S+) *\}\}", lambda found: known[found[1]], value)


def run_gitlab(folder: Path, **variables: str) -> Ended:
    """The script of the job with its variables."""
    job = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))[".forgetscope-audit"]
    assert set(variables) <= set(job["variables"])
    done = bash("\n".join(job["script"]), folder, {**job["variables"], **variables})
    return Ended(done.returncode, done.stdout + done.stderr, "")
