"""The published data sets, as files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from forgetscope.adapters.rows_files import FileRows
from forgetscope.schema.example import Example, Split
from forgetscope.tasks.catalogue import TASKS

Splits = dict[Split, list[Example]]


@pytest.fixture(scope="session")
def rows() -> FileRows:
    """A data set that is not there makes the tests fail: they never skip."""
    root = Path(__file__).parents[3]
    folder = os.environ.get("FORGETSCOPE_DATA_DIR") or root.parent / "shared" / "data"
    return FileRows(Path(folder))


@pytest.fixture(scope="session")
def splits_of(rows: FileRows) -> Callable[[str], Splits]:
    """Every example of a task with its default parameters, in the order of its files; read once."""
    known: dict[str, Splits] = {}

    def splits(name: str) -> Splits:
        if name not in known:
            task, known[name] = TASKS.get(name), {}
            params = task.params()
            for split in ("train", "evaluation"):
                read = (row for source in task.sources(params, split) for row in rows.read(source))
                known[name][split] = list(task.examples(params, read, split))
        return known[name]

    return splits
