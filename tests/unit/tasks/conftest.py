"""The published data sets, as files."""

import os
from pathlib import Path

import pytest

from forgetscope.adapters.rows_files import FileRows


@pytest.fixture(scope="session")
def rows() -> FileRows:
    """A data set that is not there makes the tests fail: they never skip."""
    root = Path(__file__).parents[3]
    folder = os.environ.get("FORGETSCOPE_DATA_DIR") or root.parent / "shared" / "data"
    return FileRows(Path(folder))
