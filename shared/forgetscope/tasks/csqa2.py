"""CommonsenseQA 2.0: yes or no, from a game against a model (Talmor et al. 2021, arXiv 2201.05320).

Training uses the official train file, evaluation the official dev file, because the answers of the
test file are not public.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import ConfigDict, Field

from forgetscope.schema.base import Value
from forgetscope.schema.example import Example, FileSource, Row, Source, Split
from forgetscope.tasks.base import Task, read_row
from forgetscope.tasks.multiple_choice import yes_no

__all__ = ["CSQA2", "Csqa2Params"]


class Csqa2Params(Value):
    """No parameters."""


class _Csqa2Row(Value):
    model_config = ConfigDict(extra="ignore", strict=True)

    id: str = Field(min_length=1)
    question: str = Field(pattern=r"\S")
    answer: Literal["yes", "no"]


def _examples(_params: Csqa2Params, rows: Iterable[Row], _split: Split) -> Iterator[Example]:
    for row in rows:
        fields = read_row(_Csqa2Row, row)
        yield yes_no(
            id=fields.id,
            prompt=f"Question: {fields.question.strip()}\nAnswer:",
            yes=fields.answer == "yes",
            cluster=fields.id,
            stratum=fields.answer,
        )


def _sources(_params: Csqa2Params, split: Split) -> tuple[Source, ...]:
    part = "train" if split == "train" else "dev"
    return (FileSource(path=f"commonsense_qa_2/CSQA2_{part}.json.gz", format="json"),)


CSQA2 = Task(
    name="commonsense_qa_2",
    version=1,
    kind="capability",
    summary="Is an everyday statement true, or the answer to a question yes?",
    licence="CC BY 4.0",
    citation="Talmor et al. 2021, arXiv 2201.05320",
    chance=0.5,
    params=Csqa2Params,
    sources=_sources,
    examples=_examples,
)
