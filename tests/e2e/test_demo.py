"""The command at the top of the README, on a smaller experiment."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.processes import PROJECT, SPEC

pytestmark = pytest.mark.timeout(600)


def test_the_demo_ends_with_the_matrix_forgetting_and_a_report(tmp_path: Path) -> None:
    spec = tmp_path / "small.json"
    spec.write_text(json.dumps(SPEC | {"training": {"learning_rate": 1e-3, "epochs": 1}}))
    home = tmp_path / "home"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "forgetscope.cli.main",
            "demo",
            "--spec",
            str(spec),
            "--home",
            str(home),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for heading in ("Accuracy in percent", "Forgetting in points", "Biased forgetting"):
        assert heading in done.stdout
    assert re.search(r"about .* left", done.stderr), "progress comes with the time left"
    report = re.search(r"Report: (\S+\.html)", done.stdout)
    assert report is not None
    assert "</html>" in Path(report[1]).read_text(encoding="utf-8")
    left = subprocess.run(["pgrep", "-f", str(home)], capture_output=True, text=True, check=False)
    assert left.stdout == ""
