"""CommonsenseQA: everyday questions with five options (Talmor et al. 2019, arXiv 1811.00937).

Version 1.11, random split: training uses the official train file, evaluation the official dev
file.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from forgetscope.schema.base import Value
from forgetscope.schema.example import Example, FileSource, Row, Source, Split
from forgetscope.tasks.base import Task
from forgetscope.tasks.choice_rows import read_choices
from forgetscope.tasks.hub import HubData
from forgetscope.tasks.questions import LETTERS, present

__all__ = ["CSQA", "CsqaParams"]


class CsqaParams(Value):
    hub: HubData | None = None


def _sources(params: CsqaParams, split: Split) -> tuple[Source, ...]:
    part = "train" if split == "train" else "dev"
    if params.hub:
        return (params.hub.read(part),)
    return (FileSource(path=f"commonsense_qa/{part}_rand_split.jsonl.gz"),)


def _examples(_params: CsqaParams, rows: Iterable[Row], _split: Split) -> Iterator[Example]:
    for row in rows:
        question = read_choices(row, labels="ABCDE")
        yield present(replace(question, stratum=LETTERS[question.answer]))


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
    sizes={"train": 9741, "evaluation": 1221},
    notes=(
        "Evaluation is on the official dev file: the answers of the test file are not public.",
        "146 of the 10,962 questions have two options that read alike; they are left as they are.",
    ),
)
