"""ARC: grade-school science questions with lettered options (Clark et al. 2018, arXiv 1803.05457).

Training uses the official train files, evaluation the official test (or dev) files. About twenty
question texts stand in more than one of the official files; they are left as they are, so that
figures stay comparable with others'.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from forgetscope.schema.base import Value
from forgetscope.schema.example import Example, FileSource, Row, Source, Split
from forgetscope.tasks.base import Task, bad_row, read_row
from forgetscope.tasks.multiple_choice import LETTERS, lettered

__all__ = ["ARC", "ArcParams"]


class ArcParams(Value):
    subset: Literal["easy", "challenge", "both"] = "both"
    evaluate_on: Literal["test", "dev"] = "test"


class _Loose(Value):
    model_config = ConfigDict(extra="ignore", strict=True)


class _Choice(_Loose):
    text: str = Field(min_length=1)
    label: str


class _Question(_Loose):
    stem: str = Field(min_length=1)
    choices: Annotated[list[_Choice], Field(min_length=2, max_length=len(LETTERS))]


class _ArcRow(_Loose):
    id: str = Field(min_length=1)
    question: _Question
    answerKey: str  # noqa: N815 (the release's own name)


def _sources(params: ArcParams, split: Split) -> tuple[Source, ...]:
    part = "Train" if split == "train" else params.evaluate_on.title()
    subsets = ("easy", "challenge") if params.subset == "both" else (params.subset,)
    return tuple(FileSource(path=f"arc/ARC-{s.title()}-{part}.jsonl.gz") for s in subsets)


def _examples(_params: ArcParams, rows: Iterable[Row], _split: Split) -> Iterator[Example]:
    for row in rows:
        fields = read_row(_ArcRow, row)
        labels = [choice.label for choice in fields.question.choices]
        if fields.answerKey not in labels:
            raise bad_row(row, f"answerKey: {fields.answerKey!r} is not among the labels {labels}")
        yield lettered(
            id=fields.id,
            question=fields.question.stem,
            options=[choice.text for choice in fields.question.choices],
            answer=labels.index(fields.answerKey),
            cluster=fields.id,
        )


ARC = Task(
    name="arc",
    version=1,
    kind="capability",
    summary="Grade-school science questions with three to five lettered options.",
    licence="CC BY-SA 4.0",
    citation="Clark et al. 2018, arXiv 1803.05457",
    chance=0.25,
    params=ArcParams,
    sources=_sources,
    examples=_examples,
)
