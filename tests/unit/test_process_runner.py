"""What a stage process is started with."""

import os
from pathlib import Path

import pytest

from forgetscope.ports.runner import Died, Failed
from forgetscope.wiring.process_runner import ALLOCATOR, ProcessRunner


def children() -> set[int]:
    found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(pid) for path in found for pid in path.read_text().split()}


def test_a_stage_process_keeps_freed_memory_unless_the_environment_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    before = children()
    runner = ProcessRunner("analyse", "0", tmp_path / "child.log")
    runner.warm()
    try:
        (child,) = children() - before
        given = dict(
            line.split("=", 1)
            for line in Path(f"/proc/{child}/environ").read_text().split("\0")
            if line
        )
    finally:
        runner.stop()
    assert given["MALLOC_TRIM_THRESHOLD_"] == "131072"
    assert given["MALLOC_MMAP_THRESHOLD_"] == ALLOCATOR["MALLOC_MMAP_THRESHOLD_"]


def test_a_stage_process_that_cannot_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken" / "torch"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('half of it is missing')\n")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    monkeypatch.setenv("FORGETSCOPE_HOME_DIR", str(tmp_path))
    runner = ProcessRunner("train", "0", tmp_path / "child.log")
    runner.warm()
    try:
        first, last = runner.poll(60), runner.poll(60)
    finally:
        runner.stop()
    assert isinstance(first, Failed)
    assert "cannot start: ImportError: half of it is missing" in first.failure.detail
    assert "library" in str(first.failure.hint)
    assert last == Died("exit status 1")
