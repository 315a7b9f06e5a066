"""The examples of a stage's input."""

from pathlib import Path

from forgetscope.app.examples_file import EXAMPLES, read_examples
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.example import Example

__all__ = ["first_examples"]


def first_examples(folder: Path, n: int | None) -> list[Example]:
    """The first `n` examples, or all of them. Raises InvalidInput when there are fewer."""
    examples = read_examples(folder)
    if n is not None and n > len(examples):
        raise InvalidInput(f"{n} examples asked, but there are {len(examples)}", where=EXAMPLES)
    return examples[:n]
