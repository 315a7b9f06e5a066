"""Rules of the house that the import linter cannot see."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
ROOTS = (
    "shared",
    "services/trainer",
    "services/evaluator",
    "services/analysis",
    "services/modeling",
    "api",
)


def modules() -> Iterator[Path]:
    for root in ROOTS:
        yield from sorted((PROJECT / root / "forgetscope").rglob("*.py"))


def test_no_portion_turns_the_namespace_into_a_package() -> None:
    for root in ROOTS:
        assert not (PROJECT / root / "forgetscope" / "__init__.py").exists()
        portions = [p for p in (PROJECT / root / "forgetscope").iterdir() if p.is_dir()]
        for portion in (p for p in portions if p.name != "__pycache__"):
            assert (portion / "py.typed").exists(), portion


# Each writes the environment of something that reads nothing else: a child process, or vLLM.
WRITERS = {"cli/embedded.py", "wiring/process_runner.py", "engines/vllm.py"}


def test_the_environment_is_read_in_the_settings_only() -> None:
    for path in modules():
        text = path.read_text(encoding="utf-8")
        if re.search(r"os\.environ|getenv", text):
            assert any(path.as_posix().endswith(w) for w in WRITERS), path


def test_every_module_says_what_it_is_and_stays_readable() -> None:
    for path in modules():
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        if tree.body:
            assert ast.get_docstring(tree), f"{path} has no docstring"
        assert len(text.splitlines()) <= 300, f"{path} is two modules"


@pytest.mark.parametrize(
    ("module", "weight"),
    [
        ("forgetscope.wiring.serve, forgetscope.api.app", "torch"),
        ("forgetscope.wiring.worker", "torch"),
        ("forgetscope.cli.main", "torch"),
        ("forgetscope.cli.main", "sqlalchemy"),
        ("forgetscope.client", "sqlalchemy"),
        ("forgetscope.client", "numpy"),
        ("forgetscope.app.submit", "fastapi"),
    ],
)
def test_importing_one_part_does_not_load_the_weight_of_another(module: str, weight: str) -> None:
    code = f"import sys, {module}; sys.exit({weight!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_weights_and_no_data_are_in_the_repository() -> None:
    files = subprocess.run(
        ["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    assert files
    forbidden = (".safetensors", ".bin", ".pt", ".pth", ".gz", ".parquet")
    assert [f for f in files if f.endswith(forbidden)] == []
