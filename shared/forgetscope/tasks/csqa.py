"""CommonsenseQA: everyday questions with five options (Talmor et al. 2019, arXiv 1811.00937).

Version 1.11, random split: training uses the official train file, evaluation the official dev
file, because the answers of the test file are not public. 146 of the 10,962 rows have two options
that read alike; they are left as they are, so that figures stay comparable with others'.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from forgetscope.schema.base import Value
from forgetscope.schema.example import Example, FileSource, Row, Source, Split
from forgetscope.tasks.base import Task, bad_row, read_row
from forgetscope.tasks.multiple_choice import LETTERS, lettered

__all__ = ["CSQA", "CsqaParams"]


class CsqaParams(Value):
    """No parameters."""


class _Loose(Value):
    model_config = ConfigDict(extra="ignore", strict=True)


class _Choice(_Loose):
    text: str = Field(pattern=r"\S")
    label: str


class _Question(_Loose):
    stem: str = Field(pattern=r"\S")
    choices: Annotated[list[_Choice], Field(min_length=5, max_length=5)]


class _CsqaRow(_Loose):
    id: str = Field(min_length=1)
    question: _Question
    answerKey: Literal["A", "B", "C", "D", "E"]  # noqa: N815 (the release's own name)


def _examples(_params: CsqaParams, rows: Iterable[Row], _split: Split) -> Iterator[Example]:
    for row in rows:
        fields = read_row(_CsqaRow, row)
        labels = "".join(choice.label for choice in fields.question.choices)
        if labels != LETTERS[:5]:
            raise bad_row(row, f"question.choices: the labels are {labels!r}, not 'ABCDE'")
        yield lettered(
            id=fields.id,
            question=fields.question.stem,
            options=[choice.text for choice in fields.question.choices],
            answer=labels.index(fields.answerKey),
            cluster=fields.id,
            stratum=fields.answerKey,
        )


def _sources(_params: CsqaParams, split: Split) -> tuple[Source, ...]:
    part = "train" if split == "train" else "dev"
    return (FileSource(path=f"commonsense_qa/{part}_rand_split.jsonl.gz"),)


CSQA = Task(
    name="commonsense_qa",
    version=1,
    kind="capability",
    summary="Everyday questions with five lettered options.",
    licence="MIT",
    citation="Talmor et al. 2019, arXiv 1811.00937",
    chance=0.2,
    params=CsqaParams,
    sources=_sources,
    examples=_examples,
)
