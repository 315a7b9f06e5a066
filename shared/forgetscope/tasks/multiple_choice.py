"""The two forms of question that tasks share: yes or no, and lettered options.

The wording is this project's own (METHOD.md section 3: the prompts of the paper are not known).
Lettered: the letter alone is the answer, as usual for ARC with instruction-free models.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from forgetscope.schema.example import Example

__all__ = ["LETTERS", "lettered", "yes_no"]

LETTERS = "ABCDEFGHIJ"


def lettered(
    *,
    id: str,
    question: str,
    options: Sequence[str],
    answer: int,
    cluster: str,
    stratum: str = "",
    groups: tuple[str, ...] = (),
    context: str | None = None,
    facts: Mapping[str, str | int] = MappingProxyType({}),
) -> Example:
    """A question whose answer is one of the letters " A", " B", …; `context` stands before it."""
    letters = tuple(f" {letter}" for letter in LETTERS[: len(options)])
    opening = () if context is None else (f"Context: {context}",)
    lines = [f"{letter}. {text}" for letter, text in zip(LETTERS, options, strict=False)]
    return Example(
        id=id,
        prompt="\n".join((*opening, f"Question: {question}", *lines, "Answer:")),
        options=letters,
        answer=answer,
        target=letters[answer],
        groups=groups,
        cluster=cluster,
        stratum=stratum,
        facts=dict(facts),
    )


def yes_no(
    *,
    id: str,
    prompt: str,
    yes: bool,
    cluster: str,
    stratum: str = "",
    groups: tuple[str, ...] = (),
) -> Example:
    """A question answered by " yes" or " no"; the prompt ends in "Answer:"."""
    return Example(
        id=id,
        prompt=prompt,
        options=(" yes", " no"),
        answer=0 if yes else 1,
        target=" yes" if yes else " no",
        groups=groups,
        cluster=cluster,
        stratum=stratum,
    )
