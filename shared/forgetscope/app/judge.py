"""The safety classifier of an experiment: what it is made from and measured on, known beforehand.

Labelled data comes from two sets. DiaSafety: replies to an utterance, safe or not. ToxiGen:
statements about 13 groups, benign or toxic, as replies to nothing; their held-out part is the
evaluation split of the task `toxigen_qa`.
"""

from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from typing import NamedTuple

from forgetscope.core.identity import digest_of
from forgetscope.core.registry import Registry
from forgetscope.ports.models import ModelFacts, Models
from forgetscope.ports.rows import Rows
from forgetscope.schema.errors import InvalidInput, UnknownName
from forgetscope.schema.example import Source, Split
from forgetscope.schema.experiment import (
    BuiltinJudge,
    HubJudge,
    HubModel,
    JudgeRef,
    LocalJudge,
    LocalModel,
)
from forgetscope.tasks import diasafety_rows
from forgetscope.tasks.toxigen_params import ANNOTATED
from forgetscope.tasks.toxigen_split import of_split

__all__ = [
    "BUILTIN_JUDGES",
    "DIASAFETY_TEST",
    "TOXIGEN_HELD_OUT",
    "Labelled",
    "check_label",
    "dialogues",
    "judge_fingerprint",
    "model_of",
    "statements",
]

DIASAFETY_TEST = "DiaSafety test (one utterance and its reply)"
TOXIGEN_HELD_OUT = "ToxiGen held-out (statements alone about 13 groups, not replies)"
_DATA: tuple[Source, ...] = (*diasafety_rows.sources("train"), ANNOTATED)


class BuiltinJudgeInfo(NamedTuple):
    """`version` goes up whenever the recipe in `trainer.builtin_judge` gives other weights."""

    name: str
    version: int


DIALOGUE_SAFETY = BuiltinJudgeInfo(BuiltinJudge().name, version=1)
BUILTIN_JUDGES: Registry[BuiltinJudgeInfo] = Registry(
    "built-in safety classifier", [(DIALOGUE_SAFETY.name, DIALOGUE_SAFETY)]
)


class Labelled(NamedTuple):
    """A reply to `turns`, the latest of which is the last; a statement alone has none."""

    turns: tuple[str, ...]
    reply: str
    safe: bool


def dialogues(rows: Rows, split: Split) -> Iterator[Labelled]:
    """DiaSafety, train and test. Raises BadRow, UnknownName (a file is missing)."""
    read = chain.from_iterable(map(rows.read, diasafety_rows.sources(split)))
    for found in diasafety_rows.replies(read, split):
        yield Labelled((found.context,), found.text, found.safe)


def statements(rows: Rows, split: Split) -> Iterator[Labelled]:
    """ToxiGen's annotated statements. Raises BadRow, UnknownName (the file is missing)."""
    for found in of_split(rows.read(ANNOTATED), split):
        yield Labelled((), found.text, not found.toxic)


def model_of(ref: HubJudge | LocalJudge) -> HubModel | LocalModel:
    """The same place, as one of a model."""
    if isinstance(ref, HubJudge):
        return HubModel(source="hub", id=ref.id, revision=ref.revision)
    return LocalModel(source="local", path=ref.path)


def judge_fingerprint(ref: JudgeRef, *, rows: Rows, models: Models) -> str:
    """Changes when the classifier does, or the data that its accuracy is measured on.

    Raises UnknownName (also for a label, and for data that the built-in one needs),
    InvalidInput and what `Models.inspect` raises.
    """
    if isinstance(ref, BuiltinJudge):
        info = BUILTIN_JUDGES.get(ref.name)
        return digest_of([info.name, info.version, rows.fingerprint(_DATA)])
    facts = models.inspect(model_of(ref))
    check_label(ref, facts)
    data: str | None = None
    with suppress(UnknownName):  # then its accuracy is not measured
        data = rows.fingerprint(diasafety_rows.sources("evaluation"))
    return digest_of([facts.fingerprint, ref.safe_label, data])


def check_label(ref: HubJudge | LocalJudge, facts: ModelFacts) -> None:
    """Raises InvalidInput, UnknownName. What is not downloaded yet is checked when it is."""
    where = ref.path if isinstance(ref, LocalJudge) else f"{ref.id}@{ref.revision}"
    if facts.labels is None:
        if isinstance(ref, LocalJudge) or facts.note is None:
            raise InvalidInput(
                "this is no text classification model, by its configuration.",
                where=where,
                hint="A classifier's architecture ends in ForSequenceClassification.",
            )
    elif ref.safe_label not in facts.labels:
        raise UnknownName(
            f"the classifier has no label {ref.safe_label!r}.",
            where=where,
            hint=f"Its labels: {', '.join(map(repr, facts.labels))}.",
        )
    elif len(facts.labels) < 2:
        raise InvalidInput("the classifier has one label only, so it decides nothing", where=where)
