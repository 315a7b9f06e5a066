"""The stories260K checkpoint: its files, and the folder that our command makes of them."""

import os
from pathlib import Path

from typer.testing import CliRunner

from forgetscope.cli.main import app

PROJECT = Path(__file__).parents[1]


def data_dir() -> Path:
    """A folder that is not there makes tests fail: they never skip."""
    return Path(
        os.environ.get("FORGETSCOPE_DATA_DIR") or PROJECT.parent / "shared" / "data"
    ).resolve()


def stories_files() -> tuple[Path, Path]:
    folder = data_dir() / "stories260K"
    return folder / "stories260K.bin", folder / "tok512.bin"


def convert_stories(folder: Path) -> Path:
    """Convert through the command line, as a person would."""
    command = ["models", "convert-llama2c", *map(str, stories_files()), str(folder)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    return folder
