"""The examples of a task as a file: one JSON object a line."""

from collections.abc import Iterable
from pathlib import Path

from forgetscope.schema.example import Example

__all__ = ["EXAMPLES", "line_of", "read_examples", "write_examples"]

EXAMPLES = "examples.jsonl"


def write_examples(folder: Path, examples: Iterable[Example]) -> None:
    """Write `examples.jsonl` into a folder."""
    with (folder / EXAMPLES).open("w", encoding="utf-8") as file:
        file.writelines(map(line_of, examples))


def line_of(example: Example) -> str:
    """An example as a line of the file."""
    return example.model_dump_json() + "\n"


def read_examples(folder: Path) -> list[Example]:
    """Read them in their order. Only a line feed ends a line: texts may hold U+2028."""
    with (folder / EXAMPLES).open(encoding="utf-8") as lines:
        return [Example.model_validate_json(line) for line in lines]
