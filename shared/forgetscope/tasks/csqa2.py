"""CommonsenseQA 2.0: yes or no, from a game against a model (Talmor et al. 2021, arXiv 2201.05320).
Training uses the official train file, evaluation the official dev file."""

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from forgetscope.schema.base import Value
from forgetscope.schema.example import Example, FileSource, Row, Source, Split
from forgetscope.tasks.base import Filled, Loose, Task, place, read_row
from forgetscope.tasks.hub import HubData
from forgetscope.tasks.questions import Format, YesNo, present

__all__ = ["CSQA2", "Csqa2Params"]


class Csqa2Params(Value):
    format: Format = "qa"
    hub: HubData | None = None


class _Row(Loose):
    id: str = Field(min_length=1)
    question: Filled
    answer: Literal["yes", "no"]


def _sources(params: Csqa2Params, split: Split) -> tuple[Source, ...]:
    part = "train" if split == "train" else "dev"
    if params.hub:
        return (params.hub.read(part),)
    return (FileSource(path=f"commonsense_qa_2/CSQA2_{part}.json.gz", format="json"),)


def _examples(params: Csqa2Params, rows: Iterable[Row], _split: Split) -> Iterator[Example]:
    for row in rows:
        of = read_row(_Row, row)
        asked = YesNo(
            name="Question", text=of.question.strip(), yes=of.answer == "yes",
            id=of.id, cluster=of.id, stratum=of.answer, row=place(row),
        )  # fmt: skip
        yield present(asked, params.format)


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
    sizes={"train": 9264, "evaluation": 2541},
    notes=("Evaluation is on the official dev file: the test file's answers are not public.",),
)
