"""ARC: grade-school science questions with lettered options (Clark et al. 2018, arXiv 1803.05457).

Training uses the official train files, evaluation the official test (or dev) files.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from forgetscope.schema.base import Value
from forgetscope.schema.example import Example, FileSource, Row, Source, Split
from forgetscope.tasks.base import Task
from forgetscope.tasks.choice_rows import read_choices
from forgetscope.tasks.hub import HubRepository
from forgetscope.tasks.questions import Format, present

__all__ = ["ARC", "ASKED_AGAIN", "ArcParams"]

# Training questions that stand in the official test files too, the last with its options in
# another order. They are left out of training, so that evaluation stays comparable with others'.
ASKED_AGAIN = frozenset({"CSZ_2009_8_CSZ30768", "CSZ_2009_8_CSZ20770", "NYSEDREGENTS_2009_4_25"})


class ArcParams(Value):
    subset: Literal["easy", "challenge", "both"] = "both"
    evaluate_on: Literal["test", "dev"] = "test"
    format: Format = "qa"
    hub: HubRepository | None = None


def _sources(params: ArcParams, split: Split) -> tuple[Source, ...]:
    part = "train" if split == "train" else params.evaluate_on
    names = [f"ARC-{s.title()}" for s in ("easy", "challenge") if params.subset in (s, "both")]
    if params.hub:
        return tuple(params.hub.read(part, name) for name in names)
    return tuple(FileSource(path=f"arc/{name}-{part.title()}.jsonl.gz") for name in names)


def _examples(params: ArcParams, rows: Iterable[Row], split: Split) -> Iterator[Example]:
    for row in rows:
        question = read_choices(row)
        if split == "evaluation" or question.id not in ASKED_AGAIN:
            yield present(question, params.format)


ARC = Task(
    name="arc",
    version=2,
    kind="capability",
    summary="Grade-school science questions with three to five lettered options.",
    licence="CC BY-SA 4.0",
    citation="Clark et al. 2018, arXiv 1803.05457",
    chance=0.25,
    params=ArcParams,
    sources=_sources,
    examples=_examples,
    sizes={"train": 3367, "evaluation": 3548},
    notes=(f"{len(ASKED_AGAIN)} training questions that stand in the test files are left out.",),
)
