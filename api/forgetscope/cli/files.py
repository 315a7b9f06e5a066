"""Files that people write, specifications and definitions of tasks, and files that they get."""

import json
import sys
from pathlib import Path

import typer
import yaml

from forgetscope.cli.talk import EXIT_FAILED, EXIT_INVALID, complain

__all__ = ["read_object", "with_task_files", "write_text"]

EXIT_USAGE = 2


def read_object(file: str, what: str) -> dict[str, object]:
    """A YAML or JSON file, - for standard input, as JSON has it. `what` says what it should be.

    Leaves with a message when it cannot be read.
    """
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        found = yaml.safe_load(text)
        plain = json.loads(json.dumps(found, allow_nan=False))
    except OSError as error:
        complain(f"cannot be read: {error.strerror}", where=file)
        raise typer.Exit(EXIT_USAGE) from None
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        complain(f"is neither YAML nor JSON: {error}", where=file)
        raise typer.Exit(EXIT_INVALID) from None
    except (TypeError, ValueError) as error:
        complain(f"holds what JSON has no word for: {error}", where=file, hint="Use quotes.")
        raise typer.Exit(EXIT_INVALID) from None
    if not isinstance(plain, dict):
        complain(what, where=file)
        raise typer.Exit(EXIT_INVALID)
    return plain


def write_text(target: Path, text: str) -> None:
    """Write a file, and the folders that it lies in. Leaves with a message when it cannot."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        complain(f"cannot write the report: {error.strerror}", where=str(target))
        raise typer.Exit(EXIT_FAILED) from None


def with_task_files(spec: dict[str, object], file: str) -> dict[str, object]:
    """The specification with each entry `task_file: path` of its tasks replaced by what is in the
    file. Paths begin in the folder of `file`.

    Parameters beside it take the place of fields of the definition.
    """
    folder = Path() if file == "-" else Path(file).parent
    entries = spec.get("tasks")
    if not isinstance(entries, list):
        return spec
    return {**spec, "tasks": [_whole(entry, folder) for entry in entries]}


def _whole(entry: object, folder: Path) -> object:
    if not isinstance(entry, dict) or "task_file" not in entry:
        return entry
    path, params = entry["task_file"], entry.get("params", {})
    if "name" in entry or not isinstance(path, str) or not isinstance(params, dict):
        complain(
            "an entry of tasks has either a name or a task_file",
            hint="For example: {task_file: tasks/mine.yaml, train_examples: 512}",
        )
        raise typer.Exit(EXIT_INVALID)
    definition = read_object(str(folder / path), "a task is an object with fields such as prompt")
    whole = {"id": definition.get("name"), **entry, "name": "custom"}
    del whole["task_file"]
    return {**whole, "params": {**definition, **params}}
